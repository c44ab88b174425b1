"""A small network, written by hand: the field numbers are those of onnx.proto."""


def _varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _port(name, shape):
    dims = b"".join(_field(1, _field(1, extent)) for extent in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def two_inputs():
    """y = a + b, all 1x4."""
    node = _field(1, "a") + _field(1, "b") + _field(2, "y") + _field(3, "sum") + _field(4, "Add")
    graph = _field(1, node) + _field(2, "two") + b"".join(_field(11, _port(n, (1, 4))) for n in "ab")
    graph += _field(12, _port("y", (1, 4)))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))
