#!/bin/sh
# The slow tier, for a while (default: 300 seconds).
#   scripts/fuzz.sh [seconds per target] [TARGET...]
#                                             every libFuzzer target (tests/fuzz/targets), or those named, with
#                                             sanitizers; needs clang and llvm beside what setup.sh installs.
#                                             Begins with sound files: made ones, examples/, and small ones of
#                                             $ESPQUANT_SHARED. Corpora, logs and what breaks a target stay in
#                                             build-fuzz/. Prints how many inputs each target took, and how much
#                                             of the code they reached. What broke one becomes a file below
#                                             tests/fuzz/regressions/, which tests run.
#   scripts/fuzz.sh differential [seconds] [seed]
#                                             the simulator's fast kernels against plain loops; prints
#                                             what it compared, or the problem that differs and how to
#                                             replay it.
#   scripts/fuzz.sh graphs [seconds] [seed]   random networks: quantized, taken through the last gate, and
#                                             computed a second time in memory as the runtime plans it;
#                                             prints what differs, and what was refused.
#   scripts/fuzz.sh schedules [count] [seed]  random networks: fitted to goals, cut into bands everywhere, and
#                                             compared with what they were (default: 2000 networks).
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = differential ]; then
  scripts/build.sh kernels_fuzz
  exec build/tests/kernels_fuzz --seconds "${2:-300}" --seed "${3:-1}"
fi

if [ "${1:-}" = graphs ]; then
  scripts/build.sh graphs_fuzz
  exec nice build/tests/graphs_fuzz --seconds "${2:-300}" --seed "${3:-1}"
fi

if [ "${1:-}" = schedules ]; then
  scripts/build.sh graphs_fuzz
  exec nice build/tests/graphs_fuzz --judge schedule --seconds 36000 --count "${2:-2000}" --seed "${3:-1}"
fi

seconds="${1:-300}"
[ $# -eq 0 ] || shift
targets="${*:-protocol arrays picture package espdl profile banks words toml journal onnx simplify chip network}"
shared="${ESPQUANT_SHARED:-$PWD/../shared}"
scripts/build.sh fuzz_write_seeds
cmake --preset fuzz
corpus=build-fuzz/corpus
build/tests/fuzz_write_seeds "$corpus"

# Files below a folder that are small enough to be tried often, under names of their own.
#   add_files TARGET FOLDER PATTERN
add_files() {
  [ -d "$2" ] || return 0
  find "$2" -name "$3" -size -48k | while IFS= read -r file; do
    cp "$file" "$corpus/fuzz_$1/$(printf '%s' "$file" | tr -c 'A-Za-z0-9.' _)"
  done
}
for target in onnx simplify network; do
  for folder in examples "$shared/cases" "$shared/models"; do add_files $target "$folder" '*.onnx'; done
done
for target in espdl chip; do add_files $target "$shared/golden" '*.espdl'; done
add_files arrays "$shared/cases" '*.npz'

status=0
for target in $targets; do
  name=fuzz_$target
  cmake --build build-fuzz --parallel "$(nproc)" --target "$name"
  mkdir -p "$corpus/$name" "build-fuzz/found/$target"
  log=build-fuzz/$name.log
  known=tests/fuzz/regressions/$target
  [ -d "$known" ] || known=$corpus/$name
  nice build-fuzz/tests/"$name" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -max_len=65536 \
    -print_final_stats=1 -artifact_prefix="build-fuzz/found/$target/" "$corpus/$name" "$known" \
    > "$log" 2>&1 || status=1
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  reached=$(sed -n 's/.*cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  printf '%-10s %12s inputs, %7s edges, %s found\n' "$target" "${inputs:-?}" "${reached:-?}" \
    "$(find "build-fuzz/found/$target" -type f | wc -l)"
done
exit $status
