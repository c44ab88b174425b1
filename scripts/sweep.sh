#!/bin/sh
# The slow tier that takes every network at hand through every command:
#   scripts/sweep.sh networks [NAME...]   each network of $ESPQUANT_SHARED/models and /cases (or those named) on three families of
#                                         chips: check, inspect, quantize by int8, w8a16 and int16, check and verify what
#                                         was written. One line for each network, chip and recipe: noise, or the refusal.
# Exit code 1 if a command fails otherwise than by an explained refusal, if what quantize wrote does not pass, or if it
# refuses as unsupported what check took. $ESPQUANT: the program (default: it is built). $CHIPS, $RECIPES: others than these.
set -eu
cd "$(dirname "$0")/.."

shared="${ESPQUANT_SHARED:-$PWD/../shared}"
chips="${CHIPS:-esp32s3 esp32p4 esp32c3}"
recipes="${RECIPES:-int8 w8a16 int16}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# An .npy of floats between 0 and 1, the same every time: random_floats FILE ROWS COLUMNS
random_floats() {
  python3 - "$@" <<'PY'
import random, struct, sys
path, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
draw = random.Random(1)
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (rows, columns)
header += " " * (-(len(header) + 11) % 64) + "\n"
with open(path, "wb") as out:
    out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    out.write(struct.pack("<%df" % (rows * columns), *(draw.random() for _ in range(rows * columns))))
PY
}

# What a network is calibrated on, as options of quantize.
data_of() {
  case $(basename "$1" .onnx) in
    gesture_model) echo "--calib $shared/golden/esp_ppq_gesture/calib.npz" ;;
    sign_digits_*) echo "--calib $shared/data/sign_digits_calib.npz" ;;
    ic_resnet8_*) echo "--calib $shared/data/cifar10_calib500.npz --preprocess scale=1" ;;
    resnet20_*) echo "--calib $shared/data/cifar10_calib500.npz --preprocess mean=.485,.456,.406 std=.229,.224,.225" ;;
    mobilenet_*) echo "--calib $shared/data/imagenet500/calib --preprocess mean=.5 std=.5" ;;
    espdet_*) echo "--calib $shared/data/imagenet500/calib --preprocess fit=letterbox" ;;
    ultraface_*) echo "--calib $shared/data/imagenet500/calib --preprocess scale=1 mean=127 std=128" ;;
    kws_*) echo "--calib $shared/data/kws_calib.npz" ;;
    sww_*) echo "--calib $shared/data/sww45.npz" ;;
    hand_keypoint_*) echo "--calib $shared/data/hand_keypoint.npz" ;;
    ad_autoencoder_*)
      [ -e "$work/640.npy" ] || random_floats "$work/640.npy" 32 640
      echo "--calib $work/640.npy" ;;
    *) echo "--calib ${1%.onnx}.npz" ;;
  esac
}

wrong=0
line() { printf '%-36s %-8s %-6s %s\n' "$@"; }
failed() {
  wrong=$((wrong + 1))
  line "$1" "$2" "$3" "WRONG: $4: $(tail -n 1 "$work/err")"
}
# Runs the program; its exit code is in $code.
espquant() {
  code=0
  "$program" "$@" > "$work/out" 2> "$work/err" || code=$?
}

sweep_network() {
  network=$1
  name=$(basename "$network" .onnx)
  espquant inspect "$network"
  [ $code -eq 0 ] || failed "$name" - - "inspect"
  for chip in $chips; do
    espquant check "$network" --target "$chip"
    taken=$code
    [ $code -le 1 ] || failed "$name" "$chip" - "check"
    for recipe in $recipes; do
      rm -rf "$work/written"
      # shellcheck disable=SC2046  # options, one word each
      espquant quantize "$network" $(data_of "$network") --calib-count 24 --target "$chip" --recipe "$recipe" \
        --out "$work/written" --json
      if [ $code -eq 1 ] && grep -q 'espquant: error: ' "$work/err"; then
        if [ -e "$work/written/${name}_$recipe/${name}_$recipe.espdl" ]; then failed "$name" "$chip" "$recipe" "refused, but written"
        elif [ "$taken" -eq 0 ]; then failed "$name" "$chip" "$recipe" "check takes it, quantize does not"
        else line "$name" "$chip" "$recipe" "refused: $(sed -n 's/^espquant: error: //p' "$work/err" | tail -n 1)"; fi
        continue
      elif [ $code -ne 0 ]; then
        failed "$name" "$chip" "$recipe" "quantize, exit code $code"
        continue
      fi
      noise=$(sed -n 's/^  "noise_to_signal": \(.*\),$/\1/p' "$work/out")
      file="$work/written/${name}_$recipe/${name}_$recipe.espdl"
      espquant check "$file"
      [ $code -eq 0 ] || { failed "$name" "$chip" "$recipe" "check of what was written"; continue; }
      espquant verify "$file"
      [ $code -eq 0 ] || { failed "$name" "$chip" "$recipe" "verify"; continue; }
      line "$name" "$chip" "$recipe" "$(LC_ALL=C awk -v n="$noise" 'BEGIN { printf "%.6f %%", 100 * n }')"
    done
  done
}

sweep_networks() {
  [ -d "$shared/models" ] || { echo "sweep.sh: no networks in $shared (set ESPQUANT_SHARED)" >&2; exit 1; }
  if [ $# -eq 0 ]; then set -- "$shared"/models/*.onnx "$shared"/cases/*.onnx; fi
  for network in "$@"; do
    [ -e "$network" ] || network=$(ls "$shared"/*/"$network".onnx)
    sweep_network "$network"
  done
}

kind=${1:-}
[ $# -eq 0 ] || shift
program=${ESPQUANT:-}
case $kind in
  networks)
    [ -n "$program" ] || { scripts/build.sh espquant && program=build/espquant; }
    sweep_networks "$@" ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
[ "$wrong" -eq 0 ] || { echo "$wrong wrong" >&2; exit 1; }
