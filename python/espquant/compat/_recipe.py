"""From ESP-PPQ's settings to a recipe."""

from __future__ import annotations

import json
from typing import Any, List, Set, Tuple

from .._errors import Error
from .._recipe import Recipe
from ._settings import QuantizationSetting, TargetPlatform

_METHODS = {"kl": "entropy", "percentile": "percentile", "minmax": "minmax", "min_max": "minmax", "mse": "mse"}

#: Stages that espquant has no use for, and why.
_WITHOUT_MEANING = {
    "ssd_equalization": "equalization is judged by the simulated result instead",
    "weight_split": "layers are not split",
    "channel_split": "channels are not split",
    "matrix_factorization": "layers are not factorized",
    "quant_config_modify": "scales of single tensors cannot be given",
    "extension": "there are no extensions",
}


def _escaped(name: str) -> str:
    return "".join("\\" + c if c in "*?\\" else c for c in name)


def layer_rules(table: List[Tuple[str, TargetPlatform]], bits: int, network: dict, ignored: List[str]) -> str:
    """[[layer]] sections. `network` as it is quantized: an operator that became part of another has no rule of its own."""
    names: Set[str] = {node["name"] for node in network["nodes"]}
    rules = ""
    for name, platform in table:
        wanted = platform.bits
        if wanted == 32:
            ignored.append(f"dispatching '{name}' to {platform.name}: no layer stays in float; it gets 16 bits")
            wanted = 16
        if wanted == bits:
            continue
        if name not in names:
            ignored.append(f"dispatching '{name}': there is none of that name, or it became part of another, whose width it has")
            continue
        rules += f"\n[[layer]]\nmatch = {json.dumps(_escaped(name))}\nbits = {wanted}\n"
    return rules


def _equalization(setting: QuantizationSetting, ignored: List[str]) -> dict:
    e = setting.equalization_setting
    if e.interested_layers:
        ignored.append("equalization_setting.interested_layers: all layers are equalized that can be")
    return {"equalization.enabled": True, "equalization.iterations": e.iterations,
            "equalization.value_threshold": e.value_threshold, "equalization.level": e.opt_level,
            "equalization.include_bias": e.including_bias, "equalization.bias_multiplier": e.bias_multiplier,
            "equalization.include_activation": e.including_act,
            "equalization.activation_multiplier": e.act_multiplier}


def _training(tqt: Any, bits: int, ignored: List[str]) -> dict:
    """Exponents decided by the simulated output, and weights trained on the chip's grid (docs/finetune.md)."""
    changes = {"quantization.refine_exponents": True}
    if bits != 8:
        ignored.append("tqt_optimization: at 16 bits there is little to train; exponents are refined")
        return changes
    changes["finetune.enabled"] = True
    if tqt.was_set("steps"):
        changes["finetune.steps"] = max(1, int(tqt.steps))
    for name in ("lr", "gamma", "block_size", "is_scale_trainable", "int_lambda", "interested_layers"):
        if name in tqt._defaults and tqt.was_set(name):
            ignored.append(f"tqt_optimization_setting.{name}: all layers are trained together, at a rate in steps of the grid")
    return changes


def recipe_of(setting: QuantizationSetting, bits: int, ignored: List[str]) -> Recipe:
    """Without the dispatching table. What has no meaning is added to `ignored`."""
    for name in ("quantize_activation", "quantize_parameter"):
        if not getattr(setting, name):
            raise Error(f"{name} = False: ESP-DL computes whole layers in integers", code="unsupported",
                        remedy="Leave it out")
    changes = {"quantization.bits": bits}
    activation = setting.quantize_activation_setting
    if activation.was_set("calib_algorithm") and activation.calib_algorithm:
        method = _METHODS.get(str(activation.calib_algorithm).lower())
        if method:
            changes["calibration.method"] = method
        else:
            ignored.append(f"calib_algorithm '{activation.calib_algorithm}': the method is chosen tensor by tensor")
    elif bits == 16:
        changes["calibration.method"] = "minmax"  # as in the recipe int16
    if setting.quantize_parameter_setting.calib_algorithm:
        ignored.append("quantize_parameter_setting.calib_algorithm: weights take the exponent of least error")
    if setting.equalization:
        changes.update(_equalization(setting, ignored))
    if setting.bias_correct:
        changes["quantization.bias_correction"] = "empirical"
    if setting.tqt_optimization:
        changes.update(_training(setting.tqt_optimization_setting, bits, ignored))
    if setting.lsq_optimization:
        changes["quantization.refine_exponents"] = True
    if setting.blockwise_reconstruction:
        changes["quantization.reconstruct"] = True
    for name, reason in _WITHOUT_MEANING.items():
        if getattr(setting, name):
            ignored.append(f"{name}: {reason}")
    fusion = setting.fusion_setting
    if not setting.fusion or any(fusion.was_set(name) for name in fusion._defaults):
        ignored.append("fusion and fusion_setting: exponents are shared where that costs least (docs/strategies.md)")
    return Recipe("int8", changes)
