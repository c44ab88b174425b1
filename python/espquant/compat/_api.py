"""ESP-PPQ's calls."""

from __future__ import annotations

import os
import warnings
from typing import Any, Callable, Dict, Iterable, List, Optional

from .._data import Dataset
from .._errors import Error, EspquantWarning
from .._model import inspect
from .._quantize import quantize
from .._recipe import Recipe
from ._graph import QuantizedGraph, graphwise_error_analyse, layerwise_error_analyse, numpy_inputs
from ._recipe import layer_rules, recipe_of
from ._settings import QuantizationSetting, QuantizationSettingFactory, TargetPlatform

#: Arguments that change nothing here, with the default that is not worth a word, and why.
_WITHOUT_MEANING: Dict[str, tuple] = {
    "inputs": (None, "test values are those of the first calibration sample"),
    "dispatching_method": ("allin", "what the chip can run is quantized"),
    "device": ("cpu", "all work is done by the CPU's cores"),
    "test_output_names": (None, "test values are those of the network's outputs"),
    "streaming_table": (None, "see auto_streaming"),
    "streaming_input_shape": (None, "see auto_streaming"),
    "streaming_custom_passes": (None, "see auto_streaming"),
    "hi_precision": (False, "the simulation is exact in any case"),
    "int16_lut_step": (256, "tables have as many entries as their error asks for (quantization.table_error)"),
    "model_version": (0, "files of espquant have version 0"),
    "config_path": (None, "the .json lies beside the .espdl"),
}


def _refuse(condition: Any, what: str, remedy: str) -> None:
    if condition:
        raise Error(what, code="unsupported", remedy=remedy)


def _shapes(input_shape: Any, names: List[str]) -> Dict[str, list]:
    if not input_shape:
        return {}
    several = isinstance(input_shape[0], (list, tuple))
    shapes = list(input_shape) if several else [input_shape]
    if len(shapes) != len(names):
        raise Error(f"{len(shapes)} shapes for the inputs {', '.join(names)}")
    return {name: list(shape) for name, shape in zip(names, shapes)}


def _is_open(extent: Any) -> bool:
    return not isinstance(extent, int) or extent < 0


def _batches(dataloader: Iterable[Any], collate_fn: Optional[Callable]) -> Iterable[Any]:
    for batch in dataloader:
        yield numpy_inputs(batch, collate_fn)


def espdl_quantize_onnx(onnx_import_file: str, espdl_export_file: str, calib_dataloader: Iterable[Any],
                        calib_steps: int, input_shape: Any, inputs: Any = None, target: str = "esp32p4",
                        num_of_bits: int = 8, collate_fn: Optional[Callable] = None,
                        dispatching_override: Optional[Dict[str, int]] = None, dispatching_method: str = "allin",
                        setting: Optional[QuantizationSetting] = None, device: str = "cpu", error_report: bool = True,
                        skip_export: bool = False, export_config: bool = True, export_test_values: bool = False,
                        test_output_names: Optional[List[str]] = None, auto_streaming: bool = False,
                        streaming_table: Optional[list] = None, streaming_input_shape: Any = None,
                        streaming_custom_passes: Optional[list] = None, verbose: int = 0,
                        **kwargs: Any) -> QuantizedGraph:
    """Quantizes an .onnx as ESP-PPQ's function of this name does, with espquant.

    Arguments are ESP-PPQ's; docs/esp-ppq.md says what becomes of each. Those that have no meaning here are named in one
    warning. The .onnx is not touched. Raises espquant.Error.
    """
    given = dict(locals())
    if calib_dataloader is None or not calib_steps:
        raise Error("calib_dataloader and calib_steps are needed")
    _refuse(auto_streaming, "auto_streaming: streaming models are not made, only run",
            "Leave it out, or export the network with its states as inputs and outputs")
    _refuse(kwargs.get("float"), "float=True: models in float are not made", "Use num_of_bits=16")
    _refuse(kwargs.get("encrypt_data"), "encrypt_data: the file is not encrypted here",
            "Encrypt it with: espquant encrypt FILE.espdl --key KEY --out ENCRYPTED.espdl")
    if num_of_bits not in (8, 16):
        raise Error(f"num_of_bits = {num_of_bits}: it is 8 or 16")
    ignored = [f"{name}: {reason}" for name, (default, reason) in _WITHOUT_MEANING.items()
               if kwargs.get(name, given.get(name, default)) != default]
    known = {"float", "encrypt_data", "metadata_props", *_WITHOUT_MEANING}
    ignored += [f"{name}: not known" for name in kwargs if name not in known]

    setting = setting or QuantizationSettingFactory.espdl_setting()
    recipe = recipe_of(setting, num_of_bits, ignored)
    table = dict(setting.dispatching_table.items())
    table.update({name: TargetPlatform(int(platform)) for name, platform in (dispatching_override or {}).items()})
    ports = inspect(onnx_import_file)["inputs"]
    names = [port["name"] for port in ports]
    open_shapes = {port["name"] for port in ports if any(_is_open(e) for e in port["shape"] or [])}
    shapes = {name: shape for name, shape in _shapes(input_shape, names).items() if name in open_shapes}
    if table:
        rewritten = inspect(onnx_import_file, simplified=True, input_shapes=shapes)
        rules = layer_rules(list(table.items()), num_of_bits, rewritten, ignored)
        recipe = Recipe.from_toml(recipe.to_toml() + rules)
    if ignored:
        warnings.warn("without meaning in espquant: " + "; ".join(ignored), EspquantWarning, stacklevel=2)

    calib = Dataset(_batches(calib_dataloader, collate_fn), batches=calib_steps)
    quantized = quantize(onnx_import_file, calib, target=target, recipe=recipe, input_shapes=shapes,
                         test_values=export_test_values, metadata=kwargs.get("metadata_props") or {},
                         progress=bool(verbose))
    file = None
    if not skip_export:
        file = os.fspath(espdl_export_file)
        files = quantized.save_as(file)
        file = files[0]
        if not export_config:
            os.remove(os.path.splitext(file)[0] + ".json")
    graph = QuantizedGraph(quantized, file)
    if error_report:
        graphwise_error_analyse(graph)
        layerwise_error_analyse(graph)
    return graph


def espdl_quantize_torch(model: Any, espdl_export_file: str, calib_dataloader: Iterable[Any], calib_steps: int,
                         input_shape: Any, inputs: Any = None, target: str = "esp32p4", num_of_bits: int = 8,
                         collate_fn: Optional[Callable] = None, dispatching_override: Optional[Dict[str, int]] = None,
                         dispatching_method: str = "allin", setting: Optional[QuantizationSetting] = None,
                         device: str = "cpu", error_report: bool = True, skip_export: bool = False,
                         export_config: bool = True, export_test_values: bool = False,
                         test_output_names: Optional[List[str]] = None, auto_streaming: bool = False,
                         streaming_table: Optional[list] = None, streaming_input_shape: Any = None,
                         streaming_custom_passes: Optional[list] = None, opset_version: int = 18, verbose: int = 0,
                         **kwargs: Any) -> QuantizedGraph:
    """The same of a torch.nn.Module, which torch's own exporter writes beside the .espdl first, as an .onnx of the same
    name. Raises espquant.Error where torch is not installed."""
    arguments = {name: value for name, value in locals().items() if name not in ("model", "opset_version", "kwargs")}
    try:
        import torch
    except ImportError:
        raise Error("torch is not installed, which exports the model to .onnx", code="unsupported",
                    remedy="Install torch, or export the model elsewhere and call espdl_quantize_onnx") from None
    several = bool(input_shape) and isinstance(input_shape[0], (list, tuple))
    zeros = tuple(torch.zeros(list(shape)) for shape in (input_shape if several else [input_shape]))
    base = os.path.splitext(os.fspath(espdl_export_file))[0]
    os.makedirs(os.path.dirname(base) or ".", exist_ok=True)
    model = model.eval().to("cpu")
    torch.onnx.export(model, zeros if several else zeros[0], base + ".onnx", opset_version=opset_version,
                      do_constant_folding=True, **_exporter_choice(torch))
    return espdl_quantize_onnx(onnx_import_file=base + ".onnx", **arguments, **kwargs)


def _exporter_choice(torch: Any) -> dict:
    """From 2.9 on the exporter that needs no further package is no longer the default."""
    major, minor = (int(part) for part in str(torch.__version__).split(".")[:2])
    return {"dynamo": False} if (major, minor) >= (2, 9) else {}
