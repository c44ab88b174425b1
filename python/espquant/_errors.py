"""What espquant raises and warns of."""

from __future__ import annotations

from . import _core


class Error(Exception):
    """A refusal, with what to do about it.

    Attributes:
        code: "usage", "io", "malformed", "unsupported", "illegal" (the chip cannot run it), "bad-data", or
            "internal", which is a fault of espquant.
        message: what is wrong.
        remedy: what to do about it, or "".
        file, node, tensor: where, each "" if unknown.
    """

    def __init__(self, text: str, *, code: str = "usage", message: str = "", file: str = "", node: str = "",
                 tensor: str = "", remedy: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.message = message or text
        self.file, self.node, self.tensor, self.remedy = file, node, tensor, remedy

    @property
    def where(self) -> str:
        """The place: "model.onnx: node 'Conv_3'"; "" if unknown."""
        parts = [self.file] if self.file else []
        parts += [f"node '{self.node}'"] if self.node else []
        parts += [f"tensor '{self.tensor}'"] if self.tensor else []
        return ": ".join(parts)

    def __reduce__(self):
        return _restored, (str(self), dict(self.__dict__))


def _restored(text: str, members: dict) -> Error:
    error = Error(text)
    error.__dict__.update(members)
    return error


class EspquantWarning(UserWarning):
    """A file was made, but it may not be what was meant."""


_core.set_error_class(Error)
