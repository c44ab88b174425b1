#!/bin/sh
# Which bytes quantize writes over recipes, threads, instruction sets and, where qemu-user is there,
# processors: scripts/same_bytes.sh [program...], such as build/espquant build-clang/espquant.
# A line for each, with the first digits of the file's SHA-256. Exit code 1 where those of one recipe
# differ among processors with AVX2.
set -eu
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- build/espquant
example=examples/gesture
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# hash WHAT RECIPE COMMAND...: runs the command on the example, and prints a line.
hash() {
  what=$1 recipe=$2
  shift 2
  "$@" quantize "$example/gesture.onnx" --calib "$example/calib.npz" --recipe "$recipe" --quiet --out "$out" > "$out/log" 2>&1 ||
    { printf '%-44s %-9s failed\n' "$what" "$recipe"; tail -n 3 "$out/log"; return; }
  sum=$(sha256sum "$out/gesture_$recipe/gesture_$recipe.espdl" | cut -c 1-16)
  printf '%-44s %-9s %s\n' "$what" "$recipe" "$sum"
  case $what in *before*) ;; *) echo "$recipe $sum" >> "$out/sums" ;; esac
}

for recipe in int8 mixed balanced; do
  for program in "$@"; do
    hash "$program" $recipe "$program"
    for threads in 1 2 5; do
      OMP_NUM_THREADS=$threads hash "$program, $threads threads" $recipe "$program" --threads $threads
    done
  done
  for isa in AVX2 AVX512_CORE AVX512_CORE_VNNI; do
    DNNL_MAX_CPU_ISA=$isa hash "oneDNN up to $isa" $recipe "$1"
  done
  DNNL_MAX_CPU_ISA=SSE41 hash "oneDNN up to SSE41 (before AVX2)" $recipe "$1"
  command -v qemu-x86_64 > /dev/null || continue
  for cpu in Haswell Skylake-Client EPYC max; do
    hash "qemu, $cpu" $recipe qemu-x86_64 -cpu $cpu "$1"
  done
  hash "qemu, Nehalem (before AVX2)" $recipe qemu-x86_64 -cpu Nehalem "$1"
done

[ "$(sort -u "$out/sums" | wc -l)" -eq 3 ] || { echo "the bytes differ" >&2; exit 1; }
echo "the same bytes everywhere"
