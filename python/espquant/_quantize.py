"""From a network to what a chip runs."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any, List, Mapping, Optional, Sequence, Union


from . import _core, _html
from ._data import DataLike, PathLike, Preprocess, as_dataset, no_data, opened_network
from ._errors import EspquantWarning
from ._model import Model
from ._progress import Progress, Shown
from ._recipe import Recipe, as_recipe


class Quantized:
    """A quantized network."""

    def __init__(self, made: _core.Quantized) -> None:
        self._made = made
        self._facts = json.loads(made.json())

    @property
    def noise(self) -> float:
        """Noise to signal at the worst output, as the chip computes it: 0.01 is 1 %. On the test data where there were
        any, else on calibration samples."""
        return self._made.noise

    def accuracy(self, data: Optional[DataLike] = None, labels: Any = None) -> Optional[float]:
        """The share of labels that the chip gets right: of `data`, else of the test data, None without labels."""
        if data is None:
            return self._made.accuracy
        return self.model.evaluate(data, labels).get("accuracy")

    @property
    def latency_ms(self) -> float:
        """Estimated milliseconds of one run."""
        return self._made.milliseconds

    @property
    def ram_bytes(self) -> int:
        """Of the loaded model: activations, copied parameters, scratch."""
        return self._made.ram_bytes

    @property
    def layers(self) -> List[dict]:
        """name, type, tensor, dtype, exponent, noise_to_signal (accumulated) and noise_to_signal_alone of each node: a list
        that pandas.DataFrame takes as it is."""
        return self._facts["layers"]

    @property
    def facts(self) -> dict:
        """Everything, as `espquant quantize --json` prints it (docs/json.md)."""
        return self._facts

    @property
    def recipe(self) -> Recipe:
        """With what it left open filled in: by it the same file is made again."""
        return Recipe._of(self._made.recipe)

    @property
    def target(self) -> str:
        return self._made.target

    @property
    def warnings(self) -> List[str]:
        return self._made.warnings

    @property
    def notes(self) -> List[str]:
        """What was done that nobody asked for, and what is doubtful about the data."""
        return self._made.notes

    @property
    def model(self) -> Model:
        """What was made, ready to run."""
        return Model._of(self._made.model())

    def simulate(self, inputs: Any, *, integers: bool = False, progress: Progress = False) -> Any:
        """What the chip computes: see Model.run."""
        return self.model.run(inputs, integers=integers, progress=progress)

    def to_bytes(self) -> bytes:
        """The .espdl."""
        return self._made.bytes()

    def save(self, folder: PathLike, name: str = "", *, compile_request: bool = True) -> List[str]:
        """Writes FOLDER/NAME_RECIPE/NAME_RECIPE.espdl, .info, .json, .compile_req.yml and, for pictures,
        .preprocess.toml: all of them or none. `name`: that of the network if left out. Returns the paths."""
        return [str(path) for path in self._made.save(os.fspath(folder), name, compile_request)]

    def save_as(self, file: PathLike, *, compile_request: bool = True) -> List[str]:
        """The same files beside FILE.espdl."""
        return [str(path) for path in self._made.save_as(os.fspath(file), compile_request)]

    def __repr__(self) -> str:
        return f"<Quantized by {self.recipe.name} for {self.target}: noise {100 * self.noise:.3f} %, " \
               f"{self.latency_ms:.3g} ms>"

    def _repr_html_(self) -> str:
        f = self._facts
        rows = [dict(row, accumulated=_html.percent(row["noise_to_signal"]),
                     alone=_html.percent(row["noise_to_signal_alone"])) for row in self.layers]
        return _html.facts({"recipe": f"{f['strategy']} for {self.target}", "noise to signal": _html.percent(self.noise),
                            "accuracy": _html.percent(f.get("accuracy"), 2),
                            "of the float network": _html.percent(f.get("reference_accuracy"), 2),
                            "file": f"{f['size']['total']} bytes", "RAM": f"{self.ram_bytes} bytes",
                            "one run": f"{self.latency_ms:.3g} ms"}) + _html.table(
            rows, {"name": "layer", "type": "type", "exponent": "exponent", "accumulated": "noise/signal",
                   "alone": "of it alone"})


def _warn(texts: Sequence[str]) -> None:
    for text in texts:
        warnings.warn(text, EspquantWarning, stacklevel=3)


def quantize(model: Any, calib: DataLike, *, target: str = "", recipe: Union[str, Recipe] = "int8",
             test: Optional[DataLike] = None, labels: Any = None, preprocess: Preprocess = None,
             classes: Optional[PathLike] = None, input_shapes: Any = None, inputs: Sequence[str] = (),
             outputs: Sequence[str] = (), cut_tail: bool = False, board: Optional[PathLike] = None,
             test_values: bool = True, report_samples: int = 32, metadata: Mapping[str, str] = {},
             progress: Progress = False) -> Quantized:
    """Turns a network and calibration data into what a chip runs.

    The result is that of `espquant quantize`, byte for byte, whatever the number of threads.

    Args:
        model: the path of an .onnx, or an onnx.ModelProto.
        calib: calibration data: see Dataset.
        target: "esp32s3", "esp32p4", ...; what the recipe says if left out, else esp32s3.
        recipe: "int8", "mixed", "balanced", a TOML file, or a Recipe.
        test: data to measure the result on; `labels` are those of the test data.
        preprocess, classes: of both data sets, where they are no Datasets themselves.
        input_shapes: of inputs whose extents the network leaves open: {"x": (1, 3, 224, 224)}.
        inputs, outputs: names of values or nodes at which the network is cut.
        cut_tail: leave to the application what the chip cannot run, where that is only decoding at the end.
        board: times of your own board, as `espquant latency --fit --out` wrote them.
        test_values: store the first calibration sample and the chip's outputs for it in the file.
        report_samples: calibration samples on which the noise of layers is measured.
        metadata: written into the model for the application, beside what is written anyway.
        progress: True draws a bar; or a function of stage, done and total.

    Raises Error with code, where and remedy. Ctrl-C stops it within a second.
    """
    calibration = as_dataset(calib, None, preprocess, classes)
    with opened_network(model, input_shapes, inputs, outputs, cut_tail) as (network, names), Shown(progress) as told:
        tested = no_data() if test is None else as_dataset(
            test, labels, None if isinstance(test, type(calibration)) else preprocess,
            None if isinstance(test, type(calibration)) else classes)._core(names)
        made = Quantized(_core.quantize(network, calibration._core(names), as_recipe(recipe)._recipe, target, tested,
                                        "" if board is None else os.fspath(board), test_values, report_samples,
                                        dict(metadata), told))
    _warn(made.warnings)
    return made


class Comparison:
    """One network by several recipes."""

    def __init__(self, made: _core.Comparison) -> None:
        self._made = made
        self._facts = json.loads(made.json())

    @property
    def recipes(self) -> List[dict]:
        """recipe, unbeaten, file_bytes, activation_bytes, layers_16bit, noise_to_signal, accuracy, milliseconds, ... of each,
        or why it was refused."""
        return self._facts["recipes"]

    @property
    def facts(self) -> dict:
        """Everything, as `espquant compare --json` prints it (docs/json.md)."""
        return self._facts

    def model(self, recipe: str) -> Model:
        """Of the recipe of that name, ready to run."""
        return Model._of(self._made.model(recipe))

    def save(self, folder: PathLike, name: str = "", *, compile_request: bool = True) -> List[str]:
        """Writes the files of every recipe that was not refused, and compare.json. Returns the paths."""
        return [str(path) for path in self._made.save(os.fspath(folder), name, compile_request)]

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(r['recipe'] for r in self.recipes)}>"

    def _repr_html_(self) -> str:
        rows = [dict(r, best="*" if r.get("unbeaten") else "", noise=_html.percent(r.get("noise_to_signal")),
                     right=_html.percent(r.get("accuracy"), 2)) for r in self.recipes]
        return _html.table(rows, {"best": "", "recipe": "recipe", "file_bytes": "file", "activation_bytes": "RAM",
                                  "layers_16bit": "16-bit", "noise": "noise/signal", "right": "accuracy",
                                  "milliseconds": "ms", "refused": "refused"})


def compare(model: Any, calib: DataLike, *, recipes: Sequence[Union[str, Recipe]] = ("int8", "mixed", "balanced"),
            target: str = "", test: Optional[DataLike] = None, labels: Any = None, preprocess: Preprocess = None,
            classes: Optional[PathLike] = None, input_shapes: Any = None, inputs: Sequence[str] = (),
            outputs: Sequence[str] = (), cut_tail: bool = False, board: Optional[PathLike] = None,
            progress: Progress = False) -> Comparison:
    """Quantizes a network by several recipes and measures each on `test`, else on the calibration data. Arguments as of
    quantize()."""
    calibration = as_dataset(calib, None, preprocess, classes)
    with opened_network(model, input_shapes, inputs, outputs, cut_tail) as (network, names), Shown(progress) as told:
        tested = no_data() if test is None else as_dataset(
            test, labels, None if isinstance(test, type(calibration)) else preprocess,
            None if isinstance(test, type(calibration)) else classes)._core(names)
        return Comparison(_core.compare(network, calibration._core(names), [as_recipe(r)._recipe for r in recipes],
                                        target, tested, "" if board is None else os.fspath(board), told))


class Analysis:
    """Which layer loses what, and why."""

    def __init__(self, facts: dict, text: str) -> None:
        #: Everything, as `espquant analyze --json` prints it (docs/json.md).
        self.facts = facts
        self._text = text

    @property
    def noise(self) -> float:
        """Noise to signal at the worst output."""
        return self.facts["noise_to_signal"]

    @property
    def layers(self) -> List[dict]:
        """The columns of docs/analyze.md, the worst layer first, each with reason, explanation and remedy."""
        return self.facts["layers"]

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<Analysis of {len(self.layers)} layers: noise {100 * self.noise:.3f} %>"

    def _repr_html_(self) -> str:
        rows = [dict(r, share=_html.percent(r["at_output"]), accumulated=_html.percent(r["accumulated"]))
                for r in self.layers]
        return _html.table(rows, {"layer": "layer", "type": "type", "bits": "bits", "accumulated": "accumulated",
                                  "share": "at output", "reason": "reason", "remedy": "remedy"})


def analyze(model: Any, calib: DataLike, *, recipe: Union[str, Recipe] = "int8", target: str = "",
            test: Optional[DataLike] = None, samples: int = 32, preprocess: Preprocess = None,
            input_shapes: Any = None, inputs: Sequence[str] = (), outputs: Sequence[str] = (), cut_tail: bool = False,
            progress: Progress = False) -> Analysis:
    """Quantizes a network, and says of each layer what it loses and why, on `samples` samples of `test`, else of the
    calibration data. Arguments as of quantize()."""
    calibration = as_dataset(calib, None, preprocess)
    with opened_network(model, input_shapes, inputs, outputs, cut_tail) as (network, names), Shown(progress) as told:
        tested = no_data() if test is None else as_dataset(
            test, None, None if isinstance(test, type(calibration)) else preprocess)._core(names)
        facts, text = _core.analyze(network, calibration._core(names), as_recipe(recipe)._recipe, target, tested, samples,
                                    told)
    return Analysis(json.loads(facts), text)
