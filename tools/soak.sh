#!/bin/bash
# soak.sh [MINUTES [BUILD_DIR]] -- the stress programs in turn, each with a new seed, until the time is over (60 minutes by default).
#
# A round: stress and storm as built, the same in the instrumented build if there is one (test_stress_disturbed, test_storm_disturbed:
# processes lose the processor, or die, between any two stores), then recorded histories. Stops at the first failure, whose output
# says how to repeat it. One line for each program tells what it did; all output is kept in BUILD_DIR/soak.log.
set -uo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-60}
build=${2:-build/release}
programs=$build/tests/c
log=$build/soak.log
python=.venv/bin/python
[ -x "$python" ] || python=python3
[ -x "$programs/test_stress" ] || { echo "soak.sh: $programs/test_stress is not built" >&2; exit 2; }

run() {
    local output
    if output=$("$@" 2>&1); then
        printf '%s\n' "$output" >>"$log"
        printf '%s  %s: %s\n' "$(date +%T)" "$(basename "$1")" "$(printf '%s\n' "$output" | grep -c .) lines, passed"
    else
        printf '%s\n' "$output" | tee -a "$log"
        printf 'soak.sh: FAILED after %s s: %s\n' "$SECONDS" "$*"
        exit 1
    fi
}

: >"$log"
rounds=0
while [ $SECONDS -lt $((minutes * 60)) ]; do
    seed=$((RANDOM << 15 | RANDOM))
    run "$programs/test_stress" --seconds 60 --seed $seed
    run "$programs/test_storm" --seconds 60 --seed $seed
    for program in test_stress_disturbed test_storm_disturbed; do
        if [ -x "$programs/$program" ]; then run "$programs/$program" --seconds 60 --seed $seed; fi
    done
    run env FC_SOAK=1 FINCACHE_SEED=$seed FINCACHE_BUILD_DIR="$build" "$python" -m pytest -q tests/test_linearizability.py
    rounds=$((rounds + 1))
done
printf 'soak.sh: %s rounds in %s s, nothing found\n' $rounds $SECONDS
