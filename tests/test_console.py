import dataclasses
import errno
import os
import subprocess
import sys

import pytest

from models.config import option
from tfspeech.config import add_flags, take_flags
from tfspeech.console import Parser
from tfspeech.errors import AudioError, SpecError


@dataclasses.dataclass(frozen=True)
class Example:
    """An example."""

    size: int = option(3, "how many", unit="frames")
    share: float = option(0.5, "of 100 %", choices=())
    kind: str = option("a", "which", choices=("a", "b"))
    deep: bool = option(True, "whether")
    names: tuple[str, ...] = option(("x",), "who", metavar="NAME")

    def __post_init__(self):
        if self.size < 0:
            raise ValueError(f"size must not be negative. Received: {self.size}")


def parse(*arguments):
    parser = Parser("example", "Does nothing.")
    add_flags(parser, Example())
    return take_flags(Example(), parser.parse_args(arguments))


def test_flags_not_given_leave_the_defaults():
    assert parse() == Example()


def test_every_type_of_field_has_its_flag():
    given = parse("--size=4", "--share=1e-3", "--kind=b", "--no-deep", "--names=y")
    assert given == Example(4, 1e-3, "b", False, ("y",))
    assert parse("--names", "y", "--names", "z").names == ("y", "z")
    assert parse("--deep").deep is True


def test_help_has_defaults_units_and_choices(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "--size INT how many (default: 3 frames)" in text
    assert "of 100 % (default: 0.5)" in text
    assert "--kind {a,b}" in text
    assert "--deep, --no-deep" in text
    assert "--names NAME who (default: x)" in text


@pytest.mark.parametrize("arguments", [["--size=x"], ["--siz=1"], ["--deep=False"]])
def test_what_argparse_refuses_is_an_error_with_the_way_to_help(arguments):
    with pytest.raises(SpecError, match="tfspeech example --help"):
        parse(*arguments)


def test_what_the_configuration_refuses_is_an_error():
    with pytest.raises(SpecError, match="size must not be negative"):
        parse("--size=-1")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AudioError("a.wav is\nno audio"), "error: a.wav is no audio"),
        (KeyboardInterrupt(), "error: interrupted"),
        (
            FileNotFoundError(2, "No such file", "x"),
            "error: [Errno 2] No such file: 'x'",
        ),
        (
            FileExistsError(17, "File exists", "x"),
            "error: x needs a folder where there is a file: choose another",
        ),
        (
            NotADirectoryError(20, "Not a directory", "x/y"),
            "error: x/y needs a folder where there is a file: choose another",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "run/metrics.jsonl"),
            "error: no space left on the disk for run/metrics.jsonl: make room and "
            "start again, a training run with --resume",
        ),
    ],
)
def test_errors_are_one_line_and_exit_code_2(error, line, command):
    def main(arguments):
        raise error

    assert command(main) == (2, "", [line])


def test_a_defect_keeps_its_traceback(command):
    def main(arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command(main)


@pytest.mark.slow
@pytest.mark.headline
def test_a_command_keeps_its_console_to_its_own_lines(tmp_path):
    command = [sys.executable, "-m", "tfspeech.evaluate", str(tmp_path)]
    environment = {**os.environ}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path} holds no run")
