"""ESP-PPQ's settings: the same names and defaults, each mapped to a recipe by _recipe.py.

docs/esp-ppq.md says what becomes of each.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Dict, List, Tuple


class TargetPlatform(IntEnum):
    """Where an operator is computed, and in how many bits."""

    FP32 = 0
    SOI = -1
    UNSPECIFIED = -2
    ESPDL_INT8 = 551
    ESPDL_INT16 = 552
    ESPDL_S3_INT8 = 553
    ESPDL_S3_INT16 = 554
    ESPDL_H_PRE_INT16 = 555
    ESPDL_S3_H_PRE_INT16 = 556
    ESPDL_C_INT8 = 557
    ESPDL_C_INT16 = 558
    ESPDL_C_H_PRE_INT16 = 559

    @property
    def bits(self) -> int:
        """8 or 16; 32 of what is not quantized."""
        if self <= 0:
            return 32
        return 8 if self.name.endswith("INT8") else 16


def get_target_platform(target: str, num_of_bits: int = 8, float: bool = False,
                        hi_precision: bool = False) -> TargetPlatform:
    """The platform of a chip and a width."""
    if float or num_of_bits not in (8, 16):
        return TargetPlatform.FP32
    family = {"esp32s3": "S3_", "esp32p4": "", "esp32s31": ""}.get(target.lower(), "C_")
    precision = "H_PRE_" if hi_precision and num_of_bits == 16 else ""
    return TargetPlatform[f"ESPDL_{family}{precision}INT{num_of_bits}"]


class _Group:
    """Attributes with defaults, which remembers what was set: a default that nobody chose leaves the choice to the
    recipe."""

    _defaults: Dict[str, Any] = {}

    def __init__(self) -> None:
        object.__setattr__(self, "_set", {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        chosen = object.__getattribute__(self, "_set")
        if name in chosen:
            return chosen[name]
        if name in self._defaults:
            value = self._defaults[name]
            if isinstance(value, (list, dict)):  # may be changed where it stands
                chosen[name] = value = type(value)(value)
            return value
        raise AttributeError(f"ESP-PPQ's settings have no '{name}' here; there are {', '.join(sorted(self._defaults))}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._defaults:
            raise AttributeError(
                f"ESP-PPQ's settings have no '{name}' here; there are {', '.join(sorted(self._defaults))}")
        self._set[name] = value

    def was_set(self, name: str) -> bool:
        """To anything but the default."""
        return name in self._set and self._set[name] != self._defaults[name] or (
            name in self._set and not isinstance(self._defaults[name], (list, dict)))

    def to_json(self) -> dict:
        return {name: getattr(self, name) for name in self._defaults}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self._defaults)})"


class GraphFormatSetting(_Group):
    _defaults = dict(format_constant_op=True, fuse_conv_bn=True, fuse_swish=True, format_paramters=True,
                     format_cast=True, delete_isolate=True)


class ActivationQuantizationSetting(_Group):
    _defaults = dict(calib_algorithm="kl")


class ParameterQuantizationSetting(_Group):
    _defaults = dict(calib_algorithm=None, quantize_passive_parameter=True, clip_visiblity="EXPORT_WHEN_ACTIVE",
                     pad_visiblity="EXPORT_WHEN_ACTIVE", baking_parameter=False)


class QuantizationFusionSetting(_Group):
    _defaults = dict(remove_useless_quantization=True, fuse_activation=True, fuse_passive_op=True,
                     align_quantization=True, align_avgpooling_to="None", align_elementwise_to="Align to Output",
                     align_concat_to="Align to Output", align_resize_to="Align to Output",
                     force_alignment_overlap=False)


class EqualizationSetting(_Group):
    _defaults = dict(opt_level=1, iterations=10, value_threshold=0.5, including_bias=False, bias_multiplier=0.5,
                     including_act=False, act_multiplier=0.5, interested_layers=[])


class ChannelSplitSetting(EqualizationSetting):
    pass


class WeightSplitSetting(_Group):
    _defaults = dict(interested_layers=[], value_threshold=2.0, method="balance")


class SSDEqualizationSetting(_Group):
    _defaults = dict(opt_level=1, channel_ratio=0.5, loss_threshold=0.8, layer_norm=False, iteration=3)


class BiasCorrectSetting(_Group):
    _defaults = dict(interested_layers=[], block_size=4, steps=32, collecting_device="executor")


class LSQSetting(_Group):
    _defaults = dict(interested_layers=[], lr=1e-5, collecting_device="cuda", steps=500, is_scale_trainable=True,
                     gamma=0.0, block_size=4)


class TQTSetting(_Group):
    _defaults = dict(interested_layers=[], lr=1e-5, collecting_device="cpu", steps=500, is_scale_trainable=True,
                     gamma=0.0, block_size=4, int_lambda=0.0)


class BlockwiseReconstructionSetting(_Group):
    _defaults = dict(interested_layers=[], is_scale_trainable=False, lr=1e-3, steps=5000, gamma=1.0,
                     collecting_device="cuda", block_size=4)


class QuantConfigModifySetting(_Group):
    _defaults = dict(custom_config={})


class DispatchingTable:
    """Platforms of single operators, by name."""

    def __init__(self) -> None:
        self.dispatchings: Dict[str, int] = {}

    def append(self, operation: str, platform: int) -> None:
        """`platform`: a TargetPlatform, or its number."""
        self.dispatchings[operation] = int(platform)

    def items(self) -> List[Tuple[str, TargetPlatform]]:
        return [(name, TargetPlatform(number)) for name, number in self.dispatchings.items()]


_GROUPS = dict(graph_format_setting=GraphFormatSetting, quantize_activation_setting=ActivationQuantizationSetting,
               quantize_parameter_setting=ParameterQuantizationSetting, fusion_setting=QuantizationFusionSetting,
               equalization_setting=EqualizationSetting, channel_split_setting=ChannelSplitSetting,
               weight_split_setting=WeightSplitSetting, ssd_setting=SSDEqualizationSetting,
               bias_correct_setting=BiasCorrectSetting, lsq_optimization_setting=LSQSetting,
               tqt_optimization_setting=TQTSetting,
               blockwise_reconstruction_setting=BlockwiseReconstructionSetting,
               quant_config_modify_setting=QuantConfigModifySetting)


class QuantizationSetting(_Group):
    """What ESP-PPQ does, stage by stage: as QuantizationSettingFactory.espdl_setting() gives it."""

    _defaults = dict(dispatcher="allin", ssd_equalization=False, equalization=False, weight_split=False,
                     channel_split=False, matrix_factorization=False, quantize_activation=True,
                     quantize_parameter=True, fusion=True, convtranspose_decomposition=True,
                     quant_config_modify=False, lsq_optimization=False, tqt_optimization=False,
                     blockwise_reconstruction=False, bias_correct=False, extension=False, version="0.6.6",
                     signature="PPL Quantization Tool", dispatching_table=None, **{name: None for name in _GROUPS})

    def __init__(self) -> None:
        super().__init__()
        self._set["dispatching_table"] = DispatchingTable()
        for name, group in _GROUPS.items():
            self._set[name] = group()

    def to_json(self) -> dict:
        members = {name: getattr(self, name) for name in self._defaults}
        return {name: member.to_json() if isinstance(member, _Group) else member for name, member in members.items()
                if not isinstance(member, DispatchingTable)}


class QuantizationSettingFactory:
    @staticmethod
    def espdl_setting() -> QuantizationSetting:
        """The defaults for Espressif's chips."""
        return QuantizationSetting()

    default_setting = espdl_setting
