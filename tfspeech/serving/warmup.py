"""Requests that TF Serving runs before a version is given its first real one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tfspeech.errors import RunError

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")

Inputs = Mapping[str, np.ndarray]


def write_warmup(
    folder: Path,
    model: str,
    signatures: Mapping[str, tf.types.experimental.ConcreteFunction],
    examples: Mapping[str, Inputs],
    batch_sizes: Sequence[int],
) -> None:
    """Writes one request for every signature and batch size, each tried out first.

    Args:
        folder: Of the SavedModel.
        model: The model's name.
        signatures: What is exported. A server does not load a version whose requests
            fail.
        examples: One row for every signature; strings are bytes in arrays of objects.
        batch_sizes: How many rows the requests have.

    Raises:
        RunError: A signature has no example, or refuses it.
    """
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.items():
            if name not in examples:
                raise RunError(f"{model} has no example for its signature {name!r}")
            for size in batch_sizes:
                inputs = {k: np.repeat(v, size, 0) for k, v in examples[name].items()}
                _try(model, name, function, inputs)
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = model
                request.model_spec.signature_name = name
                for key, value in inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
                writer.write(log.SerializeToString())


def _try(
    model: str,
    signature: str,
    function: tf.types.experimental.ConcreteFunction,
    inputs: Inputs,
) -> None:
    try:
        function(**{name: tf.constant(value) for name, value in inputs.items()})
    except tf.errors.InvalidArgumentError as error:
        # Before and after the reason the message says where in the graph it was.
        lines = [line for line in error.message.splitlines() if line[:1].strip()]
        raise RunError(
            f"{model} refuses the example of its signature {signature!r}: {lines[-1]}"
        ) from error


def read_warmup(folder: Path) -> Iterator[predict_pb2.PredictRequest]:
    """Reads the requests of a SavedModel.

    Args:
        folder: Of the SavedModel.
    """
    for record in tf.data.TFRecordDataset(str(folder / WARMUP_FILE)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        yield log.predict_log.request
