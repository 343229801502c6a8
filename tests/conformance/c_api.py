"""Loads and runs SavedModels by TensorFlow's C library: what TF Serving itself does.

It belongs in a process of its own, in which no Python of TensorFlow is run: its shared
library is called through ctypes, and of its package only the generated protos are
imported.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_TENSORFLOW = Path(importlib.util.find_spec("tensorflow").origin).parent


def _stand_in_for_tensorflow() -> None:
    """Makes `import tensorflow.x_pb2` work without running `tensorflow/__init__.py`."""
    package = types.ModuleType("tensorflow")
    package.__path__ = [str(_TENSORFLOW)]
    sys.modules["tensorflow"] = package


_stand_in_for_tensorflow()

from tensorflow.core.protobuf import meta_graph_pb2  # noqa: E402

STRING = 7
DTYPES = {1: "f4", 2: "f8", 3: "i4", 4: "u1", STRING: "O", 9: "i8", 10: "?"}
"""TensorFlow's numbers of types -> NumPy's names."""

_TSTRING_BYTES = 24
_POINTER = ctypes.c_void_p


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("data", _POINTER),
        ("length", ctypes.c_size_t),
        ("deallocator", _POINTER),
    )


class _Output(ctypes.Structure):
    _fields_ = (("operation", _POINTER), ("index", ctypes.c_int))


class TensorFlowError(Exception):
    """A refusal of the library.

    Attributes:
        code: Of the canonical error space, such as 3 for INVALID_ARGUMENT.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _load_library() -> ctypes.CDLL:
    ctypes.CDLL(str(_TENSORFLOW / "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(_TENSORFLOW / "libtensorflow_cc.so.2"))
    # All others return nothing, or an int.
    for name in (
        *("TF_NewStatus", "TF_NewSessionOptions", "TF_NewGraph", "TF_NewBuffer"),
        *("TF_LoadSessionFromSavedModel", "TF_GraphOperationByName"),
        *("TF_AllocateTensor", "TF_TensorData", "TF_StringGetDataPointer"),
    ):
        getattr(library, name).restype = _POINTER
    library.TF_Message.restype = ctypes.c_char_p
    for name in ("TF_Dim", "TF_StringGetSize", "TF_TensorByteSize"):
        getattr(library, name).restype = ctypes.c_int64
    return library


_LIB = _load_library()


def _checked(status: _POINTER) -> None:
    """Deletes a status.

    Raises:
        TensorFlowError: It is none of success.
    """
    code, message = _LIB.TF_GetCode(status), _LIB.TF_Message(status).decode()
    _LIB.TF_DeleteStatus(status)
    if code:
        raise TensorFlowError(code, message)


class SavedModel:
    """A model with the tag `serve`, in a session.

    Args of the constructor:
        folder: Where `saved_model.pb` is.

    Attributes:
        signatures: Name -> `SignatureDef`.

    Raises:
        TensorFlowError: It cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self._graph = _POINTER(_LIB.TF_NewGraph())
        options = _POINTER(_LIB.TF_NewSessionOptions())
        buffer = _POINTER(_LIB.TF_NewBuffer())
        status = _POINTER(_LIB.TF_NewStatus())
        tags = (ctypes.c_char_p * 1)(b"serve")
        path = str(folder).encode()
        self._session = _POINTER(
            _LIB.TF_LoadSessionFromSavedModel(
                options, None, path, tags, 1, self._graph, buffer, status
            )
        )
        contents = ctypes.cast(buffer, ctypes.POINTER(_Buffer)).contents
        proto = ctypes.string_at(contents.data, contents.length)
        _LIB.TF_DeleteBuffer(buffer)
        _LIB.TF_DeleteSessionOptions(options)
        _checked(status)
        meta_graph = meta_graph_pb2.MetaGraphDef.FromString(proto)
        self.signatures = dict(meta_graph.signature_def)

    def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: Name -> array of the signature's own type; strings are bytes, in
                arrays of objects.
            outputs: Which are wanted; none means all.

        Raises:
            TensorFlowError: The graph refuses the inputs.
        """
        wanted = self.signatures[signature]
        names = list(outputs or wanted.outputs)
        places_in = [self._place(wanted.inputs[name].name) for name in inputs]
        places_out = [self._place(wanted.outputs[name].name) for name in names]
        given = [_to_tensor(value) for value in inputs.values()]
        answers = (_POINTER * len(names))()
        status = _POINTER(_LIB.TF_NewStatus())
        _LIB.TF_SessionRun(
            *(self._session, None),
            *((_Output * len(given))(*places_in), (_POINTER * len(given))(*given)),
            len(given),
            *((_Output * len(names))(*places_out), answers, len(names)),
            *(None, 0, None, status),
        )
        for tensor, value in zip(given, inputs.values(), strict=True):
            _delete_input(tensor, value)
        _checked(status)
        return {
            name: _from_tensor(_POINTER(answer))
            for name, answer in zip(names, answers, strict=True)
        }

    def _place(self, name: str) -> _Output:
        operation, index = name.split(":")
        found = _LIB.TF_GraphOperationByName(self._graph, operation.encode())
        return _Output(found, int(index))


def _to_tensor(value: np.ndarray) -> _POINTER:
    """A tensor with the contents of an array."""
    is_string = value.dtype == object
    kinds = {np.dtype(name): number for number, name in DTYPES.items()}
    sizes = (ctypes.c_int64 * value.ndim)(*value.shape)
    count = value.size * (_TSTRING_BYTES if is_string else value.itemsize)
    tensor = _POINTER(
        _LIB.TF_AllocateTensor(
            kinds[value.dtype], sizes, value.ndim, ctypes.c_size_t(count)
        )
    )
    start = _LIB.TF_TensorData(tensor)
    if not is_string:
        ctypes.memmove(start, np.ascontiguousarray(value).ctypes.data, count)
        return tensor
    for place, text in zip(_strings(start, value.size), value.flat, strict=True):
        _LIB.TF_StringInit(place)
        _LIB.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
    return tensor


def _strings(start: int, count: int) -> list[_POINTER]:
    """Where the strings of a tensor are."""
    return [_POINTER(start + index * _TSTRING_BYTES) for index in range(count)]


def _delete_input(tensor: _POINTER, value: np.ndarray) -> None:
    if value.dtype == object:
        for place in _strings(_LIB.TF_TensorData(tensor), value.size):
            _LIB.TF_StringDealloc(place)
    _LIB.TF_DeleteTensor(tensor)


def _from_tensor(tensor: _POINTER) -> np.ndarray:
    """The contents of a tensor, which is deleted."""
    kind = _LIB.TF_TensorType(tensor)
    shape = [_LIB.TF_Dim(tensor, axis) for axis in range(_LIB.TF_NumDims(tensor))]
    start = _LIB.TF_TensorData(tensor)
    if kind == STRING:
        texts = [
            ctypes.string_at(
                _LIB.TF_StringGetDataPointer(place), _LIB.TF_StringGetSize(place)
            )
            for place in _strings(start, int(np.prod(shape)))
        ]
        value = np.array(texts, object).reshape(shape)
    else:
        contents = ctypes.string_at(start, _LIB.TF_TensorByteSize(tensor))
        value = np.frombuffer(contents, DTYPES[kind]).reshape(shape)
    _LIB.TF_DeleteTensor(tensor)
    return value
