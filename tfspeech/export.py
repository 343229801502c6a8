"""`python -m tfspeech.export`: writes a SavedModel that TF Serving loads."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from tfspeech.console import Parser, print_json, run_command
from tfspeech.errors import RunError
from tfspeech.runs import load_config, load_task


def run(run_dir: Path, output: Path = Path("saved_models")) -> Path:
    """Exports the best model of a run as the next version of its model.

    The version appears under its name when it is complete: a server that watches the
    folder never sees half a model.

    Args:
        run_dir: The run.
        output: Where `<model>/<version>/` is written.

    Returns:
        The folder of the new version.

    Raises:
        RunError: There is no trained model, or the disk is full.
    """
    config, task = load_task(run_dir)
    server = task.server()
    folder = output / config.model
    with _partial_folder(folder) as partial:
        try:
            tf.saved_model.save(server, str(partial), signatures=server.signatures)
        except tf.errors.OpError as error:
            reason = str(error).splitlines()[0]
            raise RunError(
                f"cannot write the model to {folder}: make room or choose another "
                f"--output ({reason})"
            ) from error
        return _publish(partial, folder)


@contextlib.contextmanager
def _partial_folder(folder: Path) -> Iterator[Path]:
    """A folder to be filled, whose name no server takes for a version."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder))
    partial.chmod(0o755)  # A server may run as another user.
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
    parser = Parser("tfspeech.export", "Writes a SavedModel that TF Serving loads.")
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where MODEL/VERSION/ is written (default: saved_models)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = vars(parser.parse_args(arguments))
    as_json = given.pop("json", False)
    given.pop("verbose", None)
    version = run(**given)
    model = version.parent
    print(f"exported {version}")
    usage = load_config(given["run_dir"]).usage
    print(f"try: python -m {usage.format(given['run_dir'])}")
    print(
        f"serve: docker run -p 8501:8501 -v {model.resolve()}:/models/{model.name} "
        f"-e MODEL_NAME={model.name} tensorflow/serving"
    )
    if as_json:
        print_json({"model": model.name, "version": int(version.name)})


if __name__ == "__main__":
    run_command(main)
