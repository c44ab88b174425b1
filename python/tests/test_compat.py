"""ESP-PPQ's tutorials, with their import changed."""

import sys
import types
import warnings

import numpy as np
import pytest

import espquant as eq
from espquant.compat import (QuantizationSettingFactory, TargetPlatform, TorchExecutor, espdl_quantize_onnx,
                             espdl_quantize_torch, get_target_platform, graphwise_error_analyse,
                             layerwise_error_analyse)
from onnx_bytes import two_inputs

INPUT_SHAPE = [1, 1, 96, 96]


@pytest.fixture
def dataloader(calib):
    images = (calib["images"][:64].astype(np.float32) / 255)[:, None]
    return [images[i : i + 16] for i in range(0, 64, 16)]


def quantized(onnx, folder, dataloader, **arguments):
    arguments = dict(dict(target="esp32s3", num_of_bits=8, device="cpu", error_report=False, skip_export=False,
                          export_test_values=True, verbose=0, calib_steps=4, input_shape=INPUT_SHAPE, inputs=None),
                     **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error", eq.EspquantWarning)
        graph = espdl_quantize_onnx(onnx_import_file=str(onnx), espdl_export_file=str(folder / "model.espdl"),
                                    calib_dataloader=dataloader, **arguments)
    model = eq.Model(folder / "model.espdl")
    assert all(v["passed"] for v in model.verify(exact=True)) and eq.check(folder / "model.espdl")["passed"]
    return graph, model


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4", "esp32c3"])
@pytest.mark.parametrize("bits", [8, 16])
def test_int8_and_int16(onnx, tmp_path, dataloader, target, bits):
    before = onnx.read_bytes()
    graph, model = quantized(onnx, tmp_path, dataloader, target=target, num_of_bits=bits)
    assert model.outputs[0]["dtype"] == f"int{bits}"
    assert onnx.read_bytes() == before
    x = dataloader[0]
    executor = TorchExecutor(graph=graph, device="cpu")
    (y,) = executor.forward(x)
    np.testing.assert_array_equal(y, model.run(x))
    assert {"model.espdl", "model.info", "model.json"} <= {p.name for p in tmp_path.iterdir()}


def test_mixed_by_dispatching_table(onnx, tmp_path, dataloader):
    setting = QuantizationSettingFactory.espdl_setting()
    wide = get_target_platform("esp32s3", 16)
    setting.dispatching_table.append("/classifier/Gemm", wide)
    graph, model = quantized(onnx, tmp_path, dataloader, setting=setting)
    assert model.outputs[0]["dtype"] == "int16"
    assert {op["dtype"] for op in graph.operations.values()} == {"int8", "int16"}


def test_equalization(onnx, tmp_path, dataloader):
    setting = QuantizationSettingFactory.espdl_setting()
    setting.equalization = True
    setting.equalization_setting.iterations = 4
    setting.equalization_setting.value_threshold = 0.4
    setting.equalization_setting.opt_level = 2
    graph, _ = quantized(onnx, tmp_path, dataloader, setting=setting)
    recipe = graph.quantized.recipe.to_dict()["equalization"]
    assert (recipe["enabled"], recipe["iterations"], recipe["value_threshold"], recipe["level"]) == (True, 4, 0.4, 2)


def test_tqt_and_bias_correction(onnx, tmp_path, dataloader):
    setting = QuantizationSettingFactory.espdl_setting()
    setting.tqt_optimization = True
    setting.tqt_optimization_setting.steps = 4
    setting.bias_correct = True
    setting.quantize_activation_setting.calib_algorithm = "percentile"
    graph, _ = quantized(onnx, tmp_path, dataloader, setting=setting)
    recipe = graph.quantized.recipe.to_dict()
    assert recipe["quantization"]["refine_exponents"] and recipe["quantization"]["bias_correction"] == "empirical"
    assert recipe["calibration"]["method"] == "percentile"
    assert (recipe["finetune"]["enabled"], recipe["finetune"]["steps"]) == (True, 4)


def test_defaults_that_nobody_chose_leave_the_choice(onnx, tmp_path, dataloader, quantized_recipe):
    graph, _ = quantized(onnx, tmp_path, dataloader, setting=QuantizationSettingFactory.espdl_setting())
    assert graph.quantized.recipe.to_dict()["calibration"] == quantized_recipe["calibration"]


@pytest.fixture
def quantized_recipe():
    return eq.Recipe("int8").to_dict()


@pytest.mark.parametrize("target", ["esp32s3", "esp32p4"])
def test_several_inputs(tmp_path, target):
    (tmp_path / "two.onnx").write_bytes(two_inputs())
    rng = np.random.default_rng(0)
    batches = [[rng.normal(size=(8, 4)), rng.normal(size=(8, 4))] for _ in range(4)]
    graph, model = quantized(tmp_path / "two.onnx", tmp_path, batches, target=target,
                             input_shape=[[1, 4], [1, 4]])
    a, b = (np.float32(v) for v in batches[0])
    (y,) = graph.run([a, b])
    np.testing.assert_allclose(y, a + b, atol=0.1)


def test_collate_fn_and_metadata(onnx, tmp_path, calib):
    graph, model = quantized(onnx, tmp_path, [calib["images"][:32]], calib_steps=1, metadata_props={"owner": "me"},
                             collate_fn=lambda batch: batch.astype(np.float32)[:, None] / 255)
    assert model.metadata["owner"] == "me"


def test_error_reports(onnx, tmp_path, dataloader, capsys):
    graph, _ = quantized(onnx, tmp_path, dataloader, error_report=True)
    printed = capsys.readouterr().out
    assert "Layerwise" in printed and "/classifier/Gemm" in printed
    assert list(layerwise_error_analyse(graph, verbose=False)) != []
    worst = list(graphwise_error_analyse(graph, verbose=False).values())
    assert worst == sorted(worst, reverse=True)


def test_without_export_nothing_is_written(onnx, tmp_path, dataloader):
    graph = espdl_quantize_onnx(str(onnx), str(tmp_path / "model.espdl"), dataloader, 4, INPUT_SHAPE, skip_export=True,
                                error_report=False)
    assert graph.file is None and list(tmp_path.iterdir()) == []


def test_what_has_no_meaning_is_said_once(onnx, tmp_path, dataloader):
    setting = QuantizationSettingFactory.espdl_setting()
    setting.channel_split = True
    setting.dispatching_table.append("nothing", TargetPlatform.ESPDL_S3_INT16)
    with pytest.warns(eq.EspquantWarning) as told:
        espdl_quantize_onnx(str(onnx), str(tmp_path / "model.espdl"), dataloader, 4, INPUT_SHAPE, device="cuda",
                            setting=setting, skip_export=True, error_report=False, surprise=1)
    (text,) = [str(w.message) for w in told if "without meaning" in str(w.message)]
    for part in ("device", "channel_split", "nothing", "surprise"):
        assert part in text


def test_refusals(onnx, tmp_path, dataloader):
    for arguments in (dict(auto_streaming=True), dict(float=True), dict(encrypt_data=True)):
        with pytest.raises(eq.Error) as caught:
            espdl_quantize_onnx(str(onnx), str(tmp_path / "m.espdl"), dataloader, 4, INPUT_SHAPE, **arguments)
        assert caught.value.code == "unsupported" and caught.value.remedy
    with pytest.raises(eq.Error):
        espdl_quantize_onnx(str(onnx), str(tmp_path / "m.espdl"), None, 4, INPUT_SHAPE)
    with pytest.raises(AttributeError, match="iterations"):
        QuantizationSettingFactory.espdl_setting().equalization_setting.iteration = 3


def test_platforms():
    assert get_target_platform("esp32s3", 8) == TargetPlatform.ESPDL_S3_INT8 == 553
    assert get_target_platform("ESP32P4", 16) == TargetPlatform.ESPDL_INT16
    assert get_target_platform("esp32c3", 16, hi_precision=True) == TargetPlatform.ESPDL_C_H_PRE_INT16
    assert get_target_platform("esp32s3", 8, float=True) == TargetPlatform.FP32


def test_torch_that_is_missing_is_said(tmp_path, dataloader, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(eq.Error) as caught:
        espdl_quantize_torch(None, str(tmp_path / "m.espdl"), dataloader, 4, INPUT_SHAPE)
    assert "torch" in str(caught.value) and caught.value.code == "unsupported"


def test_torch_exports_beside_the_result(onnx, tmp_path, dataloader, monkeypatch):
    """By a stand-in for torch, which is not needed to build or test."""
    torch, asked = types.ModuleType("torch"), {}

    class Network:
        def eval(self):
            return self

        def to(self, device):
            return self

    def export(model, inputs, path, **options):
        asked.update(options, shape=inputs.shape)
        open(path, "wb").write(onnx.read_bytes())

    torch.__version__, torch.zeros = "2.9.1+cpu", np.zeros
    torch.onnx = types.SimpleNamespace(export=export)
    monkeypatch.setitem(sys.modules, "torch", torch)
    graph = espdl_quantize_torch(Network(), str(tmp_path / "out" / "net.espdl"), dataloader, 4, INPUT_SHAPE,
                                 target="esp32s3", error_report=False)
    assert asked == dict(opset_version=18, do_constant_folding=True, dynamo=False, shape=tuple(INPUT_SHAPE))
    assert (tmp_path / "out" / "net.onnx").exists() and eq.check(graph.file)["passed"]
