#!/bin/sh
# The slow tier: every fuzz target for a while, with sanitizers. scripts/fuzz.sh [seconds per target]
# Needs clang and llvm beside what setup.sh installs. Corpora and crashes stay in build-fuzz/.
set -eu
cd "$(dirname "$0")/.."

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
