"""Protocol Buffers, npy, zip and PNG by hand: as much as it takes to write files that are wrong in one place."""

import struct
import zlib


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number, value):
    """One field: whole numbers as varints, floats in 32 bits, text and bytes by their length."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def boundaries(data, nested, at=0, end=None):
    """Where fields start, and where lengths stand with their values: [(offset, length's offset or None)]."""
    end = len(data) if end is None else end
    found = []
    while at < end:
        start = at
        key, at = read_varint(data, at)
        kind, number = key & 7, key >> 3
        length_at = None
        if kind == 0:
            _, at = read_varint(data, at)
        elif kind == 5:
            at += 4
        elif kind == 1:
            at += 8
        else:
            length_at = at
            size, at = read_varint(data, at)
            if number in nested:
                found += boundaries(data, nested[number], at, at + size)
            at += size
        found.append((start, length_at))
    return found


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


# --- ONNX

FLOAT, INT64 = 1, 7
TENSOR, GRAPH, INT, INTS = 4, 5, 2, 7

_TENSOR = {13: {}}
_ATTRIBUTE = {5: _TENSOR}
_NODE = {5: _ATTRIBUTE}
_VALUE = {2: {1: {2: {1: {}}}}}
_GRAPH = {1: _NODE, 5: _TENSOR, 11: _VALUE, 12: _VALUE, 13: _VALUE}
MODEL = {7: _GRAPH, 8: {}}


def tensor(name, dims, values=(), kind=FLOAT, raw=None, external=None, location=None):
    fields = [(1, d) for d in dims] + [(2, kind), (8, name)]
    if external is not None:
        fields += [(13, message((1, key), (2, text))) for key, text in external.items()]
        fields.append((14, 1 if location is None else location))
    else:
        code = "<%df" % len(values) if kind == FLOAT else "<%dq" % len(values)
        fields.append((9, struct.pack(code, *values) if raw is None else raw))
    return message(*fields)


def info(name, dims, kind=FLOAT):
    shape = b"".join(field(1, message((1, d)) if isinstance(d, int) else message((2, d))) for d in dims)
    return message((1, name), (2, message((1, message((1, kind), (2, shape))))))


def attribute(name, value):
    if isinstance(value, int):
        return message((1, name), (3, value), (20, INT))
    if isinstance(value, list):
        return message((1, name), *[(8, v) for v in value], (20, INTS))
    number, kind = (5, TENSOR) if value[0] == "t" else (6, GRAPH)
    return message((1, name), (number, value[1]), (20, kind))


def node(op, inputs, outputs, name="", domain="", **attributes):
    fields = [(1, i) for i in inputs] + [(2, o) for o in outputs] + [(3, name or op.lower()), (4, op)]
    fields += [(5, attribute(key, value)) for key, value in attributes.items()]
    return message(*fields, *([(7, domain)] if domain else []))


def graph(nodes, inputs, outputs, constants=(), name="g"):
    return message(*[(1, n) for n in nodes], (2, name), *[(5, c) for c in constants],
                   *[(11, i) for i in inputs], *[(12, o) for o in outputs])


def model(body, opset=17, functions=()):
    return message((1, 8), (7, body), (8, message((2, opset))), *[(25, f) for f in functions])


# --- npy, zip, PNG

def npy(descr="<f4", shape="(1, 3, 2, 2)", payload=bytes(48), order="False"):
    text = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + payload


def archive(members, crc=None, size=None, packed=None, offset=None, entries=None, method=8, flags=0):
    """A zip of (name, content); what is given replaces what is true in the first member's directory entry."""
    body, directory = b"", b""
    for i, (name, content) in enumerate(members):
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = deflate.compress(content) + deflate.flush() if method == 8 else content
        first = i == 0
        sums = (zlib.crc32(content) if crc is None or not first else crc,
                len(data) if packed is None or not first else packed,
                len(content) if size is None or not first else size)
        common = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0, *sums, len(name), 0)
        where = len(body) if offset is None or not first else offset
        directory += b"PK\x01\x02\x14\x00" + common + struct.pack("<HHHII", 0, 0, 0, 0, where) + name.encode()
        body += b"PK\x03\x04" + common + name.encode() + data
    count = len(members) if entries is None else entries
    return body + directory + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)


def png(width=2, height=2, depth=8, kind=2, rows=None, crc_delta=0):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", (zlib.crc32(name + data) + crc_delta) & 0xFFFFFFFF)
    rows = bytes(14) if rows is None else rows
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
