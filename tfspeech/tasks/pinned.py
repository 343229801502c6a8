"""Names of finished runs that others depend on, by which a change is noticed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tfspeech.errors import RunError
from tfspeech.tasks.runs import load_config
from tfspeech.training.checkpoints import BEST_FILE, check_best
from tfspeech.training.paths import CHECKPOINTS

_DIGITS = 16
_PINNED = re.compile(rf"(.+)@([0-9a-f]{{{_DIGITS}}})", re.DOTALL)


def pin_run(name: str, role: str) -> str:
    """Names a run so that it is found from everywhere, and known again.

    Args:
        name: Its directory, or what this function has returned.
        role: Of the run for the one that depends on it, such as `"teacher"`.

    Returns:
        The absolute directory, `@` and the first digits of the SHA-256 of the run's
        best weights.

    Raises:
        RunError: There is no such run, it has no weights yet, or not those of the name.
    """
    directory, digits = _split(name)
    load_config(directory)
    checkpoints = directory / CHECKPOINTS
    check_best(checkpoints)
    with (checkpoints / BEST_FILE).open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
    if digits not in ("", found):
        raise RunError(
            f"the weights of the {role} {directory} have changed (SHA-256 {found}, "
            f"not {digits}): put back those that the run began with, or train in a new "
            "run directory"
        )
    return f"{directory.resolve()}@{found}"


def pinned_directory(name: str) -> Path:
    """Returns the directory of a run, pinned or not."""
    return _split(name)[0]


def _split(name: str) -> tuple[Path, str]:
    """The directory in a name, and the digits, empty without any."""
    pinned = _PINNED.fullmatch(name)
    return (Path(pinned[1]), pinned[2]) if pinned else (Path(name), "")
