"""The command `tfspeech`, with all others behind it."""

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfspeech import __main__ as entry
from tfspeech.tasks.registry import MODELS

ROOT = Path(entry.__file__).parents[1]
MAIN = "import sys; from tfspeech.__main__ import main; main()"


def declared():
    """The commands in setup.cfg, with their modules."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["tfspeech.commands"].split("\n")
    return dict(line.split(" = ") for line in lines if line)


def python(*arguments, cwd):
    """Runs Python as a user would; returns exit code, output and error lines."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_help_has_all_commands_and_models_and_needs_no_tensorflow(tmp_path):
    code = f"""
import sys
sys.argv[1:] = ["--help"]
try:
    {MAIN.partition("; ")[2].replace("; ", chr(10) + "    ")}
finally:
    print("tensorflow" in sys.modules, "keras" in sys.modules)
"""
    code, out, errors = python("-c", code, cwd=tmp_path)
    assert (code, errors) == (0, [])
    lines = out.splitlines()
    assert lines[-1] == "False False"
    assert [line.strip() for line in lines[-1 - len(MODELS) : -1]] == list(MODELS)
    summaries = {line.split()[0]: line.split()[1:] for line in lines if "  " in line}
    assert set(summaries) >= set(declared())
    assert " ".join(summaries["train"]).startswith("trains a model of the zoo")
    assert all(summaries[name] for name in declared())


def test_every_command_that_is_declared_is_installed():
    assert entry.find_commands() == declared()


@pytest.fixture
def hello(tmp_path, monkeypatch):
    """A command that prints how it was called."""
    (tmp_path / "hello_command.py").write_text(
        '"""`hello`: says hello."""\nimport sys\n'
        "if __name__ == '__main__':\n    print(sys.argv[1:])\n    sys.exit(3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tfspeech"])
    table = {"hello": "hello_command", "gone": "gone_command"}
    monkeypatch.setattr(entry, "find_commands", lambda: table)


@pytest.mark.usefixtures("hello")
def test_a_command_is_run_as_python_m_runs_it(command):
    code, out, errors = command(entry._run, "hello", "--a", "b")
    assert (code, out) == (3, "['--a', 'b']\n")
    assert errors == ["tfspeech hello: loading TensorFlow"]
    _, out, errors = command(entry._run, "hello", "--help")
    assert (out, errors) == ("['--help']\n", [])


@pytest.mark.usefixtures("hello")
def test_what_is_not_there_is_one_line(command):
    code, _, errors = command(entry._run, "helo")
    assert code == 2
    assert errors == [
        "error: unknown command 'helo' (did you mean hello?); the known ones are "
        "hello, gone (see tfspeech --help)"
    ]
    code, _, errors = command(entry._run, "gone")
    assert code == 2
    assert errors == [
        "error: tfspeech gone runs only in a clone of the repository: gone_command is "
        "not here"
    ]
    _, out, _ = command(entry._run, "--help")
    assert "  gone   only in a clone" in out
    assert "  hello  says hello." in out


def test_what_is_not_installed_says_how(monkeypatch, command):
    monkeypatch.setattr(entry.importlib.metadata, "entry_points", lambda group: ())
    code, _, errors = command(entry._run, "train")
    assert (code, errors) == (
        2,
        ["error: tfspeech is not installed: pip install -e . in its folder"],
    )


@pytest.fixture
def models_of_ones_own(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").touch()
    return tmp_path


@pytest.mark.parametrize("module", ["tfspeech.train", "tuning.search", "tfspeech"])
def test_a_package_of_the_same_name_is_one_line(module, models_of_ones_own):
    code, out, errors = python("-m", module, "--help", cwd=models_of_ones_own)
    assert (code, out) == (2, "")
    assert errors == [
        f"error: {models_of_ones_own / 'models'} hides the package models of tfspeech: "
        "start in another folder, use the command tfspeech, or rename it"
    ]
    code, _, errors = python("-c", "import tfspeech", cwd=models_of_ones_own)
    assert code == 1
    assert errors[-1].startswith("ImportError: ")


@pytest.mark.slow
@pytest.mark.headline
def test_the_command_does_not_see_a_package_of_the_same_name(
    models_of_ones_own, tmp_path_factory
):
    script = tmp_path_factory.mktemp("bin") / "tfspeech"
    script.write_text(MAIN)
    code, out, errors = python(script, "list", "models", cwd=models_of_ones_own)
    assert (code, errors) == (0, ["tfspeech list: loading TensorFlow"])
    assert all(f"  {name}(" in out for name in MODELS)
