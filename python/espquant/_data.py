"""What networks are calibrated and measured on, and which part of a network is meant."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import _core
from ._errors import Error

PathLike = Union[str, "os.PathLike[str]"]
#: Whatever Dataset takes.
DataLike = Union["Dataset", PathLike, np.ndarray, Mapping[str, Any], Iterable[Any]]
Preprocess = Union[None, Sequence[str], Mapping[str, Any]]


def as_numpy(array: Any) -> np.ndarray:
    """Also of a torch.Tensor, wherever it lies, without torch being needed here."""
    if hasattr(array, "detach"):
        array = array.detach().cpu().numpy()
    array = np.asarray(array)
    if array.dtype == object or array.dtype.kind in "USOV":
        raise Error(f"an array of {array.dtype}, which holds no numbers", code="bad-data")
    return array


def _is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) or hasattr(thing, "__array__") or hasattr(thing, "detach")


def _are_labels(array: np.ndarray, batch: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and array.ndim <= 1 and array.size == (batch.shape[0] if batch.ndim else 1)


class Dataset:
    """Inputs of a network, and the classes that they are of where those are known.

    Args:
        source: one of

            * a path: a folder of pictures, a picture, an .npy or an .npz;
            * an array (N, ...) for a network of one input. Floats are inputs as they are, of shape (N,C,H,W) for an
              input (1,C,H,W). uint8 arrays (N,H,W), (N,H,W,C) or (N,C,H,W) are pictures and are preprocessed;
            * a dict of such arrays by the names of the inputs;
            * any iterable of batches (a torch DataLoader): arrays, dicts of them, or tuples of them in the order of
              the inputs. A last element of whole numbers, one for each sample of the batch, are labels. It is read
              to its end, or for `batches` batches.
        labels: class numbers (N), or one-hot rows (N,K).
        preprocess: how pictures become inputs, {"color": "gray", "mean": [0.5]} or ["color=gray", "mean=0.5"]: the
            keys of docs/data.md.
        classes: a file with the names of the classes, one a line.
        count: measure on at most so many samples, evenly spread; 0: all. How many calibrate is the recipe's.
        batches: of an iterable, at most so many.

    Arrays are not copied where they are contiguous.
    """

    def __init__(self, source: DataLike, labels: Any = None, *, preprocess: Preprocess = None,
                 classes: Optional[PathLike] = None, count: int = 0, batches: Optional[int] = None) -> None:
        self._path = ""
        self._arrays: Dict[str, np.ndarray] = {}
        self._in_order: List[np.ndarray] = []
        self._preprocess = _settings(preprocess)
        self._classes = os.fspath(classes) if classes is not None else ""
        self._count = count
        if isinstance(source, (str, os.PathLike)):
            self._path = os.fspath(source)
        elif isinstance(source, Mapping):
            self._arrays = {str(name): as_numpy(array) for name, array in source.items()}
        elif _is_array(source):
            self._in_order = [as_numpy(source)]
        else:
            self._collect(source, batches)
        if labels is not None:
            if self._path:
                raise Error("labels beside a path: the file or the folders must hold them",
                            remedy="Load the arrays and give those")
            self._arrays["labels"] = as_numpy(labels)

    def _collect(self, source: Iterable[Any], batches: Optional[int]) -> None:
        parts: List[Any] = []
        for batch in source:
            if batches is not None and len(parts) >= batches:
                break
            if isinstance(batch, Mapping):
                parts.append({str(name): as_numpy(array) for name, array in batch.items()})
            elif isinstance(batch, (tuple, list)):
                parts.append([as_numpy(array) for array in batch])
            else:
                parts.append([as_numpy(batch)])
        if not parts:
            raise Error("the data hold no batch", code="bad-data")
        if isinstance(parts[0], dict):
            self._arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            return
        columns = [np.concatenate([np.atleast_1d(part[i]) for part in parts]) for i in range(len(parts[0]))]
        if len(columns) > 1 and _are_labels(columns[-1], columns[0]):
            self._arrays["labels"] = columns.pop()
        self._in_order = columns

    def _core(self, input_names) -> _core.Data:
        """`input_names()` are asked for only where arrays came without names."""
        arrays = dict(self._arrays)
        if self._in_order:
            names = input_names() if len(self._in_order) > 1 else ["inputs"]
            if len(names) != len(self._in_order):
                raise Error(f"{len(self._in_order)} arrays for the inputs {', '.join(names)}", code="bad-data")
            arrays.update(zip(names, self._in_order))
        return _core.Data(path=self._path, arrays=arrays, preprocess=self._preprocess, preprocess_file="",
                          classes=self._classes, count=self._count)

    def __repr__(self) -> str:
        if self._path:
            return f"Dataset({self._path!r})"
        shapes = [str(a.shape) for a in self._in_order]
        shapes += [f"{name} {a.shape}" for name, a in self._arrays.items()]
        return f"Dataset({', '.join(shapes)})"


def _settings(preprocess: Preprocess) -> List[str]:
    if preprocess is None:
        return []
    if not isinstance(preprocess, Mapping):
        return [preprocess] if isinstance(preprocess, str) else list(preprocess)

    def text(value: Any) -> str:
        if isinstance(value, (list, tuple, np.ndarray)):
            return ",".join(repr(float(v)) for v in value)
        return str(value)

    return [f"{key}={text(value)}" for key, value in preprocess.items()]


def as_dataset(data: DataLike, labels: Any = None, preprocess: Preprocess = None,
               classes: Optional[PathLike] = None) -> Dataset:
    if isinstance(data, Dataset):
        if labels is not None or preprocess is not None or classes is not None:
            raise Error("labels, preprocess and classes are given to the Dataset itself")
        return data
    return Dataset(data, labels, preprocess=preprocess, classes=classes)


def no_data() -> _core.Data:
    return _core.Data(path="", arrays={}, preprocess=[], preprocess_file="", classes="", count=0)


def _shape_texts(shapes: Any) -> List[str]:
    if shapes is None:
        return []
    if isinstance(shapes, Mapping):
        return [f"{name}={','.join(str(int(e)) for e in shape)}" for name, shape in shapes.items()]
    return [",".join(str(int(e)) for e in shapes)]


@contextmanager
def opened_network(model: Any, input_shapes: Any = None, inputs: Sequence[str] = (), outputs: Sequence[str] = (),
                   cut_tail: bool = False) -> Iterator[Tuple[_core.Network, Any]]:
    """The network of a path or of an onnx.ModelProto, and what gives its inputs' names."""
    shapes = _shape_texts(input_shapes)
    with tempfile.TemporaryDirectory() as folder:
        if hasattr(model, "SerializeToString"):
            name = getattr(getattr(model, "graph", None), "name", "") or "model"
            path = os.path.join(folder, "".join(c if c.isalnum() or c in "-_." else "_" for c in name) + ".onnx")
            with open(path, "wb") as file:
                file.write(model.SerializeToString())
        else:
            path = os.fspath(model)
        network = _core.Network(file=path, input_shapes=shapes, inputs=list(inputs), outputs=list(outputs),
                                cut_tail=cut_tail)
        yield network, lambda: [port["name"] for port in json.loads(_core.inspect_network(network, False))["inputs"]]
