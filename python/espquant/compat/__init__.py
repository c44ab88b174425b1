"""ESP-PPQ's calls, by espquant: a script for ESP-PPQ runs when it imports these names from here.

    from espquant.compat import QuantizationSettingFactory, TorchExecutor, espdl_quantize_onnx, get_target_platform

docs/esp-ppq.md says what becomes of every argument and setting.
"""

from ._api import espdl_quantize_onnx, espdl_quantize_torch
from ._graph import QuantizedGraph, TorchExecutor, graphwise_error_analyse, layerwise_error_analyse
from ._settings import (DispatchingTable, QuantizationSetting, QuantizationSettingFactory, TargetPlatform,
                        get_target_platform)

__all__ = ["DispatchingTable", "QuantizationSetting", "QuantizationSettingFactory", "QuantizedGraph", "TargetPlatform",
           "TorchExecutor", "espdl_quantize_onnx", "espdl_quantize_torch", "get_target_platform",
           "graphwise_error_analyse", "layerwise_error_analyse"]
