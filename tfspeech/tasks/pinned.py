"""Names of what training runs depend on, by which a change is noticed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tfspeech.errors import RunError
from tfspeech.files import read_file
from tfspeech.tasks.runs import load_config
from tfspeech.training.checkpoints import BEST_FILE, check_best
from tfspeech.training.paths import CHECKPOINTS, CONFIG_FILE

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
    directory = pinned_path(name)
    load_config(directory)
    checkpoints = directory / CHECKPOINTS
    check_best(checkpoints)
    return _pin(name, checkpoints / BEST_FILE, f"the weights of the {role} {directory}")


def pin_file(name: str, role: str) -> str:
    """Names a file so that it is found from everywhere, and known again.

    Args:
        name: Its path, or what this function has returned.
        role: Of the file, such as `"text"`.

    Returns:
        The absolute path, `@` and the first digits of the SHA-256 of its contents.

    Raises:
        RunError: It has other contents than those of the name.
        OSError: It cannot be read.
    """
    path = pinned_path(name)
    return _pin(name, path, f"the contents of the {role} {path}")


def pinned_path(name: str) -> Path:
    """Returns the path of a file or of the directory of a run, pinned or not."""
    return _split(name)[0]


def run_digest(directory: Path) -> str:
    """The SHA-256 of the configuration and of the best weights of a run."""
    digest = hashlib.sha256()
    for path in (directory / CONFIG_FILE, directory / CHECKPOINTS / BEST_FILE):
        digest.update(read_file(path))
    return digest.hexdigest()


def _pin(name: str, file: Path, what: str) -> str:
    """Pins a name by the contents of a file.

    Args:
        name: A path, pinned or not.
        file: What it stands for.
        what: That in words, in the plural.

    Raises:
        RunError: They are not those of the name.
    """
    path, digits = _split(name)
    found = hashlib.sha256(read_file(file)).hexdigest()[:_DIGITS]
    if digits not in ("", found):
        raise RunError(
            f"{what} have changed (SHA-256 {found}, not {digits}): put back those that "
            "the run began with, or train in a new run directory"
        )
    return f"{path.resolve()}@{found}"


def _split(name: str) -> tuple[Path, str]:
    """The path in a name, and the digits, empty without any."""
    pinned = _PINNED.fullmatch(name)
    return (Path(pinned[1]), pinned[2]) if pinned else (Path(name), "")
