"""The rules by which TF Serving reads tensors from JSON and writes them.

After https://www.tensorflow.org/tfx/serving/api_rest and the server's messages.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from c_api import DTYPES, TensorFlowError

INVALID_ARGUMENT = 3
_JSON_TYPES = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,), "O": (str,)}


def _invalid(message: str) -> TensorFlowError:
    return TensorFlowError(INVALID_ARGUMENT, message)


def parse_request(body: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        TensorFlowError: It is none, or it has not exactly one of the two formats.
    """
    try:
        request = json.loads(body)
    except ValueError as error:
        raise _invalid(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise _invalid(f"JSON Value: {json.dumps(request)} Is not object")
    if not isinstance(request.get("signature_name", ""), str):
        raise _invalid("'signature_name' key must be a string value.")
    formats = {"instances", "inputs"} & set(request)
    if not formats:
        raise _invalid("Missing 'inputs' or 'instances' key")
    if len(formats) > 1:
        raise _invalid("expecting only one of 'inputs' or 'instances' keys to exist")
    return request


def read_inputs(request: Mapping[str, Any], types: Mapping[str, int]) -> dict:
    """The tensors of a request.

    Args:
        request: What `parse_request` returned.
        types: Name of each input of the signature -> its type.

    Raises:
        TensorFlowError: They are not those of the signature, or a list is ragged.
    """
    if "inputs" in request:
        return _read_columns(request["inputs"], types)
    rows = request["instances"]
    if not isinstance(rows, list) or not rows:
        raise _invalid("Expecting 'instances' to be a list/array with values")
    return _read_rows(rows, types)


def _read_columns(columns: Any, types: Mapping[str, int]) -> dict[str, np.ndarray]:
    if not _is_object(columns):
        columns = {_only(types, "inputs is a plain value/list"): columns}
    for name in types:
        if name not in columns:
            raise _invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _to_array(columns[name], kind) for name, kind in types.items()}


def _read_rows(rows: list, types: Mapping[str, int]) -> dict[str, np.ndarray]:
    if not _is_object(rows[0]):
        rows = [{_only(types, "instances is a plain list"): row} for row in rows]
    columns: dict[str, list] = {name: [] for name in types}
    for number, row in enumerate(rows):
        where = f"Failed to process element: {number}"
        if not _is_object(row):
            raise _invalid(f"Expecting object but got list at item {number}")
        if set(row) != set(types):
            wanted = ",".join(sorted(types))
            raise _invalid(
                f"{where} of 'instances' list. JSON object: keys must be equal to: "
                f"{wanted}"
            )
        for name, value in row.items():
            try:
                array = _to_array(value, types[name])
            except TensorFlowError as error:
                raise _invalid(f"{where} key: {name}. Error: {error}") from error
            first = columns[name][0] if columns[name] else array
            if array.shape != first.shape:
                raise _invalid(
                    f"{where} key: {name} of 'instances' list. Error: Expecting tensor "
                    f"size: {first.size} but got: {array.size}"
                )
            columns[name].append(array)
    return {name: np.stack(values) for name, values in columns.items()}


def _only(types: Mapping[str, int], what: str) -> str:
    if len(types) > 1:
        raise _invalid(f"{what}, but multiple input tensors are required")
    return next(iter(types))


def _is_object(value: Any) -> bool:
    """Whether a value has names; an encoded string has none."""
    return isinstance(value, dict) and not _is_encoded(value)


def _is_encoded(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _to_array(value: Any, kind: int) -> np.ndarray:
    dtype = np.dtype(DTYPES[kind])
    shape = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    array = np.empty(shape, dtype)
    _fill(array, value, dtype)
    return array


def _fill(array: np.ndarray, value: Any, dtype: np.dtype) -> None:
    if array.ndim == 0:
        array[()] = _to_scalar(value, dtype)
        return
    if not isinstance(value, list):
        raise _invalid(f"JSON Value: {json.dumps(value)} found at incorrect level")
    if len(value) != len(array):
        raise _invalid(
            f"Encountered list at unexpected size: {len(value)} expected size: "
            f"{len(array)}"
        )
    for place, item in enumerate(value):
        _fill(array[place, ...], item, dtype)


def _to_scalar(value: Any, dtype: np.dtype) -> Any:
    if isinstance(value, list):
        raise _invalid("Encountered list at unexpected level")
    if dtype.kind == "O" and _is_encoded(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise _invalid("Unable to base64 decode") from error
    valid = isinstance(value, _JSON_TYPES[dtype.kind])
    if not valid or (isinstance(value, bool) and dtype.kind != "b"):
        raise _invalid(
            f"JSON Value: {json.dumps(value)} is not of expected type: {dtype.name}"
        )
    return value.encode() if dtype.kind == "O" else value


def write_outputs(outputs: Mapping[str, np.ndarray], by_rows: bool) -> bytes:
    """The JSON of a response.

    Args:
        outputs: Name -> array.
        by_rows: Whether the request came as `instances`.

    Raises:
        TensorFlowError: Outputs of an answer by rows are not of the same batch size.
    """
    columns = {name: _to_json(name, value) for name, value in outputs.items()}
    if by_rows:
        sizes = {len(value) if value.ndim else 0 for value in outputs.values()}
        if len(sizes) > 1:
            raise _invalid("Tensor name: has inconsistent batch size")
        rows = [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
        return json.dumps({"predictions": [_unnamed(row) for row in rows]}).encode()
    # Columns, and only they, are written with every number on a line.
    return json.dumps({"outputs": _unnamed(columns)}, indent=4).encode()


def _unnamed(values: dict[str, Any]) -> Any:
    """One value alone goes without its name."""
    return values if len(values) > 1 else next(iter(values.values()))


def _to_json(name: str, value: np.ndarray) -> Any:
    if value.dtype != object:
        return value.tolist()
    encode = _encoded if name.endswith("_bytes") else bytes.decode
    return np.vectorize(encode, otypes=[object])(value).tolist()


def _encoded(text: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(text).decode()}
