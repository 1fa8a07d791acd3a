#!/bin/sh
# tests/campaign.sh RINGSIDE SECONDS - the long form of the tests, for as long as it may take: half of the time seeds
# that nobody has seen, then exploration of larger clusters, plans on real processes again and again, fuzzing.
# Run by `make campaign`. What fails is printed with its seed and the smallest plan; exit code 1 then.
ringside=$1
seconds=$2
first=${FIRST:-$(($(date +%s) * 1000))} # other seeds each time; FIRST=... repeats a campaign
verdict=0
share() { echo $((seconds * $1 / 100)); }
step() { echo "== $1 ($2 s)"; }

step "seeds from $first on" "$(share 50)"
"$ringside" sim --seeds "$first..$((first + 100000000))" --for "$(share 50)s" --all || verdict=1

step "exploration" "$(share 20)"
for bounds in "-n 2 --timeouts 4 --proposals 3 --crashes 2" "-n 3 --crash-before-save" "-n 3 --noop --proposals 2" "-n 4 --drops 0 --crashes 0"; do
    timeout "$(share 5)" "$ringside" explore $bounds
    code=$?
    [ $code -eq 0 ] || [ $code -eq 124 ] || verdict=1
done

step "plans on real processes" "$(share 20)"
end=$(($(date +%s) + $(share 20)))
round=0
while [ "$(date +%s)" -lt "$end" ]; do
    round=$((round + 1))
    "$ringside" run --seed "$((first + round))" plans/*.plan >"${TMPDIR:-/tmp}/ringside-campaign.$$" ||
        { verdict=1; cat "${TMPDIR:-/tmp}/ringside-campaign.$$"; }
    rm -f "${TMPDIR:-/tmp}/ringside-campaign.$$"
done
echo "$round rounds of $(ls plans/*.plan | wc -l) plans"

if command -v clang >/dev/null; then
    step "fuzzing" "$(share 10)"
    make -s fuzz FUZZ_TIME="$(($(share 10) / 7 + 1))" || verdict=1
fi
[ $verdict -eq 0 ] && echo "campaign: nothing was found" || echo "campaign: something was found, see above"
exit $verdict
