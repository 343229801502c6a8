"""Description of an exported model for those who write its clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfspeech.serving.tensors import meaning
from tfspeech.versions import current_versions

DESCRIPTION_FILE = Path("assets.extra", "description.json")
LABELS_FILE = Path("assets.extra", "labels.txt")


def write_description(
    folder: Path,
    model: str,
    signatures: Mapping[str, tf.types.experimental.ConcreteFunction],
    metadata: Mapping[str, Any],
) -> None:
    """Writes the description, and the labels, if there are, one on a line.

    Args:
        folder: Of the SavedModel.
        model: The model's name.
        signatures: Exported functions by name.
        metadata: Properties that the signatures do not tell; see
            `RecognitionServer.metadata`.
    """
    description = {
        "model": model,
        **current_versions(),
        **metadata,
        "signatures": {
            name: {
                "inputs": _tensors(function.structured_input_signature[1]),
                "outputs": _tensors(function.structured_outputs),
            }
            for name, function in signatures.items()
        },
    }
    (folder / DESCRIPTION_FILE).parent.mkdir(exist_ok=True)
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    if "labels" in metadata:
        labels = "".join(f"{label}\n" for label in metadata["labels"])
        (folder / LABELS_FILE).write_text(labels, encoding="utf-8")


def _tensors(specs: Mapping[str, tf.TensorSpec]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "dtype": spec.dtype.name,
            "shape": list(meaning(name).dims),
            "meaning": meaning(name).text,
            "unit": meaning(name).unit,
        }
        for name, spec in sorted(specs.items())
    }


def read_description(folder: Path) -> dict[str, Any]:
    """Reads what `write_description` has written.

    Args:
        folder: Of the SavedModel.
    """
    return json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
