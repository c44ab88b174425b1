"""What ESP-PPQ's calls give back, and what its scripts do with that."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from .._data import as_numpy
from .._quantize import Quantized


def _like(array: np.ndarray, given: Any) -> Any:
    """As a torch.Tensor where one was given."""
    torch = sys.modules.get("torch")
    return torch.from_numpy(np.ascontiguousarray(array)) if torch is not None and hasattr(given, "detach") else array


class QuantizedGraph:
    """A quantized network, in place of ESP-PPQ's BaseGraph."""

    def __init__(self, quantized: Quantized, file: Optional[str]) -> None:
        #: With figures, layers and files.
        self.quantized = quantized
        #: The .espdl that was written; None with skip_export.
        self.file = file
        self.model = quantized.model

    @property
    def operations(self) -> Dict[str, dict]:
        """Type, tensor, exponent and noise of each node, by its name."""
        return {layer["name"]: layer for layer in self.quantized.layers}

    @property
    def inputs(self) -> Dict[str, dict]:
        return {port["name"]: port for port in self.model.inputs}

    @property
    def outputs(self) -> Dict[str, dict]:
        return {port["name"]: port for port in self.model.outputs}

    def run(self, inputs: Any, output_names: Optional[Sequence[str]] = None) -> List[Any]:
        """The chip's results as floats, in the order of the outputs, or of `output_names`: see espquant.Model.run.
        torch.Tensors where those were given."""
        first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
        first = first[0] if isinstance(first, (list, tuple)) else first
        if isinstance(inputs, (list, tuple)) and len(self.model.inputs) == 1:
            inputs = inputs[0]
        results = self.model.run(inputs)
        if not isinstance(results, dict):
            results = {self.model.outputs[0]["name"]: results}
        return [_like(results[name], first) for name in output_names or self.outputs]

    __call__ = run

    def __repr__(self) -> str:
        return f"<QuantizedGraph {self.file or ''}: {self.quantized!r}>"

    def _repr_html_(self) -> str:
        return self.quantized._repr_html_()


class TorchExecutor:
    """Runs a graph as ESP-PPQ's class of this name does, but on the chip's integers, and without torch."""

    def __init__(self, graph: QuantizedGraph, fp16_mode: bool = False, device: str = "cpu") -> None:
        self.graph = graph

    def forward(self, inputs: Any, output_names: Optional[Sequence[str]] = None) -> List[Any]:
        return self.graph.run(inputs, output_names)

    __call__ = forward

    def tracing_operation_meta(self, inputs: Any) -> None:
        """Nothing is to be done: shapes are known."""


def layerwise_error_analyse(graph: QuantizedGraph, *_: Any, verbose: bool = True, **__: Any) -> Dict[str, float]:
    """Noise to signal of each layer when it alone is quantized, by name, the worst first."""
    return _report(graph, "noise_to_signal_alone", "Layerwise", verbose)


def graphwise_error_analyse(graph: QuantizedGraph, *_: Any, verbose: bool = True, **__: Any) -> Dict[str, float]:
    """Noise to signal at each layer when all before it are quantized, too, by name, the worst first."""
    return _report(graph, "noise_to_signal", "Graphwise", verbose)


def _report(graph: QuantizedGraph, key: str, title: str, verbose: bool) -> Dict[str, float]:
    noise = {layer["name"]: layer[key] for layer in graph.quantized.layers}
    worst_first = dict(sorted(noise.items(), key=lambda item: -item[1]))
    if verbose:
        width = max(map(len, worst_first), default=5)
        print(f"{title} noise to signal, simulated")
        for name, value in worst_first.items():
            print(f"  {name:<{width}}  {100 * value:7.3f} %")
    return worst_first


def numpy_inputs(batch: Any, collate_fn: Any) -> Any:
    """A batch as espquant.Dataset takes it."""
    if collate_fn is not None:
        batch = collate_fn(batch)
    if isinstance(batch, (tuple, list)):
        return [as_numpy(array).astype(np.float32) for array in batch]
    if isinstance(batch, dict):
        return {name: as_numpy(array).astype(np.float32) for name, array in batch.items()}
    return as_numpy(batch).astype(np.float32)
