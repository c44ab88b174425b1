#!/usr/bin/python3
"""Makes hundreds of files that are wrong in one place, and has espquant refuse each of them.

    tests/malformed/make.py PROGRAM EXAMPLES [PART]

PROGRAM is espquant, EXAMPLES the project's folder of that name; PART runs only cases whose names begin with it. Each must
end with 1 or 2, in one message that names what is wrong and no sign of a fault of our own, with less than a gigabyte
of memory and within a minute on the slowest of machines. Prints what did otherwise, and ends with 1 if anything did.
"""

import concurrent.futures
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire  # noqa: E402
from wire import archive, attribute, graph, info, model, node, npy, png, tensor  # noqa: E402

MEMORY = 1 << 30
SECONDS = 60


class Case:
    def __init__(self, name, files, arguments, says=""):
        self.name, self.files, self.arguments, self.says = name, files, arguments, says


def onnx(name, content, says, **others):
    # From the network to the file: what is refused late is refused all the same.
    return Case("onnx " + name, {"m.onnx": content, "c.npy": SAMPLES, **others},
                ["quantize", "m.onnx", "--calib", "c.npy", "--target", "esp32s3", "--recipe", "int8", "--out", "o"], says)


def relu(inputs=None, outputs=None, nodes=None, constants=(), **more):
    """y = Relu(x), but for what is given."""
    return model(graph(nodes or [node("Relu", ["x"], ["y"])], inputs or [info("x", [1, 3, 8, 8])],
                       outputs or [info("y", [1, 3, 8, 8])], constants), **more)


def conv(x=(1, 3, 8, 8), w=(4, 3, 3, 3), weights=None, **attributes):
    values = [0.0] * (w[0] * w[1] * w[2] * w[3]) if weights is None else weights
    return model(graph([node("Conv", ["x", "w"], ["y"], **attributes)], [info("x", list(x))], [info("y", [1])],
                       [tensor("w", list(w), values)]))


def with_weights(constant):
    """y = x + w with that w."""
    return relu(nodes=[node("Add", ["x", "w"], ["y"])], constants=[constant])


SAMPLES = npy(shape="(4, 3, 8, 8)", payload=struct.pack("<768f", *[((i * 37) % 101) / 50 - 1 for i in range(768)]))
HUGE = [(1 << 62), (1 << 63) - 1, 1 << 40, 1 << 32]


def onnx_cases(examples):
    good = (examples / "gesture" / "gesture.onnx").read_bytes()
    cuts = wire.boundaries(good, wire.MODEL)
    # Behind the graph stand only the operator sets: what is cut there lacks them.
    step = max(1, len(cuts) // 90)
    for at, _ in cuts[1::step]:
        yield onnx("cut at byte %d" % at, good[:at], "")
    lengths = [at for _, at in cuts if at is not None]
    step = max(1, len(lengths) // 60)
    for at in lengths[::step]:
        size, end = wire.read_varint(good, at)
        yield onnx("length at byte %d inflated" % at, good[:at] + wire.varint(size + (1 << 30)) + good[end:], "damaged")
    yield onnx("empty", b"", "")
    yield onnx("zeros", bytes(4096), "")
    yield onnx("text", b"hello\n" * 100, "")
    yield onnx("no graph", wire.message((1, 8), (8, wire.message((2, 17)))), "")
    yield onnx("empty graph", model(graph([], [], [])), "outputs")
    yield onnx("no operator set", wire.message((1, 8), (7, graph([], [], []))), "operator set")
    for opset in (0, 1, 5, 99, (1 << 63) - 1, -1):
        yield onnx("operator set %d" % opset, relu(opset=opset), "operator set")

    yield onnx("cycle of two", relu(nodes=[node("Add", ["x", "b"], ["a"], "first"), node("Relu", ["a"], ["b"], "second"),
                                           node("Relu", ["b"], ["y"])]), "")
    yield onnx("cycle of one", relu(nodes=[node("Add", ["x", "y"], ["y"])]), "")
    yield onnx("name made twice", relu(nodes=[node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"], "again")]), "'y'")
    yield onnx("node makes the input", relu(nodes=[node("Relu", ["x"], ["x"])]), "'x'")
    yield onnx("two constants of a name", relu(nodes=[node("Add", ["x", "w"], ["y"])],
                                               constants=[tensor("w", [1], [1.0]), tensor("w", [1], [2.0])]), "'w'")
    yield onnx("input listed twice", relu(inputs=[info("x", [1, 3, 8, 8]), info("x", [1, 3, 8, 8])]), "'x'")
    yield onnx("input without a name", relu(inputs=[info("", [1, 3, 8, 8])]), "")
    yield onnx("constant without a name", relu(constants=[tensor("", [1], [1.0])]), "name")
    yield onnx("node reads nothing", relu(nodes=[node("Relu", ["nobody"], ["y"])]), "'nobody'")
    yield onnx("output from nowhere", relu(outputs=[info("z", [1])]), "'z'")
    yield onnx("node without inputs", relu(nodes=[node("Relu", [], ["y"])]), "relu")
    yield onnx("input left out", relu(nodes=[node("Conv", ["x", ""], ["y"])]), "conv")

    for extent in HUGE:
        yield onnx("input of extent %d" % extent, relu(inputs=[info("x", [1, extent, extent, 4])]), "")
        yield onnx("constant of extent %d" % extent, with_weights(tensor("w", [extent, 4], [1.0])), "'w'")
        yield onnx("reshape to %d" % extent, relu(nodes=[node("Reshape", ["x", "s"], ["y"])],
                   constants=[tensor("s", [2], [extent, 4], wire.INT64)]), "reshape")
        yield onnx("expand to %d" % extent, relu(nodes=[node("Expand", ["x", "s"], ["y"])],
                   constants=[tensor("s", [4], [extent, 3, 8, 8], wire.INT64)]), "")
        yield onnx("tile by %d" % extent, relu(nodes=[node("Tile", ["x", "s"], ["y"])],
                   constants=[tensor("s", [4], [extent, 1, 1, 1], wire.INT64)]), "")
        yield onnx("constant of shape %d" % extent, relu(nodes=[node("ConstantOfShape", ["s"], ["c"]),
                   node("Add", ["x", "c"], ["y"])], constants=[tensor("s", [2], [extent, 8], wire.INT64)]), "")
        yield onnx("range to %d" % extent, relu(nodes=[node("Range", ["a", "b", "c"], ["r"]), node("Cast", ["r"], ["f"], to=1),
                   node("Add", ["x", "f"], ["y"])], constants=[tensor(n, [], [v], wire.INT64)
                   for n, v in (("a", 0), ("b", extent), ("c", 1))]), "")
        yield onnx("pads of %d" % extent, conv(pads=[extent, 0, extent, 0]), "conv")
        yield onnx("pad by %d" % extent, relu(nodes=[node("Pad", ["x", "p"], ["y"])],
                   constants=[tensor("p", [8], [0, 0, extent, 0, 0, 0, extent, 0], wire.INT64)]), "pad")
        yield onnx("dilations of %d" % extent, conv(dilations=[extent, extent]), "conv")
        yield onnx("pool of %d" % extent, relu(nodes=[node("MaxPool", ["x"], ["y"], kernel_shape=[extent, extent])]),
                   "maxpool")
    for extent in (-1, -8, -(1 << 63)):
        yield onnx("constant of extent %d" % extent, with_weights(tensor("w", [extent], [1.0])), "'w'")
        yield onnx("kernel of %d" % extent, conv(kernel_shape=[extent, extent]), "conv")
        yield onnx("stride of %d" % extent, conv(strides=[extent, extent]), "conv")
        yield onnx("dilation of %d" % extent, conv(dilations=[extent, extent]), "conv")
        yield onnx("group of %d" % extent, conv(group=extent), "conv")
    for key in ("strides", "dilations"):
        yield onnx("%s of zero" % key, conv(**{key: [0, 0]}), "conv")
        yield onnx("three %s" % key, conv(**{key: [1, 1, 1]}), "conv")
    yield onnx("group of zero", conv(group=0), "conv")
    yield onnx("group that does not divide", conv(group=2), "conv")
    yield onnx("weights of other channels", conv(w=(4, 5, 3, 3)), "conv")
    yield onnx("weights larger than the input", conv(w=(4, 3, 9, 9)), "conv")
    for op, given in (("Softmax", {"axis": 9}), ("Concat", {"axis": -9}), ("Flatten", {"axis": 77}),
                      ("Transpose", {"perm": [0, 0, 1, 2]}), ("Transpose", {"perm": [0, 1, 2, 9]}),
                      ("Transpose", {"perm": [0]}), ("DepthToSpace", {"blocksize": 0}),
                      ("DepthToSpace", {"blocksize": -2}), ("SpaceToDepth", {"blocksize": 3}),
                      ("MaxPool", {"kernel_shape": [2]}), ("AveragePool", {"kernel_shape": [0, 0]}),
                      ("Split", {"axis": 7}), ("Cast", {"to": 99}), ("Cast", {"to": 0}), ("LRN", {"size": 0})):
        yield onnx("%s with %s" % (op, given), relu(nodes=[node(op, ["x"], ["y"], **given)]), op.lower())
    yield onnx("attribute of another type", relu(nodes=[node("Concat", ["x"], ["y"], axis=[1, 2])]), "concat")
    yield onnx("gather outside", relu(nodes=[node("Gather", ["x", "i"], ["y"], axis=1)],
                                      constants=[tensor("i", [1], [99], wire.INT64)]), "gather")
    yield onnx("unknown operator", relu(nodes=[node("Frobnicate", ["x"], ["y"])]), "Frobnicate")
    yield onnx("unknown domain", relu(nodes=[node("Relu", ["x"], ["y"], domain="com.example")]), "")

    yield onnx("too few bytes", with_weights(tensor("w", [8], raw=bytes(4))), "'w'")
    yield onnx("too many bytes", with_weights(tensor("w", [8], raw=bytes(64))), "'w'")
    for kind in (0, 8, 15, 16, 23, 99, -1):
        yield onnx("element type %d" % kind, with_weights(tensor("w", [8], kind=kind, raw=bytes(32))), "'w'")
        if kind != 16:  # bfloat16 is read
            yield onnx("input of element type %d" % kind, relu(inputs=[info("x", [1, 3, 8, 8], kind)]), "'x'")
    for name, value in (("NaN", float("nan")), ("infinity", float("inf")), ("minus infinity", float("-inf"))):
        yield onnx("%s in weights" % name, conv(weights=[value] * 108), "'w'")

    data = {"w.bin": bytes(32), "sub": None}
    for name, path in (("absolute", "/etc/hostname"), ("parent", "../w.bin"), ("parent within", "sub/../../w.bin"),
                       ("no name", ""), ("device", "/dev/zero"), ("missing", "nothing.bin"), ("folder", "sub"),
                       ("zero in the name", "w.bin\0x")):
        yield onnx("external data, %s" % name, with_weights(tensor("w", [8], external={"location": path})), "xternal", **data)
    yield onnx("external data, link out", with_weights(tensor("w", [8], external={"location": "l"})), "link", l=("link", "/etc/passwd"))
    yield onnx("external data, link to a device", with_weights(tensor("w", [8], external={"location": "l"})), "link", l=("link", "/dev/zero"))
    for key, value in (("offset", "-1"), ("offset", "100"), ("offset", "18446744073709551615"), ("offset", "x"),
                       ("length", "-1"), ("length", "9999"), ("length", "1e3"), ("length", "99999999999999999999999")):
        yield onnx("external data, %s %s" % (key, value),
                   with_weights(tensor("w", [8], external={"location": "w.bin", key: value})), "xternal", **data)
    yield onnx("external data, no location", with_weights(tensor("w", [8], external={"offset": "0"})), "xternal")
    yield onnx("external data, unknown location kind", with_weights(tensor("w", [8], external={"location": "w.bin"}, location=7)), "'w'", **data)
    yield onnx("external data, too large", with_weights(tensor("w", [1 << 38], external={"location": "w.bin"})), "xternal", **data)

    deep = graph([node("Relu", ["x"], ["y"])], [], [info("y", [1])])
    for _ in range(120):
        deep = graph([node("If", ["c"], ["y"], then_branch=("g", deep), else_branch=("g", graph(
            [node("Relu", ["x"], ["y"])], [], [info("y", [1])])))], [], [info("y", [1])])
    yield onnx("120 branches within each other", model(deep), "")
    body = graph([node("Identity", ["c"], ["d"]), node("Relu", ["s"], ["t"])], [info("i", [], 7), info("c", [], 9), info("s", [1])],
                 [info("d", [], 9), info("t", [1])])
    for trips in (1 << 40, 1 << 20):
        yield onnx("loop of %d steps" % trips, relu(nodes=[node("Loop", ["n", "", "x"], ["y"], body=("g", body))],
                   constants=[tensor("n", [], [trips], wire.INT64)]), "loop")
    calls = [wire.message((1, "f%d" % i), (4, "a"), (5, "c"), (7, node("f%d" % (i + 1), ["a"], ["b"], domain="d")),
                          (7, node("f%d" % (i + 1), ["b"], ["c"], domain="d")), (10, "d")) for i in range(40)]
    yield onnx("functions that double forty times", relu(nodes=[node("f0", ["x"], ["y"], domain="d")], functions=calls), "")
    yield onnx("function that calls itself", relu(nodes=[node("f", ["x"], ["y"], domain="d")], functions=[
        wire.message((1, "f"), (4, "a"), (5, "b"), (7, node("f", ["a"], ["b"], domain="d")), (10, "d"))]), "calls itself")


def espdl_cases(good):
    def case(name, content, says="", command=("inspect",)):
        return Case("espdl " + name, {"m.espdl": content}, [*command, "m.espdl"], says)
    size = len(good)
    for at in [0, 1, 3, 4, 7, 8, 11, 12, 15, 16] + list(range(20, size, max(1, size // 50))):
        yield case("cut at byte %d" % at, good[:at])
    for n in (size, size * 2, 1 << 31, (1 << 32) - 1):
        yield case("payload of %d" % n, good[:8] + struct.pack("<I", n) + good[12:], "bytes")
    for mode in (2, 255, 1 << 31):
        yield case("encryption mode %d" % mode, good[:4] + struct.pack("<I", mode) + good[8:], "mode")
    yield case("encrypted without a key", good[:4] + struct.pack("<I", 1) + good[8:], "encrypted")
    for word in (b"EDL0", b"EDL9", b"PDL1", b"PDL2", b"PDL3", b"ONNX"):
        yield case("begins with %s" % word.decode(), word + good[4:])
    # Where the root stands, and the first words of the FlatBuffer.
    for at in range(16, 16 + 4 * 12, 4):
        for value in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000):
            content = good[:at] + struct.pack("<I", value) + good[at + 4:]
            yield Case("espdl word %d is %#x" % (at, value), {"m.espdl": content}, ["inspect", "m.espdl"], None)


def array_cases():
    def case(name, content, says="", suffix="npz"):
        return Case(suffix + " " + name, {"m.espdl": MODEL_FILE, "x." + suffix: content},
                    ["run", "m.espdl", "--input", "x." + suffix, "--out", "y.npz"], says)

    def single(name, content, says=""):
        return case(name, content, says, "npy")
    good = npy()
    for at in list(range(0, 12)) + list(range(12, len(good), 8)):
        yield single("cut at byte %d" % at, good[:at])
    for shape in ("(1, 3, 2)", "(1, 3, 2, 3)", "(99999999999, 99999999999)", "(-1, 3, 2, 2)", "(1, 3, 2, 2", "1, 3, 2, 2)",
                  "(281474976710656,)", "(0, 281474976710656, 281474976710656)", "(1e3,)", "(%s)" % "1, " * 40, "()", "x"):
        yield single("shape %s" % shape[:40], npy(shape=shape))
    for descr in ("|O", ">f4", "<f16", "<c8", "<U4", "<V4", "", "f4", "<i3", "|f4", "<f4\\x00"):
        yield single("elements '%s'" % descr, npy(descr=descr))
    yield single("order", npy(order="Maybe"), "header")
    yield single("version 9", good[:6] + b"\x09" + good[7:], "version")
    yield single("header of 64 KB", good[:8] + b"\xff\xff" + good[10:])
    yield single("text behind the header", good.replace(b"}", b"} 1", 1), "header")
    for name, value in (("NaN", float("nan")), ("infinity", float("inf"))):
        yield single(name, npy(payload=struct.pack("<f", value) * 12), "NaN")
    arrays = [("x.npy", good)]
    whole = archive(arrays)
    for at in range(0, len(whole), max(1, len(whole) // 30)):
        yield case("cut at byte %d" % at, whole[:at])
    for name, given in (("wrong sum", {"crc": 1}), ("size too large", {"size": len(good) + 1}), ("size of 4 GB", {"size": (1 << 32) - 2}),
                        ("packed size too large", {"packed": 1 << 30}), ("packed size of zero", {"packed": 0}),
                        ("member out of the file", {"offset": 1 << 30}), ("more members than there are", {"entries": 500}),
                        ("unknown method", {"method": 12}), ("encrypted", {"flags": 1})):
        yield case(name, archive(arrays, **given))
    yield case("two of a name", archive(arrays * 2))
    yield case("no array", archive([("x.txt", b"hello")]), "x.txt")
    yield case("empty", archive([]))
    yield case("bomb", archive([("x.npy", npy(shape="(1048576, 3, 2, 2)", payload=bytes(1 << 26)))] * 1 +
                               [("x%d.npy" % i, good) for i in range(3)]))
    yield case("bomb that lies", archive([("x.npy", good[:128] + bytes(1 << 24))]))


def picture_cases(examples):
    def case(name, content, suffix="png"):
        return Case("picture " + name, {"m.onnx": (examples / "gesture" / "gesture.onnx").read_bytes(), "p/1." + suffix: content},
                    ["quantize", "m.onnx", "--calib", "p", "--target", "esp32s3", "--out", "o"])
    good = png()
    for at in range(0, len(good) - 12, 4):
        yield case("cut at byte %d" % at, good[:at])
    for name, given in (("of no width", {"width": 0}), ("of no height", {"height": 0}), ("of 2^31 columns", {"width": 1 << 31}),
                        ("100000 x 100000", {"width": 100000, "height": 100000}), ("depth of 3", {"depth": 3}), ("kind 5", {"kind": 5}),
                        ("wrong sums", {"crc_delta": 1}), ("too few rows", {"rows": bytes(3)})):
        yield case(name, png(**given))
    yield case("jpeg of nothing", b"\xff\xd8\xff\xd9", "jpg")
    yield case("jpeg cut short", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03", "jpg")


def recipe_cases(examples):
    def case(name, text, says=""):
        return Case("recipe " + name, {"m.onnx": (examples / "gesture" / "gesture.onnx").read_bytes(),
                                       "c.npz": (examples / "gesture" / "calib.npz").read_bytes(), "r.toml": text},
                    ["quantize", "m.onnx", "--calib", "c.npz", "--target", "esp32s3", "--recipe", "r.toml", "--out", "o"], says)
    for name, text in (("nested lists", b"x = " + b"[" * 100000), ("nested tables", b"x = " + b"{a=" * 50000), ("dotted without end", b"a" + b".a" * 50000 + b" = 1"),
                       ("tables without end", b"".join(b"[t%d]\n" % i for i in range(20000))), ("a line of a megabyte", b"x = \"" + b"y" * (1 << 20)),
                       ("zeros", bytes(1000)), ("no text", bytes(range(128, 256))), ("key twice", b"name = \"a\"\nname = \"b\"\n"),
                       ("unknown key", b"nmae = \"x\"\n"), ("number for text", b"name = 3\n"), ("open text", b"name = \"x\n"),
                       ("large number", b"seed = 99999999999999999999999999\n"), ("NaN", b"tolerance = nan\n"), ("empty table name", b"[]\n"),
                       ("unfinished", b"name =")):
        yield case(name, text)


def make_model_file(program, folder, examples):
    """An .espdl that takes floats of shape 1x3x2x2."""
    (folder / "m.onnx").write_bytes(relu(inputs=[info("x", [1, 3, 2, 2])], outputs=[info("y", [1, 3, 2, 2])],
                                         nodes=[node("Conv", ["x", "w"], ["y"])],
                                         constants=[tensor("w", [3, 3, 1, 1], [0.5, 0.1, 0.2, 0.3, 0.4, 0.1, 0.6, 0.2, 0.3])]))
    values = [((i * 37) % 101) / 50 - 1 for i in range(12 * 8)]
    (folder / "c.npy").write_bytes(npy(shape="(8, 3, 2, 2)", payload=struct.pack("<96f", *values)))
    subprocess.run([program, "quantize", "m.onnx", "--calib", "c.npy", "--target", "esp32s3", "--out", "o", "--quiet"],
                   cwd=folder, check=True)
    return next((folder / "o").rglob("*.espdl")).read_bytes()


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (4 * MEMORY, 4 * MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge(program, case):
    """What is wrong with how the case ends, or nothing."""
    with tempfile.TemporaryDirectory(prefix="malformed-") as name:
        folder = pathlib.Path(name)
        for path, content in case.files.items():
            path = folder / path
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir()
            elif isinstance(content, tuple):
                path.symlink_to(content[1])
            else:
                path.write_bytes(content)
        before = sorted(p.name for p in folder.iterdir())
        try:
            with open(folder.parent / (folder.name + ".err"), "w+b") as err:
                process = subprocess.Popen([program, *case.arguments, "--threads", "1"], cwd=folder, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=err, preexec_fn=limit)
                try:
                    process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    return "took more than %d seconds" % SECONDS
                err.seek(0)
                text = err.read().decode(errors="replace")
        finally:
            os.unlink(folder.parent / (folder.name + ".err"))
        errors = [line for line in text.splitlines() if line.startswith("espquant: error: ")]
        if case.says is None and process.returncode == 0:
            return None
        if process.returncode not in (1, 2):
            return "ended with %d: %s" % (process.returncode, text[-300:])
        if len(errors) != 1 or "fault of espquant" in text or len(errors[0]) < 30:
            return "no message that a user can act on: %s" % text[-300:]
        if case.says and case.says.lower() not in errors[0].lower():
            return "does not name '%s': %s" % (case.says, errors[0][:300])
        if sorted(p.name for p in folder.iterdir()) != before:
            return "left files behind: %s" % sorted(p.name for p in folder.iterdir())
    return None


def main():
    global MODEL_FILE
    program, examples = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="malformed-") as name:
        MODEL_FILE = make_model_file(program, pathlib.Path(name), examples)
    cases = [*onnx_cases(examples), *espdl_cases(MODEL_FILE), *array_cases(), *picture_cases(examples), *recipe_cases(examples)]
    if len(sys.argv) > 3:
        cases = [c for c in cases if c.name.startswith(sys.argv[3])]
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for case, verdict in zip(cases, pool.map(lambda c: judge(program, c), cases)):
            if verdict:
                wrong += 1
                print("WRONG: %s: %s" % (case.name, verdict))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    if largest >= MEMORY:
        wrong += 1
        print("WRONG: one of them took %d MiB" % (largest >> 20))
    print("%d malformed files, %d not refused as they should be; at most %d MiB" % (len(cases), wrong, largest >> 20))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
