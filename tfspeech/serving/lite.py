"""TFLite models, for devices without TensorFlow, and what quantization costs them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfspeech.errors import RunError
from tfspeech.tasks.lite import LiteModel
from tfspeech.tasks.task import RunConfig, Task

QUANTIZATIONS = ("float16", "int8")
"""Types of the weights. Activations are 32-bit floats, except inside int8 products."""


def write_lite(
    folder: Path, config: RunConfig, task: Task, kinds: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Writes TFLite models, and measures each on the test split of the run's corpus.

    Args:
        folder: Where they are written, as `<model>_<kind>.tflite`.
        config: Of the run.
        task: Its trained model.
        kinds: `float32`, or one of `QUANTIZATIONS`.

    Returns:
        By kind: `kind`; `file`, the name; `bytes`, and `float32_bytes` of the model
        that is not quantized; `select_operations`, those of TensorFlow that TFLite
        needs its Flex delegate for; and the figures of `LiteModel.measure`.

    Raises:
        RunError: The model has no TFLite form.
        CorpusError: The corpus cannot be read.
    """
    lite = task.lite()
    if lite is None:
        raise RunError(f"{config.model} has no TFLite form; export it without")
    data = config.read_data(split="test")
    data.report.raise_if_fatal()
    unquantized = convert(lite, "float32")
    found = {}
    for kind in kinds:
        model = unquantized if kind == "float32" else convert(lite, kind)
        name = f"{config.name}_{kind}.tflite"
        (folder / name).write_bytes(model)
        with _no_reports():
            runner = tf.lite.Interpreter(model_content=model).get_signature_runner()
        found[kind] = {
            "kind": kind,
            "file": name,
            "bytes": len(model),
            "float32_bytes": len(unquantized),
            "select_operations": select_operations(model),
            **lite.measure(data, runner),
        }
    return found


def convert(lite: LiteModel, kind: str) -> bytes:
    """Converts a model.

    Builtin operations are taken where there are any; what is left, TensorFlow's own
    kernels do.

    Args:
        lite: The model.
        kind: `float32`; `float16`, which halves the weights; or `int8`, which quarters
            those of matrices and rounds what they are multiplied with on the fly.

    Raises:
        RunError: TFLite has no operations for it.
    """
    function = lite.function.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], lite)
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    try:
        with _no_reports():
            return converter.convert()
    except Exception as error:
        reason = str(error).strip().splitlines()[-1]
        raise RunError(f"TFLite cannot convert the model: {reason}") from error


@contextlib.contextmanager
def _no_reports() -> Iterator[None]:
    """Keeps what TFLite's C++ reports of its own doings off the console."""
    console = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(console, 2)
        os.close(console)


def select_operations(model: bytes) -> list[str]:
    """The operations of a TFLite model that need the Flex delegate, sorted."""
    # They are custom operations, which the file has by name.
    names = re.findall(rb"Flex([A-Z][A-Za-z0-9]+)\0", model)
    return sorted({name.decode() for name in names})


def summarize(found: dict[str, Any]) -> str:
    """Formats the figures of one model of `write_lite` as one line."""
    share = found["bytes"] / found["float32_bytes"]
    select = ", ".join(found["select_operations"])
    return (
        f"{found['file']}: {found['bytes']:,} bytes, {share:.0%} of float32; "
        f"{found['summary']}; "
        + (f"needs the Flex delegate for {select}" if select else "builtin operations")
    )
