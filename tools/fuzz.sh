#!/bin/bash
# fuzz.sh [SECONDS] -- runs the fuzzers of tests/fuzz side by side for so long (60), from their seeds and from what earlier runs found.
#
# Exit code 1 if one of them found something; the input is then in build/fuzz/, and runs again with
#     build/clang-fuzz/tests/fuzz/fuzz_<name> build/fuzz/<name>-crash-...
set -uo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
command -v clang >/dev/null 2>&1 || { echo "fuzz.sh: clang is missing (Debian: clang, libclang-rt-14-dev)" >&2; exit 2; }
make --no-print-directory build-clang-fuzz || exit 1

# clang 14's ASan wants its shadow memory where newer kernels may put other things.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then fixed_addresses=(setarch "$(uname -m)" -R); fi

mkdir -p build/fuzz
# Words worth trying: every name in the table of commands.
sed -nE 's/^FC_(SUB)?COMMAND\(.*"([a-z_]+)", fc_cmd_.*/"\2"/p' csrc/commands/commands.def | sort -u >build/fuzz/words.dict

pids=()
for name in requests commands; do
    mkdir -p "build/fuzz/$name"
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "${fixed_addresses[@]}" "build/clang-fuzz/tests/fuzz/fuzz_$name" \
        -max_total_time="$seconds" -max_len=2048 -timeout=20 -rss_limit_mb=2048 -dict=build/fuzz/words.dict -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "build/fuzz/$name" "tests/fuzz/corpus_$name" >"build/fuzz/$name.log" 2>&1 &
    pids+=($!)
done

code=0
for name in requests commands; do
    pid=${pids[0]}
    pids=("${pids[@]:1}")
    if wait "$pid"; then
        echo "fuzz_$name: $(sed -nE 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") inputs in $seconds s, nothing found"
    else
        tail -n 60 "build/fuzz/$name.log"
        echo "fuzz_$name: FOUND something, see above and build/fuzz/$name-*"
        code=1
        rm -f "/dev/shm/fincache.fuzz-$pid" /dev/shm/fincache-lock.fuzz-"$pid".*
    fi
done
exit $code
