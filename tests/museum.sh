#!/bin/sh
# tests/museum.sh RINGSIDE [NAME...] - every layer against every bug of the museum, as a table: exploration of the
# core, random seeds of the simulator, the bug's own plan in the simulator and on real processes; and that plan
# without the bug. Run by `make museum`. Exit code 1 when a bug is caught by no seed of SEEDS, or its plan by nobody,
# or when a plan fails without the bug.
ringside=$1
shift
SEEDS=${SEEDS:-10000}
EXPLORE_S=${EXPLORE_S:-60}
export TMPDIR="$(mktemp -d)" || exit 1
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM
names=${*:-$("$ringside" bugs --json | sed 's/^{"name":"\([^"]*\)".*/\1/')}
verdict=0

now() { date +%s.%N; }
since() { echo "$1 $(now)" | awk '{ printf "%.1f", $2 - $1 }'; }
# The invariant that a TAP output of run names
invariant() {
    sed -n 's/^  failure: "safety \([A-Z0-9]*\): .*/\1/p; s/^  failure: ".*: not linearizable.*/LZ/p; s/^  failure: "line .*/LV/p; s/^  failure: ".*\(CHECK\|died by itself\).*/CHECK/p' | head -n 1
}

explore() { # only the core is there: a wrong step of the turn cannot show
    "$ringside" bugs "$1" --width 80 | grep -q '^wrong (sim/wrong_rules.c' || { echo "not in the core"; return; }
    begun=$(now)
    out=$(timeout "$EXPLORE_S" "$ringside" explore --bug "$1" --drops 0 --depth 14 2>/dev/null)
    code=$?
    found=$(printf '%s\n' "$out" | sed -n 's/^\([A-Z][A-Z0-9]*\) is broken by \([0-9]*\) events.*/\1, \2 events/p')
    if [ $code -eq 3 ]; then echo "$found, $(since "$begun") s"; else echo "-"; fi
}
plan_of() { "$ringside" bugs --json | grep "^{\"name\":\"$1\"" | sed -n 's/.*"plan":"\([^"]*\)".*/\1/p'; }

seeds() {
    begun=$(now)
    out=$("$ringside" sim --seeds "1..$SEEDS" --no-shrink --bug "$1" 2>/dev/null)
    if [ $? -eq 0 ]; then echo "-"; return; fi
    printf '%s\n' "$out" | sed -n 's/^  failure: "seed \([0-9]*\): \([A-Z0-9]*\): .*/\2, \1 seeds/p' | head -n 1 | tr -d '\n'
    echo ", $(since "$begun") s"
}

# sim or run, the plan, the bug; of a schedule that needs some luck a few seeds
plan() {
    path=plans/bugs/$2
    if [ "$1" = sim ]; then out=$("$ringside" sim --seeds 1..300 --no-shrink --bug "$3" "$path" 2>/dev/null)
    else out=$("$ringside" run --bug "$3" "$path" 2>/dev/null); fi
    code=$?
    if [ $code -eq 0 ]; then echo "-"; return; fi
    what=$(printf '%s\n' "$out" | sed -n 's/^  failure: "seed \([0-9]*\): \([A-Z0-9]*\): .*/\2, \1 seeds/p' | head -n 1)
    [ -n "$what" ] || what=$(printf '%s\n' "$out" | invariant)
    echo "${what:-exit $code}"
}

printf '%-24s %-24s %-26s %-18s %-14s %s\n' bug explore 'random seeds' 'plan, simulated' 'plan, real' 'without the bug'
for name in $names; do
    plan=$(plan_of "$name")
    in_core=$(explore "$name")
    random=$(seeds "$name")
    simulated=none real=none without=-
    if [ -n "$plan" ]; then
        simulated=$(plan sim "$plan" "$name")
        real=$(plan run "$plan" "$name")
        without=passes
        "$ringside" sim --seeds 1..20 "plans/bugs/$plan" >/dev/null 2>&1 || without="FAILS simulated"
        "$ringside" run "plans/bugs/$plan" >/dev/null 2>&1 || without="FAILS"
        [ "$simulated" != - ] || [ "$real" != - ] || verdict=1
        [ "$without" = passes ] || verdict=1
    fi
    [ "$random" != - ] || verdict=1
    printf '%-24s %-24s %-26s %-18s %-14s %s\n' "$name" "$in_core" "$random" "$simulated" "$real" "$without"
done
exit $verdict
