#!/bin/sh
# Builds a project of `espquant project` with ESP-IDF and runs it in Espressif's QEMU, where the self-test computes with
# the real ESP-DL. Ends with 0 where it passes. See docs/to-the-board.md.
#
#   scripts/emulate.sh FOLDER CHIP [SECONDS]    CHIP: esp32, esp32s3 or esp32c3; SECONDS to wait, 600 unless given
#
# The project stays as it is: what is changed for the emulator is in FOLDER/build-CHIP-emulated.
set -eu
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
folder=$1 chip=$2 seconds=${3:-600}
command -v idf.py > /dev/null || { echo "emulate.sh: there is no idf.py: set up ESP-IDF's environment first" >&2; exit 2; }
cd "$folder"
build=build-$chip-emulated
log=$build/log.txt
mkdir -p "$build"

# PSRAM is as large as -m says; that of the S3 is octal, as the project expects.
case $chip in
  esp32s3) memory="-m 8M -global driver=ssi_psram,property=is_octal,value=true" ;;
  esp32) memory="-m 4M" ;;
  esp32c3) memory="" ;;
  *) echo "emulate.sh: QEMU has no $chip" >&2; exit 2 ;;
esac

idf.py -B "$build" -D SDKCONFIG="$build/sdkconfig" -D IDF_TARGET="$chip" build
: > "$log"
idf.py -B "$build" -D SDKCONFIG="$build/sdkconfig" qemu --qemu-extra-args "-no-reboot $memory" > "$log" 2>&1 < /dev/null &
emulator=$!
trap 'kill $emulator 2> /dev/null || true' EXIT
waited=0
until grep -q '^self-test: ' "$log"; do
  if ! kill -0 $emulator 2> /dev/null || [ "$waited" -ge "$seconds" ]; then
    cat "$log"
    echo "emulate.sh: the self-test did not end" >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done
cat "$log"
grep -q '^self-test: PASSED' "$log"
