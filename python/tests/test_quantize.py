"""A session as in a notebook, beside the program."""

import os
import pickle
import signal

import numpy as np
import pytest

import espquant as eq
from conftest import EXAMPLE


def test_files_are_those_of_the_program(quantized, program, tmp_path):
    files = quantized.save(tmp_path / "python")
    program("quantize", EXAMPLE / "gesture.onnx", "--calib", EXAMPLE / "calib.npz", "--out", tmp_path / "program", "--quiet")
    assert len(files) == 5
    for file in files:
        other = tmp_path / "program" / os.path.relpath(file, tmp_path / "python")
        assert open(file, "rb").read() == other.read_bytes(), file


def test_a_thousand_frames_are_those_of_the_program(quantized, program, test_data, tmp_path):
    images = test_data["images"][:1000]
    file = quantized.save(tmp_path)[0]
    np.savez(tmp_path / "images.npz", images=images)
    program("run", file, "--input", tmp_path / "images.npz", "--out", tmp_path / "out.npz", "--quiet")
    expected = np.load(tmp_path / "out.npz")["logits"]
    np.testing.assert_array_equal(quantized.simulate(images), expected)
    integers = quantized.simulate(images[:3], integers=True)
    assert integers.dtype == np.int8
    np.testing.assert_array_equal(integers * 2.0 ** quantized.model.outputs[0]["exponents"][0], expected[:3])


def test_data_of_every_form_are_the_same(onnx, calib, tmp_path):
    images, labels = calib["images"][:64], calib["labels"][:64]
    np.savez(tmp_path / "calib.npz", images=images, labels=labels)
    quantized = eq.quantize(onnx, tmp_path / "calib.npz", report_samples=0)
    expected = quantized.to_bytes()

    def batches():
        for i in range(0, len(images), 25):
            yield images[i : i + 25], labels[i : i + 25]

    floats = (images.astype(np.float32) / 255)[:, None]
    for data in (images, {"images": images}, batches(), eq.Dataset(images, labels)):
        assert eq.quantize(onnx, data, report_samples=0).to_bytes() == expected
    of_floats = eq.quantize(onnx, list(np.array_split(floats, 3)), report_samples=0)
    np.testing.assert_array_equal(of_floats.simulate(floats[:9]), quantized.simulate(images[:9]))


def test_arrays_are_shared_and_stay_as_they_are(onnx, calib):
    images = calib["images"].copy()
    images.flags.writeable = False
    before = images.copy()
    eq.quantize(onnx, images, report_samples=0)
    np.testing.assert_array_equal(images, before)


def test_figures(onnx, calib, test_data):
    q = eq.quantize(onnx, calib, test=test_data["images"][:100], labels=test_data["labels"][:100], report_samples=4)
    assert q.accuracy() == q.accuracy(test_data["images"][:100], test_data["labels"][:100]) > 0.8
    assert 0 < q.noise < 0.01 and q.latency_ms > 0 and q.ram_bytes > 0
    assert {"name", "type", "exponent", "noise_to_signal"} <= q.layers[0].keys()
    assert q.facts["accuracy"] == q.accuracy()
    assert "<table>" in q._repr_html_() and "noise" in repr(q)


def test_recipes(onnx, calib, quantized):
    recipe = eq.Recipe("int8", {"quantization.bits": 16})
    assert recipe.name == "int16" and recipe.to_dict()["quantization"]["bits"] == 16
    assert eq.Recipe.from_toml(recipe.to_toml()).to_dict() == recipe.to_dict()
    wide = eq.quantize(onnx, calib["images"][:32], recipe=recipe, target="esp32p4")
    assert wide.model.outputs[0]["dtype"] == "int16" and wide.target == "esp32p4"
    assert eq.quantize(onnx, calib, recipe=quantized.recipe).to_bytes() == quantized.to_bytes()
    assert "int8" in eq.Recipe.names()


def test_compare_and_analyze(onnx, calib, tmp_path):
    images = calib["images"][:64]
    c = eq.compare(onnx, images, recipes=["int8", "int16"])
    assert [r["recipe"] for r in c.recipes] == ["int8", "int16"]
    assert c.recipes[1]["noise_to_signal"] < c.recipes[0]["noise_to_signal"]
    assert c.model("int16").outputs[0]["dtype"] == "int16"
    assert os.path.basename(c.save(tmp_path)[-1]) == "compare.json"
    assert "<table>" in c._repr_html_()
    a = eq.analyze(onnx, images, samples=4)
    assert a.layers[0]["at_output"] >= a.layers[-1]["at_output"]
    assert "<table>" in a._repr_html_() and str(a)


def test_errors_say_where_and_what_helps(onnx, calib, tmp_path):
    with pytest.raises(eq.Error) as caught:
        eq.quantize(tmp_path / "missing.onnx", calib)
    assert caught.value.code == "io" and "missing.onnx" in caught.value.where
    with pytest.raises(eq.Error) as caught:
        eq.quantize(onnx, np.zeros((4, 5), np.float32))
    assert caught.value.code == "bad-data" and caught.value.remedy
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.code, again.remedy, str(again)) == (caught.value.code, caught.value.remedy, str(caught.value))
    with pytest.raises(eq.Error, match="int8"):
        eq.Recipe("int9")
    with pytest.raises(eq.Error):
        eq.Dataset(np.array(["a"]))
    with pytest.raises(eq.Error):
        eq.Dataset([])


def test_progress_is_told(onnx, calib):
    seen = []
    eq.quantize(onnx, calib, progress=lambda stage, done, total: seen.append(stage))
    assert "calibrate" in seen


def test_what_progress_raises_stops_the_work(onnx, calib, tmp_path):
    def stop(stage, done, total):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        eq.quantize(onnx, calib, progress=stop)


def test_ctrl_c_stops_the_work(onnx, calib):
    def interrupt(stage, done, total):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        eq.quantize(onnx, calib, recipe="balanced", progress=interrupt)
