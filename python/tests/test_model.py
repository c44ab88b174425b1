"""Models of files."""

import numpy as np
import pytest

import espquant as eq


@pytest.fixture(scope="module")
def model(quantized):
    return quantized.model


def test_a_file_and_its_bytes_are_one_model(quantized, tmp_path):
    file = quantized.save(tmp_path)[0]
    assert eq.Model(file).tensors == eq.Model(open(file, "rb").read()).tensors
    assert eq.check(file)["passed"] and eq.inspect(file)["target"] == "esp32s3"


def test_test_values_agree(model):
    assert [v["passed"] for v in model.verify(exact=True)] == [True]


def test_every_tensor_is_there(model, test_data):
    every = model.run_all(test_data["images"][:2])
    for info in model.tensors:
        assert every[info["name"]].dtype == info["dtype"]
    output = model.outputs[0]
    np.testing.assert_array_equal(every[output["name"]].reshape(2, 8), model.run(test_data["images"][:2], integers=True))


def test_weights_compute_the_layer(model, test_data):
    """A convolution by numpy, from the weights that the model gives, makes the integers of the chip."""
    nodes = model.inspect()["nodes"]
    node = next(n for n in nodes if n["type"] == "Conv" and n["inputs"][1]["shape"][:2] == [1, 1])
    x_name, w_name, b_name = (port["name"] for port in node["inputs"])
    every = model.run_all(test_data["images"][:1])
    x, y = every[x_name].astype(np.int64), every[node["outputs"][0]["name"]]
    exponent = {t["name"]: t["exponents"][0] for t in model.tensors}
    weight, bias = model.weights[w_name], model.weights[b_name]
    sums = np.tensordot(x, weight.values[:, :, 0, 0].astype(np.int64), ([3], [1])) + bias.values
    shift = exponent[node["outputs"][0]["name"]] - (exponent[x_name] + weight.exponents[0])
    rounded = np.floor(sums / 2.0**shift + 0.5)  # ESP32-S3: half up
    low = 0 if "Relu" in str(node["attributes"].get("activation")) else -128
    np.testing.assert_array_equal(np.clip(rounded, low, 127), y)
    np.testing.assert_allclose(weight.real, weight.values * 2.0 ** weight.exponents[0])


def test_what_it_costs(model):
    plan = model.plan()
    assert plan["ram"] == model.inspect()["memory"]["ram"]
    assert max(t["offset"] + t["bytes"] for t in plan["tensors"]) <= plan["psram"] + plan["internal"]
    latency = model.latency()
    assert latency["least"] < latency["milliseconds"] == model.latency_ms < latency["most"]
    assert model.latency(cores=2)["milliseconds"] < latency["milliseconds"]
    assert "<table>" in model._repr_html_()


def test_evaluation_beside_the_float_network(model, onnx, test_data):
    result = model.evaluate(test_data["images"][:50], test_data["labels"][:50], reference=onnx)
    assert result["samples"] == 50 and result["accuracy"] > 0.8 and 0 < result["noise_to_signal"] < 0.01


def test_refusals(model, tmp_path):
    with pytest.raises(eq.Error) as caught:
        model.run({"imput": np.zeros((1, 1, 96, 96), np.float32)})
    assert "input" in caught.value.remedy
    with pytest.raises(eq.Error):
        model.run(np.full((1, 1, 96, 96), np.nan, np.float32))
    with pytest.raises(TypeError):
        model.run(np.zeros((1, 1, 96, 96), np.complex64))
    with pytest.raises(eq.Error) as caught:
        model.weights["nothing"]
    assert caught.value.code == "usage"
    (tmp_path / "broken.espdl").write_bytes(b"EDL2 and no more")
    with pytest.raises(eq.Error) as caught:
        eq.Model(tmp_path / "broken.espdl")
    assert caught.value.code == "malformed" and "broken.espdl" in caught.value.where


def test_networks_are_looked_at(onnx):
    assert eq.check(onnx, target="esp32p4")["passed"]
    assert eq.inspect(onnx)["inputs"][0]["name"] == "input"
