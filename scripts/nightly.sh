#!/bin/sh
# What is too slow for every change: the tests under sanitizers, by another compiler and under valgrind, clang-tidy, files that are
# wrong in one place, and fuzzing.
#   scripts/nightly.sh [seconds of fuzzing per target]     (default: 300)
# Goes on after a step that fails; says at the end which did, and ends with 1 then. Needs clang, clang-tidy, llvm and
# valgrind beside what setup.sh installs. Logs are in build-nightly/.
set -u
cd "$(dirname "$0")/.." || exit

seconds="${1:-300}"
logs=build-nightly
failed=""
mkdir -p "$logs"
export ESPQUANT_SHARED="${ESPQUANT_SHARED:-$PWD/../shared}"

# step NAME COMMAND...
step() {
  name=$1
  shift
  printf '%s ... ' "$name"
  begun=$(date +%s)
  if "$@" > "$logs/$name.log" 2>&1; then result=ok; else result=FAILED failed="$failed $name"; fi
  printf '%s, %s s\n' "$result" "$(($(date +%s) - begun))"
}

# All tests of one preset.
tests_of() {
  cmake --preset "$1" && cmake --build "$2" --parallel "$(nproc)" && ctest --test-dir "$2" --output-on-failure -j"$(nproc)"
}

# The tests of what reads files, by the release build.
under_valgrind() {
  for room in onnx espdl data recipe cost; do
    valgrind --quiet --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite \
      "build/tests/test_$room" --gtest_brief=1 --gtest_filter="${1:-*}" || return 1
  done
}

# .clang-tidy over src/, by the commands of the clang build.
tidy() {
  cmake --preset clang && cmake --build build-clang --parallel "$(nproc)" &&
    run-clang-tidy-14 -quiet -p build-clang -j "$(nproc)" '/src/'
}

step release scripts/test.sh
step asan tests_of asan build-asan
step tsan tests_of tsan build-tsan
step clang tests_of clang build-clang
step tidy tidy
step malformed /usr/bin/python3 tests/malformed/make.py build/espquant examples
step valgrind under_valgrind
step fuzz scripts/fuzz.sh "$seconds"
step differential scripts/fuzz.sh differential "$seconds"
step graphs scripts/fuzz.sh graphs "$seconds"

[ -z "$failed" ] || { echo "nightly.sh: failed:$failed (see $logs/)" >&2; exit 1; }
