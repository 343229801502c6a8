"""The two checkpoints of a run: where it was last, and where it was best.

Each replaces its predecessor when it is complete, so that a run killed while it saves
can still go on.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfspeech.errors import RunError
from tfspeech.files import load_arrays, write_bytes

BEST_FILE = "best.npz"
LAST = "last"
"""The name of the files of the last state, before the number of its step."""
POINTER_FILE = "checkpoint"
"""Names the last state that was saved completely; written by TensorFlow."""

Models = Mapping[str, keras.Model]
"""Models of a task by name."""


class LastCheckpoint:
    """Everything that training needs to go on, to the bit.

    Args of the constructor:
        folder: Created when it is missing.
        variables: All state of the run, by name.

    Raises:
        RunError: What names the last state in the folder is damaged.
    """

    def __init__(self, folder: Path, variables: Mapping[str, tf.Variable]) -> None:
        if (folder / POINTER_FILE).exists():
            find_last(folder)
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(variables=dict(variables)),
            str(folder),
            max_to_keep=1,
            checkpoint_name=LAST,
        )

    def save(self, step: int) -> None:
        """Saves all state of the run after `step` steps.

        Raises:
            RunError: The disk is full or cannot be written.
        """
        try:
            self._manager.save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            raise _cannot_write(Path(self._manager.directory), error) from error

    def restore(self) -> None:
        """Restores the last state.

        Raises:
            RunError: It is missing, damaged or of another run.
        """
        latest = find_last(Path(self._manager.directory))
        try:
            status = self._manager.checkpoint.restore(latest)
            status.assert_existing_objects_matched().assert_consumed()
        except (tf.errors.OpError, LookupError, ValueError, AssertionError) as error:
            raise RunError(
                f"checkpoint {latest} is damaged or belongs to other settings; train "
                f"in a new run directory. ({str(error).splitlines()[0]})"
            ) from error


def find_last(folder: Path) -> str:
    """Finds the last state of a run, and returns what its files' names begin with.

    Raises:
        RunError: It is missing, or nothing says which of the files are complete.
    """
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except (tf.errors.OpError, ValueError):
        state = None
    if state and Path(f"{state.model_checkpoint_path}.index").is_file():
        return state.model_checkpoint_path
    pointer = folder / POINTER_FILE
    if state:
        damage = f"{state.model_checkpoint_path}.index, the last state, is missing"
    else:
        damage = f"{pointer}, which names the last state, is missing or damaged"
    if saved := saved_steps(folder):
        cure = (
            f"write this line to {pointer} to go on with what is left: "
            f'model_checkpoint_path: "{LAST}-{saved[-1]}"'
        )
    else:
        cure = "put it back from a copy, or train in a new run directory"
    raise RunError(f"{damage}: {cure}")


def saved_steps(folder: Path) -> list[int]:
    """The steps of all states in a folder, perhaps one that is incomplete."""
    steps = (path.stem.removeprefix(f"{LAST}-") for path in folder.glob("*.index"))
    return sorted(int(step) for step in steps if step.isdecimal())


def check_best(folder: Path) -> None:
    """Raises a `RunError` where the best weights of a run are missing or damaged."""
    try:
        _read_best(folder)
    except RunError as error:
        raise RunError(
            f"{folder / BEST_FILE}, the best weights so far, is missing or damaged: "
            f"put it back from a copy, or train in a new run directory. ({error})"
        ) from error


def save_best(folder: Path, models: Models) -> None:
    """Saves the weights that models carry now as the best of their run.

    Raises:
        RunError: The disk is full or cannot be written.
    """
    # In memory first: what fails on a full disk is one plain write.
    contents = io.BytesIO()
    np.savez(contents, **{key: weight.numpy() for key, weight in _weights(models)})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / BEST_FILE, contents.getbuffer())
    except OSError as error:
        raise _cannot_write(folder, error) from error


def restore_best(folder: Path, models: Models) -> None:
    """Gives models the best weights of their run.

    Raises:
        RunError: There are none yet, or they are damaged or of other models.
    """
    arrays = _read_best(folder)
    try:
        for key, weight in _weights(models):
            weight.assign(arrays[key])
    except (KeyError, ValueError) as error:
        raise RunError(
            f"checkpoint {folder / BEST_FILE} is of another model: {error}"
        ) from error


def take_best(folder: Path, models: Models) -> list[str]:
    """Gives models those of another run's best weights that they have, too.

    Args:
        folder: The checkpoints of the other run.
        models: They may have other weights, and weights of other shapes.

    Returns:
        A line for every weight that was not taken, with the reason.

    Raises:
        RunError: There are none yet, or they are damaged.
    """
    left = []
    arrays = _read_best(folder)
    for key, weight in _weights(models):
        if key not in arrays:
            left.append(f"{weight.path}: the other model has no such weight")
        elif arrays[key].shape != tuple(weight.shape):
            shapes = arrays[key].shape, tuple(weight.shape)
            left.append(f"{weight.path}: {shapes[0]} there, {shapes[1]} here")
        else:
            weight.assign(arrays[key])
    return left


def best_models(folder: Path) -> set[str]:
    """The names of the models whose best weights a run has kept.

    Raises:
        RunError: There are none yet, or they are damaged.
    """
    return {key.partition(":")[0] for key in _read_best(folder)}


def _weights(models: Models) -> Iterator[tuple[str, keras.Variable]]:
    """The weights of models, with names that are the same in every run."""
    for name, model in models.items():
        yield from ((f"{name}:{weight.path}", weight) for weight in model.weights)


def _read_best(folder: Path) -> dict[str, np.ndarray]:
    """The best weights of a run, by the names of `_weights`.

    Raises:
        RunError: There are none yet, or they are damaged.
    """
    path = folder / BEST_FILE
    if not path.exists():
        raise RunError(
            f"{folder} has no checkpoint of a whole epoch yet: go on with "
            f"tfspeech train --run-dir {folder.parent} --resume"
        )
    try:
        return load_arrays(path)
    except (OSError, ValueError) as error:
        raise RunError(f"checkpoint {path} is damaged: {error}") from error


def _cannot_write(folder: Path, error: Exception) -> RunError:
    reason = str(error).splitlines()[0]
    return RunError(
        f"cannot write a checkpoint to {folder}: make room or mend its permissions, "
        f"then go on with --resume. ({reason})"
    )
