#!/bin/sh
# tests/fuzz.sh FOLDER JOBS SECONDS ENTRANCE... - libFuzzer on each entrance, JOBS at a time, from its corpus in
# tests/fuzz/corpus; new inputs stay in FOLDER. A line for each; exit code 1 and the input's path after a finding.
folder=$1 jobs=$2 seconds=$3
shift 3
export folder seconds
rm -f "$folder"/*.failed
# The words that mean something to an entrance, from the tables and the readers themselves.
words() { # NAME FILE...
    name=$1
    shift
    grep -ho '"[a-z][a-z. <|_-]*"' "$@" | sort -u >"$folder/$name.dict"
}
words plan fault/verb.h fault/plan.h fault/verb.c fault/selector.h fault/number.c fault/line.c
words control fault/verb.h ctl/control.h fault/verb.c fault/selector.h fault/number.c
words history sim/history*.c
printf '%s\n' "$@" | xargs -P "$jobs" -I{} sh -c '
    work=$folder/corpus/{} log=$folder/{}.log words=$folder/{}.dict
    mkdir -p "$work"
    [ -e "$words" ] && words=-dict=$words || words=-use_value_profile=1
    RINGSIDE_FUZZ={} "$folder/ringside-fuzz" -max_total_time="$seconds" -print_final_stats=1 "$words" \
        -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$folder/{}-" "$work" tests/fuzz/corpus/{} >"$log" 2>&1
    code=$?
    runs=$(sed -n "s/^stat::number_of_executed_units: *//p" "$log")
    edges=$(sed -n "s/.* cov: \([0-9]*\) .*/\1/p" "$log" | tail -n 1)
    inputs=$(ls "$work" tests/fuzz/corpus/{} | grep -c .)
    if [ "$code" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
        echo "{}: $runs runs, $edges edges, corpus of $inputs, no finding"
    else
        : >"$folder/{}.failed"
        echo "{}: FOUND after ${runs:-0} runs: $(grep -E "CHECK failed|ERROR:|runtime error|SUMMARY" "$log" | head -n 1)"
        grep "Test unit written to" "$log" | sed "s/.*written to/  input:/"
        echo "  log: $log"
    fi'
[ -z "$(ls "$folder" | grep '\.failed$')" ]
