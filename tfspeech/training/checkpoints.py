"""The two checkpoints of a run: where it was last, and where it was best.

Each replaces its predecessor when it is complete, so that a run killed while it saves
can still go on.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfspeech.errors import RunError
from tfspeech.files import write_bytes

BEST_FILE = "best.npz"

Models = Mapping[str, keras.Model]
"""Models of a task by name."""


class LastCheckpoint:
    """Everything that training needs to go on, to the bit.

    Args of the constructor:
        folder: Created when it is missing.
        variables: All state of the run, by name.
    """

    def __init__(self, folder: Path, variables: Mapping[str, tf.Variable]) -> None:
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(variables=dict(variables)),
            str(folder),
            max_to_keep=1,
            checkpoint_name="last",
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

    def restore(self) -> bool:
        """Restores the last state, if there is one; returns whether there is.

        Raises:
            RunError: The checkpoint is damaged or of another run.
        """
        latest = self._manager.latest_checkpoint
        if latest is None:
            return False
        try:
            status = self._manager.checkpoint.restore(latest)
            status.assert_existing_objects_matched().assert_consumed()
        except (tf.errors.OpError, LookupError, ValueError, AssertionError) as error:
            raise RunError(
                f"checkpoint {latest} is damaged or belongs to other settings; train "
                f"in a new run directory. ({str(error).splitlines()[0]})"
            ) from error
        return True


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
    with _best_arrays(folder) as arrays:
        for key, weight in _weights(models):
            weight.assign(arrays[key])


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
    with _best_arrays(folder) as arrays:
        for key, weight in _weights(models):
            if key not in arrays:
                left.append(f"{weight.path}: the other model has no such weight")
            elif arrays[key].shape != tuple(weight.shape):
                shapes = arrays[key].shape, tuple(weight.shape)
                left.append(f"{weight.path}: {shapes[0]} there, {shapes[1]} here")
            else:
                weight.assign(arrays[key])
    return left


def _weights(models: Models) -> Iterator[tuple[str, keras.Variable]]:
    """The weights of models, with names that are the same in every run."""
    for name, model in models.items():
        yield from ((f"{name}:{weight.path}", weight) for weight in model.weights)


@contextlib.contextmanager
def _best_arrays(folder: Path) -> Iterator[Mapping[str, np.ndarray]]:
    path = folder / BEST_FILE
    if not path.is_file():
        raise RunError(
            f"{folder} has no checkpoint of a whole epoch yet: go on with "
            f"tfspeech train --run-dir {folder.parent} --resume"
        )
    try:
        with np.load(path) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(
            f"checkpoint {path} is damaged or of another model: {error}"
        ) from error


def _cannot_write(folder: Path, error: Exception) -> RunError:
    reason = str(error).splitlines()[0]
    return RunError(
        f"cannot write a checkpoint to {folder}: make room or mend its permissions, "
        f"then go on with --resume. ({reason})"
    )
