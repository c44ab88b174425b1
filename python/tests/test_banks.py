"""Banks of exponents from Python."""

import numpy as np

import espquant as eq


def frames(count, seed):
    """Of full brightness, and 8 and 64 times darker."""
    rng = np.random.default_rng(seed)
    gain = np.float32(2) ** (-3 * (np.arange(count) % 3)).astype(np.float32)
    return rng.random((count, 1, 96, 96), dtype=np.float32) * gain[:, None, None, None]


def test_a_model_with_banks_runs_each_frame_by_its_own(onnx, tmp_path, program):
    q = eq.quantize(onnx, frames(24, 1), recipe="dynamic")
    test = frames(6, 2)
    file = next(f for f in q.save(tmp_path) if f.endswith(".espdl"))
    model = eq.Model(file)
    assert model.banks["banks"][0]["largest"] < 0.1
    assert model.banks["ranges"][0]["follows"]
    chosen = model.banks_of(test)
    assert len(set(chosen)) > 1 and chosen[2] < chosen[0]
    banked, alone = model.run(test), eq.Model(file, banks="none").run(test)
    own = chosen == len(model.banks["banks"])
    assert np.array_equal(banked[own], alone[own]) and not np.array_equal(banked[~own], alone[~own])
    assert np.array_equal(q.simulate(test), banked)
    np.savez(tmp_path / "test.npz", input=test)
    program("run", file, "--input", tmp_path / "test.npz", "--out", tmp_path / "out.npz")
    assert np.array_equal(np.load(tmp_path / "out.npz")["logits"], banked)


def test_a_model_without_banks_says_so(quantized):
    assert quantized.model.banks is None
