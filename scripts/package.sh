#!/bin/sh
# Builds, and makes packages in build/packages: espquant_VERSION_ARCH.deb (program, library, headers, Python module) and a wheel
# with all libraries that it needs. `scripts/package.sh --test` installs each into a clean Debian, too (as root, with debootstrap),
# runs the bundled example there without a compiler, and removes it again.
set -eu
cd "$(dirname "$0")/.."

scripts/build.sh
for tool in dpkg-shlibdeps patchelf; do
  command -v "$tool" > /dev/null || { echo "package.sh: $tool is missing: apt install dpkg-dev patchelf" >&2; exit 1; }
done
out=$PWD/build/packages
rm -rf "$out"
mkdir -p "$out"
(cd build && cpack -B "$out" > "$out/cpack.log" 2>&1) || { cat "$out/cpack.log" >&2; exit 1; }
rm -rf "$out/_CPack_Packages"
for deb in "$out"/*.deb; do
  echo "$deb  $(du -h "$deb" | cut -f 1)"
done
if ls build/python/espquant/_core.*.so > /dev/null 2>&1; then
  /usr/bin/python3 scripts/wheel.py build "$out"
fi
[ "${1:-}" != --test ] || tests/install/packages.sh "$out"
