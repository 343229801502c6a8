"""The page docs/extending.md, followed to the letter in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "extending.md"
TINY = " --epochs 2 --batch-size 8 --warmup-steps 0 --features log_mel --num-mels 12"
TINY_OF = {
    "cnn_recognizer": " --layers 1 --synthetic-per-label 0 --tempo 0 --room-share 0"
    " --noise-share 0 --equalizer-db 0 --time-masks 0",
    "frame_autoencoder": "",
}
RUN = """
import importlib, json, shlex, sys
for line in json.load(sys.stdin):
    _, _, module, *arguments = shlex.split(line)
    module += ".__main__" * (module == "tfspeech.data")
    importlib.import_module(module).main(arguments)
"""
"""Runs commands one after the other: TensorFlow takes its seconds once."""


def blocks(language):
    """The contents of the page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)


def patched(text, hunk):
    """A file with a hunk applied, whose old lines must be there exactly once."""
    lines = hunk.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] != "+")
    new = "".join(line[1:] for line in lines if line[0] != "-")
    assert text.count("\n" + old) == 1, (
        f"the page changes lines that are not so:\n{old}"
    )
    return text.replace("\n" + old, "\n" + new)


def follow_page(root):
    """Makes all files and changes of the page."""
    for block in blocks("python"):
        name = re.match(r"# (\S+)\n", block)[1]
        (root / name).parent.mkdir(exist_ok=True)
        with (root / name).open("x") as file:
            file.write(block.split("\n", 1)[1])
    for block in blocks("diff"):
        header, changes = block.split("\n", 1)
        path = root / header.removeprefix("--- ")
        text = path.read_text()
        for hunk in changes.split("@@\n"):
            text = patched(text, hunk)
        path.write_text(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with all that the page adds."""
    root = tmp_path_factory.mktemp("project")
    for name in ("models", "tfspeech", "tuning", "benchmarks", "tests"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=unwanted)
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    follow_page(root)
    return root


def python(project, *arguments, **options):
    """Runs Python on the copy."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        **options,
    )


@pytest.fixture(scope="module")
def corpora(tones, tmp_path_factory):
    """A folder for each layout on the page, by its name there."""
    mnist = tmp_path_factory.mktemp("audio_mnist")
    for digit, label in enumerate(("low", "middle", "high")):
        for file in sorted((tones / label).glob("*.wav")):
            speaker, index = re.match(r"s(\d+)_nohash_(\d)", file.stem).groups()
            shutil.copy(file, mnist / f"{digit}_{speaker}_{index}.wav")
    return {
        "folder:PATH": f"folder:{tones}",
        "audio_mnist:PATH": f"audio_mnist:{mnist}",
    }


def commands(corpora):
    """The commands of the page in their order, on small corpora and tiny settings."""
    text = "".join(blocks("console")).replace("\\\n", "")
    for spec, ours in corpora.items():
        text = text.replace(spec, ours)
    for line in text.splitlines():
        trained = re.match(r"python -m tfspeech\.train (\w+)", line)
        yield line + TINY + TINY_OF[trained[1]] if trained else line


@pytest.mark.slow
@pytest.mark.headline
def test_what_the_page_adds_is_trained_evaluated_and_exported(project, corpora):
    lines = list(commands(corpora))
    done = python(project, "-c", RUN, input=json.dumps(lines))
    assert done.returncode == 0, done.stderr
    assert "--gain DB" in done.stdout  # The help of the last command.
    runs = project / "runs"
    results = {
        run.name: json.loads((run / "results.json").read_text())
        for run in runs.iterdir()
    }
    assert set(results) == {"cnn", "codes", "mnist", "outside", "strategies"}
    assert results["cnn"]["accuracy"] > 0.5
    assert results["codes"]["loss"] < 1.0
    config = json.loads((runs / "strategies" / "config.json").read_text())
    assert config["training"]["clip"] == ["soft_value(0.01)"]
    assert config["training"]["regularize"] == ["log_sum(1e-5)"]
    config = json.loads((runs / "outside" / "config.json").read_text())
    assert config["training"]["clip"] == ["mine.clipping:SignOnly(0.01)"]
    exported = project / "saved_models"
    assert (exported / "cnn_recognizer" / "1" / "saved_model.pb").is_file()
    extra = exported / "frame_autoencoder" / "1" / "assets.extra"
    described = json.loads((extra / "description.json").read_text())
    codes = described["signatures"]["serving_default"]["outputs"]["codes"]
    assert codes["shape"] == ["batch", "frames", "units"]
    assert codes["meaning"] == "numbers that stand for a frame"


@pytest.mark.slow
def test_what_the_page_adds_passes_lint_and_the_tests_of_its_tables(project):
    for arguments in ("check", "format --check"):
        done = python(project, "-m", "ruff", *arguments.split(), ".")
        assert done.returncode == 0, done.stdout
    done = python(
        project, "-c", "from importlinter.cli import lint_imports_command as c; c()"
    )
    assert done.returncode == 0, done.stdout
    names = "cnn_recognizer or soft_value or log_sum or test_the_tables"
    files = [
        *("tests/models/test_catalogue.py", "tests/strategies", "tests/tasks"),
        "tests/training/test_resume_strategies.py",
    ]
    done = python(project, "-m", "pytest", "-q", *files, "-k", names)
    assert done.returncode == 0, done.stdout
