"""Quantizes ONNX networks for Espressif chips, and computes what the chip computes.

    >>> import espquant as eq
    >>> q = eq.quantize("model.onnx", calib=images, target="esp32s3", recipe="balanced")
    >>> q.noise, q.latency_ms
    >>> q.save("out/")
    >>> y = q.simulate(x)
"""

from . import _core
from ._data import Dataset
from ._errors import Error, EspquantWarning
from ._model import Model, Weight, check, inspect
from ._quantize import Analysis, Comparison, Quantized, analyze, compare, quantize
from ._recipe import Recipe

__version__ = _core.version()


def set_threads(threads: int) -> None:
    """Threads that all work may use; 0: all cores. Results never depend on it."""
    _core.use_threads(threads)


__all__ = ["Analysis", "Comparison", "Dataset", "Error", "EspquantWarning", "Model", "Quantized", "Recipe", "Weight",
           "analyze", "check", "compare", "inspect", "quantize", "set_threads"]
