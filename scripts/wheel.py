#!/usr/bin/env python3
"""wheel.py BUILD OUT: puts the Python module of a build folder into a wheel, with every library that it needs but
those of glibc, each under a name of its own, so that a system's copy never gets in between. Prints its name and size.
Needs patchelf and strip. Equal bytes for equal content."""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

GLIBC = re.compile(r"^(lib(c|m|dl|rt|pthread|util|resolv|mvec)\.so\.|ld-linux|linux-vdso)")
LARGEST = 60 << 20
EPOCH = (1980, 1, 1, 0, 0, 0)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def needed(file):
    """Names and paths of the libraries that `file` loads, those of glibc left out."""
    found = {}
    for line in run("ldd", str(file)).splitlines():
        match = re.match(r"\s*(\S+) => (\S+) \(", line)
        if match and not GLIBC.match(match[1]):
            found[match[1]] = match[2]
        if "not found" in line:
            sys.exit(f"wheel.py: {line.strip()}, which {file} needs")
    return found


def direct(file):
    return [name for name in run("patchelf", "--print-needed", str(file)).split() if not GLIBC.match(name)]


def bundle(module, folder):
    """Copies libraries into `folder`, and makes all that load them find them there."""
    folder.mkdir()
    names = {}
    libraries = needed(module)
    for name, path in sorted(libraries.items()):
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]
        stem, rest = name.split(".so", 1)
        names[name] = f"{stem}-{digest}.so{rest}"
    for name, path in sorted(libraries.items()):
        copy = folder / names[name]
        shutil.copy(os.path.realpath(path), copy)
        copy.chmod(0o755)
        run("strip", "--strip-unneeded", str(copy))
        run("patchelf", "--set-soname", names[name], "--set-rpath", "$ORIGIN", str(copy))
        for other in direct(copy):
            run("patchelf", "--replace-needed", other, names[other], str(copy))
    run("strip", "--strip-unneeded", str(module))
    run("patchelf", "--set-rpath", "$ORIGIN/../espquant.libs", str(module))
    for other in direct(module):
        run("patchelf", "--replace-needed", other, names[other], str(module))


def record_of(data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(data)}"


def main(build, out):
    source = Path(__file__).resolve().parent.parent
    version = re.search(r"^CMAKE_PROJECT_VERSION:\w+=(\S+)", (build / "CMakeCache.txt").read_text(), re.M)[1]
    (built,) = (build / "python" / "espquant").glob("_core.*.so")
    tag = re.search(r"cpython-(\d+)", built.name)[1]
    tag = f"cp{tag}-cp{tag}-linux_{os.uname().machine}"
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        shutil.copytree(source / "python" / "espquant", root / "espquant", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(built, root / "espquant" / built.name)
        bundle(root / "espquant" / built.name, root / "espquant.libs")
        info = root / f"espquant-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: espquant\nVersion: {version}\n"
            "Summary: Quantizes ONNX networks for Espressif chips, and computes what the chip computes\n"
            f"License: {(source / 'LICENSE').read_text().splitlines()[0].strip()}\n"
            f"Requires-Python: >=3.{tag[3:tag.index('-')]}\nRequires-Dist: numpy\n")
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nGenerator: espquant\nRoot-Is-Purelib: false\nTag: {tag}\n")
        shutil.copy(source / "LICENSE", info / "LICENSE")
        records = []
        out.mkdir(parents=True, exist_ok=True)
        wheel = out / f"espquant-{version}-{tag}.whl"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            def add(name, data, mode):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.external_attr = (0o100000 | mode) << 16
                archive.writestr(entry, data, zipfile.ZIP_DEFLATED)

            for file in sorted(p for p in root.rglob("*") if p.is_file()):
                data, name = file.read_bytes(), file.relative_to(root).as_posix()
                records.append(f"{name},{record_of(data)}")
                add(name, data, 0o755 if ".so" in file.name else 0o644)
            add(f"{info.name}/RECORD", "\n".join(records + [f"{info.name}/RECORD,,", ""]), 0o644)
    size = wheel.stat().st_size
    print(f"{wheel}  {size / 2**20:.1f} MiB")
    if size > LARGEST:
        sys.exit(f"wheel.py: more than {LARGEST >> 20} MiB")


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
