"""`python -m tfspeech.export`: writes a SavedModel that TF Serving loads."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfspeech.config import add_flags
from tfspeech.console import Parser, print_json, run_command
from tfspeech.errors import RunError, SpecError
from tfspeech.files import locked
from tfspeech.flags import add_language_model, add_vocoder
from tfspeech.serving.description import read_description, write_description
from tfspeech.serving.graph import check_operations, check_signatures, guarded
from tfspeech.serving.lite import QUANTIZATIONS, summarize, write_lite
from tfspeech.serving.settings import (
    MAX_BATCH_SIZE,
    MODELS_FILE,
    SERVER_FOLDER,
    listed_models,
    write_settings,
)
from tfspeech.serving.warmup import write_warmup
from tfspeech.tasks.limits import Limits, RecognitionLimits, SpeechLimits
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.tasks.task import RunConfig, Task

_PARTIAL = "partial-"


def run(
    run_dir: Path,
    output: Path = Path("saved_models"),
    tflite: bool = False,
    quantize: str | None = None,
    vocoder: str | None = None,
    language_model: Path | None = None,
    **limits: float,
) -> Path:
    """Exports the best model of a run as the next version of its model.

    The version appears under its name when it is complete: a server that watches the
    folder never sees half a model. The settings of a server of all models in `output`
    are written beside them; see `write_settings`. Hidden units that say nothing of the
    input, such as strategies have zeroed, are left out. Exports to one folder wait for
    one another, and remove what killed ones have left.

    Args:
        run_dir: The run.
        output: Where `<model>/<version>/` is written.
        tflite: Whether a TFLite model of 32-bit weights goes with it.
        quantize: A quantization, for a TFLite model of smaller weights.
        vocoder: Of a synthesiser, another one than that of the run; see `load_task`. It
            is part of the graph.
        language_model: Of a recogniser of connected speech, likewise.
        **limits: Of requests, those of the model's `limits` that are not to have their
            default.

    Returns:
        The folder of the new version. What `write_lite` says of every TFLite model is
        in its description.

    Raises:
        RunError: There is no trained model, TF Serving could not serve it, it has no
            TFLite form, it takes no language model, `models.config` is damaged, or the
            disk is full.
        TextError: The language model is damaged, or not for the model.
        SpecError: The model does not have one of the limits, or it is out of range; or
            the vocoder is unknown, or not for the frames of the model.
        CorpusError: The corpus that a TFLite model is measured on cannot be read.
    """
    config, task = load_task(run_dir, vocoder, language_model, drop_dead_units=True)
    task.limits = _with_limits(config.name, task.limits, limits)
    kinds = ["float32"] * tflite + [quantize] * (quantize is not None)
    with locked(output, wait=True):
        listed_models(output)  # A list that is damaged is to fail before the work.
        version = _export(config, task, output / config.name, kinds)
        write_settings(output)
    return version


def _export(config: RunConfig, task: Task, folder: Path, kinds: Sequence[str]) -> Path:
    """Writes a version into the folder of its model, which nobody else writes to."""
    folder.mkdir(exist_ok=True)
    for leftover in folder.glob(f"{_PARTIAL}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    # No server takes the name of the partial folder for a version.
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=folder) as name:
        partial = Path(name)
        partial.chmod(0o755)  # A server may run as another user.
        try:
            _fill(partial, config, task, kinds)
        except tf.errors.OpError as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"cannot write the model to {folder}: make room or choose another "
                f"--output ({reason})"
            ) from error
        return _publish(partial, folder)


def _fill(folder: Path, config: RunConfig, task: Task, kinds: Sequence[str]) -> None:
    """Writes all that belongs to a version."""
    server = task.server()
    limits = task.limits
    signatures = {**server.signatures, "limits": limits.signature()}
    examples = {**server.examples, "limits": {"row": np.zeros(1, np.int32)}}
    check_signatures(signatures)
    signatures = {
        name: guarded(function, limits) for name, function in signatures.items()
    }
    tf.saved_model.save(server, str(folder), signatures=signatures)
    check_operations(folder)
    sizes = (1, MAX_BATCH_SIZE)
    write_warmup(folder, config.name, signatures, examples, sizes)
    lite = write_lite(folder, config, task, kinds) if kinds else {}
    metadata = {
        **server.metadata,
        "limits": dataclasses.asdict(limits),
        "tflite": lite,
    }
    write_description(folder, config.name, signatures, metadata)


def _with_limits(model: str, limits: Limits, given: Mapping[str, float]) -> Limits:
    """Returns the limits of a model with some of them changed."""
    names = [field.name for field in dataclasses.fields(limits)]
    for name in given:
        if name not in names:
            raise SpecError(
                f"{model} has no limit {name} that could be set; it has "
                f"{', '.join(names)}"
            )
    return dataclasses.replace(limits, **given)


def _publish(partial: Path, folder: Path) -> Path:
    """Renames a complete model to the next free version, also when others export."""
    while True:
        versions = [int(p.name) for p in folder.iterdir() if p.name.isdecimal()]
        target = folder / str(max(versions, default=0) + 1)
        try:
            return partial.rename(target)
        except OSError:
            if not target.exists():
                raise


def main(arguments: Sequence[str]) -> None:
    """Exports, and says how the model is served."""
    parser = Parser("export", "Writes a SavedModel that TF Serving loads.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where MODEL/VERSION/ is written (default: saved_models)",
    )
    parser.add_argument(
        "--tflite", action="store_true", help="write a TFLite model beside it"
    )
    parser.add_argument(
        "--quantize",
        choices=QUANTIZATIONS,
        help="write a TFLite model with weights of this type beside it",
    )
    add_vocoder(parser)
    add_language_model(parser)
    parser.add_json()
    add_flags(parser, RecognitionLimits())
    add_flags(parser, SpeechLimits(), skip=["max_rows"])
    given = vars(parser.parse_args(arguments))
    as_json = given.pop("json", False)
    version = run(**given)
    model = version.parent
    lite = read_description(version)["tflite"]
    print(f"exported {version}")
    for each in lite.values():
        print(summarize(each))
    usage = load_config(given["run_dir"]).usage
    print(f"try: {usage.format(given['run_dir'])}")
    print(
        f"serve: docker run -p 8500:8500 -p 8501:8501 -v "
        f"{model.parent.resolve()}:{SERVER_FOLDER} tensorflow/serving "
        f"--model_config_file={SERVER_FOLDER}/{MODELS_FILE}"
    )
    if as_json:
        found = {"model": model.name, "version": int(version.name)}
        print_json({**found, "tflite": lite} if lite else found)


if __name__ == "__main__":
    run_command(main)
