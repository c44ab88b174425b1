#!/bin/sh
# Builds everything and runs all fast tests. Golden results are looked for in $ESPQUANT_SHARED
# (default: ../shared beside the project); tests that need them are skipped when it is not there.
# Options are handed to ctest: scripts/test.sh -R sim
set -eu
cd "$(dirname "$0")/.."

scripts/build.sh
if [ "${ESPQUANT_PRESET:-release}" = dev ]; then
  mkdir -p build
  scripts/page_setup.sh > build/page_setup.log 2>&1
fi
export ESPQUANT_SHARED="${ESPQUANT_SHARED:-$PWD/../shared}"
exec ctest --test-dir build --output-on-failure -j2 "$@"
