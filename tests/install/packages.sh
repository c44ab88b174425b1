#!/bin/sh
# packages.sh PACKAGES: each package in a Debian of its own, as root. Both must write the file that the other writes, and leave
# nothing behind when they are removed.
set -eu
packages=$1
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
suite=bookworm

echo "a clean Debian ..."
debootstrap --variant=minbase --include=python3,python3-pip,python3-numpy "$suite" "$work/clean" > "$work/debootstrap.log" 2>&1 ||
  { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }
mkdir "$work/clean/example"
cp "$source"/examples/gesture/gesture.onnx "$source"/examples/gesture/calib.npz "$source"/examples/gesture/test.npz "$work/clean/example"
cat > "$work/clean/example/session.py" << 'SESSION'
import numpy as np
import espquant as eq
q = eq.quantize("/example/gesture.onnx", "/example/calib.npz", test="/example/test.npz")
assert q.accuracy() > 0.9 and all(v["passed"] for v in q.model.verify(exact=True))
assert q.simulate(np.load("/example/test.npz")["images"][:10]).shape == (10, 8)
q.save_as("/example/python.espdl")
SESSION
cp -a "$work/clean" "$work/apt"
files_of() { (cd "$1" && find usr etc opt -type f -o -type l | grep -v __pycache__ | sort); }

echo "the wheel ..."
cp "$packages"/*.whl "$work/clean/"
files_of "$work/clean" > "$work/before"
chroot "$work/clean" sh -c 'pip install --quiet --no-index --no-deps --break-system-packages --root-user-action=ignore /*.whl && cd / &&
  python3 /example/session.py'
open=$(find "$work/clean/usr/local" -path '*espquant*' -name '*.so*' -exec objdump -p {} + | awk '$1 == "NEEDED" {print $2}' | sort -u |
  grep -v -- '-[0-9a-f]\{8\}\.so' | grep -Ev '^(lib(c|m|dl|rt|pthread|mvec)\.so\.|ld-linux)' || true)
[ -z "$open" ] || { echo "packages.sh: the wheel needs $open" >&2; exit 1; }
chroot "$work/clean" pip uninstall --quiet --yes --break-system-packages --root-user-action=ignore espquant
files_of "$work/clean" | diff "$work/before" - || { echo "packages.sh: pip uninstall left something" >&2; exit 1; }

echo "the .deb ..."
cp "$packages"/*.deb "$work/apt/"
chroot "$work/apt" sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends /*.deb' > "$work/apt.log" 2>&1 ||
  { tail -n 20 "$work/apt.log" >&2; exit 1; }
chroot "$work/apt" sh -c '! command -v c++ && python3 /example/session.py &&
  espquant quantize /example/gesture.onnx --calib /example/calib.npz --out /example/out --quiet &&
  espquant verify /example/out/gesture_int8/gesture_int8.espdl'
cmp "$work/apt/example/python.espdl" "$work/clean/example/python.espdl"
cmp "$work/apt/example/python.espdl" "$work/apt/example/out/gesture_int8/gesture_int8.espdl"
chroot "$work/apt" apt-get purge -q -y espquant > "$work/apt.log" 2>&1
left=$(find "$work/apt/usr" "$work/apt/etc" -name '*espquant*' | grep -v __pycache__ || true)
[ -z "$left" ] || { echo "packages.sh: apt purge left $left" >&2; exit 1; }
echo "both are well"
