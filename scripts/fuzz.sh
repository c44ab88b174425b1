#!/bin/sh
# The slow tier, for a while (default: 300 seconds).
#   scripts/fuzz.sh [seconds per target]      every libFuzzer target, with sanitizers; needs clang and
#                                             llvm beside what setup.sh installs. Corpora and crashes
#                                             stay in build-fuzz/.
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
scripts/setup.sh
cmake --preset fuzz
cmake --build build-fuzz --parallel "$(nproc)"
found=""
for target in build-fuzz/tests/fuzz/fuzz_*; do
  if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
  found=yes
  name=$(basename "$target")
  mkdir -p "build-fuzz/corpus/$name"
  echo "== $name"
  "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -artifact_prefix="build-fuzz/$name-" "build-fuzz/corpus/$name"
done
[ -n "$found" ] || { echo "fuzz.sh: no fuzz target was built" >&2; exit 1; }
