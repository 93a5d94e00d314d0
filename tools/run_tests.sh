#!/bin/bash
# run_tests.sh [sanitize] -- every check of FinCache, one stage after the other, each under its own headline and with its seconds.
#
# A stage that fails does not stop the others: the exit code tells, and the failed ones are named before pytest, which comes last
# so that its summary closes the output. While the C tests of the first configuration run, the other ones are compiled.
#
# FC_QUICK=1 asks a test for its shortest bounds (set here where every instruction is slow: sanitizers, emulation), FC_SOAK=1 for
# its longest. Neither: what the check of a commit can afford; the slow configurations get these bounds when soaking.
set -uo pipefail
cd "$(dirname "$0")/.."

mode=${1:-all}
soak=${FC_SOAK:-}
failed=()

have() { command -v "$1" >/dev/null 2>&1; }

stage() {
    local name=$1 start=$SECONDS
    shift
    printf '\n==== %s\n' "$name"
    if "$@"; then
        printf '==== %s: passed, %s s\n' "$name" $((SECONDS - start))
    else
        printf '==== %s: FAILED, %s s\n' "$name" $((SECONDS - start))
        failed+=("$name")
    fi
}

skip() { printf '\n==== %s: SKIPPED, %s\n' "$1" "$2"; }

# c_tests CONFIGURATION [arguments for meson test]
c_tests() {
    local configuration=$1
    shift
    make --no-print-directory "build-$configuration" &&
        .venv/bin/meson test -C "build/$configuration" --no-rebuild --print-errorlogs "$@" ${soak:+--timeout-multiplier 0}
}

# The sanitizers of gcc 12 and clang 14 want their shadow memory where newer kernels may put other things; without address space
# randomisation the place is free. Where setarch is forbidden (some containers) it often is, too.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then fixed_addresses=(setarch "$(uname -m)" -R); fi

slow_c_tests() {
    local bounds=(FC_QUICK=1)
    if [ -n "$soak" ]; then bounds=(--unset=FC_SOAK); fi
    env "${bounds[@]}" TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 "${fixed_addresses[@]}" \
        "$BASH" tools/run_tests.sh c_tests "$@"
}

# The accelerator with ASan and UBSan in it and in the engine, in an interpreter that knows nothing of them. Python's own allocator would
# hide a step out of bounds.
native_tests_under_asan() {
    make --no-print-directory build-asan || return
    rm -rf build/asan/package
    mkdir build/asan/package
    cp -rs "$PWD/fincache" build/asan/package/
    ln -sf "$PWD"/build/asan/fincache/_*.so build/asan/package/fincache/
    env FC_QUICK=1 PYTHONPATH="$PWD/build/asan/package" PYTHONMALLOC=malloc FINCACHE_BINDING=native \
        LD_PRELOAD="$(cc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        "${fixed_addresses[@]}" .venv/bin/pytest -q tests/test_native.py tests/test_native_fuzz.py
}

if [ "$mode" = native_tests_under_asan ]; then
    native_tests_under_asan
    exit
fi
if [ "$mode" = c_tests ]; then
    c_tests "${@:2}"
    exit
fi

sanitizers=(asan tsan)
not_under_tsan=()
compilers=()
if have clang; then
    [ "$mode" = sanitize ] && sanitizers+=(clang-asan clang-tsan)
    compilers+=(clang)
fi
if have aarch64-linux-gnu-gcc && have qemu-aarch64; then compilers+=(aarch64); fi

if [ "$mode" = sanitize ]; then
    for configuration in "${sanitizers[@]}"; do stage "C tests, $configuration" slow_c_tests "$configuration"; done
else
    # shellcheck disable=SC2046
    make --no-print-directory -j1 --keep-going $(printf 'build-%s ' "${sanitizers[@]}" "${compilers[@]}") >/dev/null 2>&1 &
    compiling=$!
    stage "lint" make --no-print-directory lint
    stage "C tests, gcc" c_tests release
    wait $compiling
    # TSan does not see what two processes do to each other, and crash/ is processes that die: there it costs four minutes and tells
    # nothing that ASan does not.
    [ -n "$soak" ] || not_under_tsan=(--no-suite crash)
    stage "C tests, gcc, asan" slow_c_tests asan
    stage "accelerator, gcc, asan" native_tests_under_asan
    stage "pytest, cffi alone" env FINCACHE_BINDING=cffi .venv/bin/python -m pytest -q --both-bindings
    stage "C tests, gcc, tsan" slow_c_tests tsan "${not_under_tsan[@]}"
    if have clang; then
        stage "C tests, clang" slow_c_tests clang
    else
        skip "C tests, clang" "clang could not be installed"
    fi
    if have clang; then
        stage "fuzzers" tools/fuzz.sh "$([ -n "$soak" ] && echo 600 || echo 15)"
    else
        skip "fuzzers" "clang could not be installed"
    fi
    if have aarch64-linux-gnu-gcc && have qemu-aarch64; then
        stage "C tests, aarch64 under qemu" slow_c_tests aarch64 --timeout-multiplier 10
    else
        skip "C tests, aarch64" "gcc-aarch64-linux-gnu or qemu-user could not be installed"
    fi
    if have spin; then
        bounds=--small
        if [ -n "$soak" ]; then bounds=; fi
        stage "models" make --no-print-directory models ARGS=$bounds
    else
        skip "models" "spin could not be installed"
    fi
fi

code=0
if [ ${#failed[@]} -gt 0 ]; then
    printf '\n==== FAILED: %s\n' "$(printf '%s; ' "${failed[@]}")"
    code=1
fi
[ "$mode" = sanitize ] && exit $code
printf '\n==== pytest\n'
.venv/bin/python -m pytest || code=1
exit $code
