#!/bin/sh
# tests/run.sh JOBS PROGRAM... - run test programs, JOBS at a time. What a failed one printed is shown;
# the last line counts tests, not programs. Exit code 1 when one failed.
jobs=$1
shift
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT
trap 'exit 130' INT TERM
export results
printf '%s\n' "$@" | xargs -P "$jobs" -I{} sh -c '
    name=$(basename {})
    begun=$(date +%s)
    if {} >"$results/$name.out" 2>&1; then verdict=ok; else verdict="FAILED ($?)"; : >"$results/$name.failed"; fi
    echo "$verdict $name, $(($(date +%s) - begun)) s"
    if [ -e "$results/$name.failed" ]; then
        echo "---- the last lines of $name"
        grep -v -E "^\[ (RUN|      OK)" "$results/$name.out" | tail -n 60
        echo "----"
    fi'
passed=$(grep -hE '^\[  PASSED  \]' "$results"/*.out | awk '{ n += $4 } END { print n + 0 }')
failed=$(grep -hE '^\[  FAILED  \] [0-9]+ test' "$results"/*.out | awk '{ n += $4 } END { print n + 0 }')
crashed=$(ls "$results" | grep -c '\.failed$')
[ "$crashed" -eq 0 ] || [ "$failed" -ge "$crashed" ] || failed=$crashed
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$crashed" -eq 0 ] && [ "$passed" -gt 0 ]
