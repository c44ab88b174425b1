import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import espquant as eq

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "gesture"


@pytest.fixture(scope="session")
def onnx():
    return EXAMPLE / "gesture.onnx"


@pytest.fixture(scope="session")
def calib():
    return dict(np.load(EXAMPLE / "calib.npz"))


@pytest.fixture(scope="session")
def test_data():
    return dict(np.load(EXAMPLE / "test.npz"))


@pytest.fixture(scope="session")
def quantized(onnx, calib):
    return eq.quantize(onnx, calib)


@pytest.fixture(scope="session")
def program():
    """Runs the program, and gives what it prints."""

    def run(*arguments):
        command = [os.environ["ESPQUANT_PROGRAM"], *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run
