"""An .espdl, as the chip computes it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping as MappingBase
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union

import numpy as np

from . import _core, _html
from ._data import DataLike, PathLike, Preprocess, as_dataset, as_numpy, opened_network
from ._errors import Error
from ._progress import Progress, Shown


class Weight(NamedTuple):
    """A constant of a model: real value = values * 2**exponents."""

    #: As integers; a filter in the network's order: (O,I,H,W) of Conv, (O,I) of Gemm, (I,O) of MatMul.
    values: np.ndarray
    #: One, or one per output channel.
    exponents: List[int]
    #: The axis of output channels.
    axis: int

    @property
    def real(self) -> np.ndarray:
        """The real numbers that the integers stand for, float32."""
        if self.values.dtype.kind == "f":
            return self.values
        scale = np.ldexp(np.float32(1), np.asarray(self.exponents or [0], dtype=np.int32))
        if scale.size > 1:
            shape = [1] * self.values.ndim
            shape[self.axis] = scale.size
            scale = scale.reshape(shape)
        return self.values.astype(np.float32) * scale


class Weights(MappingBase):
    """The constants of a model by name, each read when it is asked for."""

    def __init__(self, model: _core.Model) -> None:
        self._model = model
        self._infos = {info["name"]: info for info in model.constants()}

    def __getitem__(self, name: str) -> Weight:
        values = self._model.weights(name)
        info = self._infos[name]
        in_last = values.ndim == 2 and values.shape == tuple(info["shape"])
        return Weight(values, info["exponents"], values.ndim - 1 if in_last else 0)

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)


Inputs = Union[np.ndarray, Mapping[str, Any], Any]


class Model:
    """An .espdl of whatever origin.

    Args:
        file: its path, or its bytes.
        key: of an encrypted file: 32 hexadecimal digits, or the path of a file that holds the key.
        name: which model of a package.
        banks: of exponents (recipe dynamic): a .banks file, or "none"; the one beside the file if left out.
        target, espdl: the chip and the release of ESP-DL to compute as; what the file was made for if left out.
    """

    def __init__(self, file: Union[PathLike, bytes], *, key: str = "", name: str = "", target: str = "",
                 espdl: str = "", banks: PathLike = "") -> None:
        options = _core.ModelOptions(key=key, name=name, target=target, release=espdl, banks=os.fspath(banks))
        if isinstance(file, (bytes, bytearray, memoryview)):
            self._model = _core.Model.from_bytes(bytes(file), options, "model.espdl")
        else:
            self._model = _core.Model.open(os.fspath(file), options)

    @classmethod
    def _of(cls, model: _core.Model) -> "Model":
        made = cls.__new__(cls)
        made._model = model
        return made

    @property
    def target(self) -> str:
        """The chip that it computes as."""
        return self._model.target

    @property
    def espdl(self) -> str:
        """The release of ESP-DL that it computes as."""
        return self._model.release

    @property
    def metadata(self) -> Dict[str, str]:
        return self._model.metadata

    @property
    def inputs(self) -> List[dict]:
        """name, dtype, shape (as stored: N,H,W,C), network_shape (N,C,H,W), exponents of each."""
        return self._model.inputs()

    @property
    def outputs(self) -> List[dict]:
        """The same of each output."""
        return self._model.outputs()

    @property
    def tensors(self) -> List[dict]:
        """The same of every activation, in order of execution."""
        return self._model.tensors()

    @property
    def weights(self) -> Weights:
        """Constants by name: `.values`, `.exponents`, `.real`."""
        return Weights(self._model)

    def _arrays(self, inputs: Inputs) -> Dict[str, np.ndarray]:
        if isinstance(inputs, MappingBase):
            return {name: as_numpy(array) for name, array in inputs.items()}
        if isinstance(inputs, (list, tuple)) and len(self.inputs) > 1:
            return {port["name"]: as_numpy(array) for port, array in zip(self.inputs, inputs)}
        return {"": as_numpy(inputs)}

    def run(self, inputs: Inputs, *, integers: bool = False, progress: Progress = False) -> Any:
        """What the chip computes.

        Args:
            inputs: an array for a model of one input, else a dict by name, or a list in order. Floats (N,C,H,W), which
                are quantized as the chip does it, the input's own integers, or pictures as bytes (N,H,W,C). N frames
                are run one after the other; streaming models keep their state from frame to frame.
            integers: the chip's integers, in the file's layout (N,H,W,C), in place of floats in the network's.

        Returns an array, or a dict by name where there are several outputs. Raises Error for shapes and types that do
        not fit, and for NaN.
        """
        with Shown(progress) as told:
            outputs = self._model.run(self._arrays(inputs), integers, False, told)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def run_all(self, inputs: Inputs, *, integers: bool = True, progress: Progress = False) -> Dict[str, np.ndarray]:
        """The same of every tensor, by name, in the file's layout."""
        with Shown(progress) as told:
            return self._model.run(self._arrays(inputs), integers, True, told)

    @property
    def banks(self) -> Optional[dict]:
        """Banks of exponents: `banks` from the quietest on (largest, exponents, constants), bytes, watched, and `ranges`,
        the exponents of each tensor bank by bank. None where the model has none."""
        return json.loads(self._model.banks())

    def banks_of(self, inputs: Inputs) -> np.ndarray:
        """The bank that computes each frame of `inputs`, which are as of `run`; the number of banks for the model's own."""
        return np.asarray(self._model.banks_of(self._arrays(inputs)), dtype=np.int64)

    def verify(self, *, exact: bool = False) -> List[dict]:
        """What the chip computes beside the test values in the file: for each output name, elements, different,
        mismatches, largest, problem, passed. `exact`: every bit must agree; else as ESP-DL's own test, which allows
        int16 a difference of 1."""
        return self._model.verify(exact)

    def evaluate(self, data: DataLike, labels: Any = None, *, reference: Optional[PathLike] = None,
                 preprocess: Preprocess = None, progress: Progress = False) -> dict:
        """How it does on data: samples, accuracy (where there are labels) and, beside the float network `reference`
        (.onnx), noise_to_signal, reference_accuracy, agreement; shares of 1."""
        dataset = as_dataset(data, labels, preprocess)

        def names() -> List[str]:
            return [port["name"] for port in self.inputs]

        with opened_network(reference or "") as (network, _), Shown(progress) as told:
            return json.loads(self._model.evaluate(dataset._core(names), network, told))

    def inspect(self) -> dict:
        """Nodes with their tensors and attributes, bytes by kind, memory, milliseconds (docs/json.md)."""
        return json.loads(self._model.inspect())

    def plan(self, internal_ram: int = 0) -> dict:
        """The chip's memory: `tensors` with bytes, memory, offset, begin and end (indices of nodes), and the sums psram,
        internal, parameters, ram, in bytes. `internal_ram`: bytes that dl::Model may use of the chip's own RAM."""
        return json.loads(self._model.plan(internal_ram))

    def latency(self, *, board: Optional[PathLike] = None, cores: int = 1) -> dict:
        """Estimated milliseconds of one run, `least` and `most`, and of each node. `board`: a file that
        `espquant latency --fit` wrote."""
        return json.loads(self._model.latency("" if board is None else os.fspath(board), cores))

    @property
    def latency_ms(self) -> float:
        """Estimated milliseconds of one run, on one core."""
        return self.latency()["milliseconds"]

    def __repr__(self) -> str:
        return f"<Model for {self.target}: {', '.join(p['name'] for p in self.inputs)} -> " \
               f"{', '.join(p['name'] for p in self.outputs)}>"

    def _repr_html_(self) -> str:
        about = self.inspect()
        rows = [{"name": n["name"], "type": n["type"], "output": n["outputs"][0]["name"],
                 "shape": n["outputs"][0]["shape"], "dtype": n["outputs"][0]["dtype"],
                 "ms": n.get("milliseconds")} for n in about["nodes"] if n["outputs"]]
        return _html.facts({"target": self.target, "bytes": about["bytes"]["total"],
                            "RAM": about.get("memory", {}).get("ram"),
                            "milliseconds": about.get("latency", {}).get("milliseconds")}) + _html.table(
            rows, {"name": "node", "type": "type", "output": "output", "shape": "shape", "dtype": "type",
                   "ms": "ms"})


def check(file: Any, *, target: str = "esp32s3", espdl: str = "", key: str = "", name: str = "",
          input_shapes: Any = None, inputs: Any = (), outputs: Any = ()) -> dict:
    """What the chip cannot run of an .onnx, or would refuse or compute wrongly in an .espdl: `passed`, and what was found,
    as `espquant check --json` prints it (docs/json.md)."""
    if not hasattr(file, "SerializeToString") and not os.fspath(file).lower().endswith(".onnx"):
        chosen = _core.ModelOptions(key=key, name=name, target="" if target == "esp32s3" else target, release=espdl,
                                    banks="")
        return json.loads(_core.check_model(os.fspath(file), chosen))
    if key or name:
        raise Error("key and name are for .espdl files")
    with opened_network(file, input_shapes, inputs, outputs) as (network, _):
        return json.loads(_core.check_network(network, target, espdl))


def inspect(file: Any, *, simplified: bool = False, key: str = "", name: str = "", input_shapes: Any = None,
            inputs: Any = (), outputs: Any = ()) -> dict:
    """What is in an .onnx or .espdl, as `espquant inspect --json` prints it (docs/json.md). `simplified`: an .onnx as it is
    quantized, after all rewriting."""
    if not hasattr(file, "SerializeToString") and not os.fspath(file).lower().endswith(".onnx"):
        return Model(file, key=key, name=name).inspect()
    with opened_network(file, input_shapes, inputs, outputs) as (network, _):
        return json.loads(_core.inspect_network(network, simplified))
