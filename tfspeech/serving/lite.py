"""TFLite models, for devices without TensorFlow, and what quantization costs them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfspeech.console import no_native_reports
from tfspeech.errors import RunError
from tfspeech.tasks.lite import LiteModel, Runner
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
        RunError: The model has no TFLite form, or this TensorFlow cannot run it.
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
        with no_native_reports():
            runner = load_lite(model)
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
        with no_native_reports():
            return converter.convert()
    except Exception as error:
        # TensorFlow 2.21 goes on after what names the operations.
        named = re.findall("(?:Custom|Flex) ops: .*", str(error))
        reason = ", ".join(named) or str(error).strip().splitlines()[-1]
        raise RunError(f"TFLite cannot convert the model: {reason}") from error


def load_lite(model: bytes) -> Runner:
    """Loads a TFLite model, as a function of its inputs by name.

    Raises:
        RunError: It needs operations of TensorFlow, and this TensorFlow's interpreter
            has no Flex delegate: from 2.20 on the wheels come without it.
    """
    with warnings.catch_warnings():
        # From 2.20 on it points to ai-edge-litert, which holds the same interpreter.
        warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter(model_content=model)
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        if "Flex delegate" not in str(error):
            raise
        raise RunError(
            f"TFLite of TensorFlow {tf.__version__} has no Flex delegate to run "
            f"{', '.join(select_operations(model))} and measure the model with; "
            "export it with TensorFlow 2.16 to 2.19"
        ) from error
    return interpreter.get_signature_runner()


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
