"""Damage in a run directory is an error, and nothing in it is overwritten."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from small_flags import SMALL

from tfspeech import evaluate, train
from tfspeech.errors import RunError
from tfspeech.files import LOCK_FILE, locked
from tfspeech.tasks.registry import MODELS, default_config, parse_config
from tfspeech.tasks.runs import RunState, find_state, load_config, load_task
from tfspeech.training.callbacks import JsonLines, read_metrics


@pytest.fixture(scope="module")
def begun_run(tones, tmp_path_factory):
    """A run that has done two of its five epochs."""
    run_dir = tmp_path_factory.mktemp("runs") / "begun"
    config, *_ = train.parse(["--data", f"folder:{tones}", *SMALL])
    train.run(config, run_dir, is_over=lambda state: state.epoch >= 2)
    return run_dir


@pytest.fixture
def run_dir(begun_run, tmp_path):
    return shutil.copytree(begun_run, tmp_path / "run")


def files(folder):
    """All files but what tells nothing of the run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOCK_FILE
    }


def replace_by_file(path):
    shutil.rmtree(path)
    path.write_text("a file")


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


def damage_first_line(path):
    path.write_bytes(b"\xff{" + path.read_bytes())


def nest_deep(path):
    lines = path.read_text().splitlines()
    lines[1] = "[" * 5000
    path.write_text("\n".join(lines))


DAMAGE = {
    "first line of metrics": (
        "metrics.jsonl",
        damage_first_line,
        "line 1 of .* delete",
    ),
    "deep line": ("metrics.jsonl", nest_deep, "line 2 of .*nested too deep"),
    "metrics are a folder": ("metrics.jsonl", replace_by_folder, "must be a file"),
    "no pointer": ("checkpoints/checkpoint", os.remove, 'path: "last-'),
    "empty pointer": ("checkpoints/checkpoint", lambda p: p.write_text(""), "last-"),
    "binary pointer": (
        *("checkpoints/checkpoint", lambda p: p.write_bytes(bytes(range(256)))),
        "missing or damaged",
    ),
    "pointer is a folder": ("checkpoints/checkpoint", replace_by_folder, "last-"),
    "no checkpoints": ("checkpoints", shutil.rmtree, "put it back from a copy"),
    "checkpoints are a file": ("checkpoints", replace_by_file, "must be a folder"),
    "tensorboard is a file": ("tensorboard", replace_by_file, "must be a folder"),
    "plots are a file": ("plots", replace_by_file, "must be a folder"),
    "no configuration": ("config.json", os.remove, "config.json is missing"),
    "empty configuration": (
        *("config.json", lambda p: p.write_text("")),
        "config.json is damaged",
    ),
    "no best": ("checkpoints/best.npz", os.remove, "best.npz.* is missing"),
    "empty best": (
        *("checkpoints/best.npz", lambda p: p.write_bytes(b"")),
        "best.npz is damaged",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_line_and_nothing_is_overwritten(case, run_dir, tones, command):
    name, damage, reason = DAMAGE[case]
    damage(run_dir / name)
    before = files(run_dir)
    given = ["--data", f"folder:{tones}", *SMALL, "--run-dir", run_dir, "--resume"]
    code, _, errors = command(train.main, *given)
    errors = [line for line in errors if line.startswith("error: ")]
    assert (code, len(errors)) == (2, 1)
    assert re.search(reason, errors[0])
    after = files(run_dir)
    after.pop("data_report.json"), before.pop("data_report.json")
    assert after == before


def test_a_directory_says_what_it_holds(begun_run, run_dir, tmp_path):
    assert find_state(tmp_path / "none") is RunState.NONE
    assert find_state(begun_run) is RunState.SAVED
    for path in run_dir.iterdir():
        if path.name not in ("config.json", "data_report.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert find_state(run_dir) is RunState.BEGUN
    (run_dir / "config.json").unlink()
    assert find_state(run_dir) is RunState.NONE


def test_the_cure_that_is_named_for_a_lost_pointer_helps(run_dir):
    pointer = run_dir / "checkpoints" / "checkpoint"
    pointer.unlink()
    with pytest.raises(RunError) as error:
        find_state(run_dir)
    pointer.write_text(str(error.value).partition("what is left: ")[2])
    assert find_state(run_dir) is RunState.SAVED


def test_a_last_line_that_was_cut_off_is_no_damage(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1}]
    path.write_text('{"step": 1}\n{"step": 2}')
    assert [record["step"] for record in read_metrics(path)] == [1, 2]
    for line in ("[]", '{"epoch": 1}', "NaN", '{"step": "x"}'):
        path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
        with pytest.raises(RunError, match=r"line 2 of .* is damaged"):
            read_metrics(path)


def test_lines_that_are_lost_are_named(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    JsonLines(path, 3).close()
    assert "lacks steps 2 to 3" in capsys.readouterr().err
    JsonLines(path, 1).close()
    assert not capsys.readouterr().err


def test_two_commands_do_not_work_in_one_folder(tmp_path, tones, command):
    folder = tmp_path / "run"
    hold = (
        "import sys; from pathlib import Path; from tfspeech.files import locked\n"
        "with locked(Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        given = ["--data", f"folder:{tones}", *SMALL, "--run-dir", folder]
        code, _, errors = command(train.main, *given)
        assert (code, len(errors)) == (2, 1)
        assert (
            f"{folder} is in use by another command (process {holder.pid}" in errors[0]
        )
        assert [path.name for path in folder.iterdir()] == [LOCK_FILE]
    finally:
        holder.kill()  # A killed process leaves nothing that is in the way.
        holder.communicate()
    with locked(folder):
        assert find_state(folder) is RunState.NONE


HOSTILE = [None, [], {}, "x", True, 1.5, 1e400, 10**400, [[1]]]


def refusal(run_dir):
    """The error about a configuration, empty if it is taken."""
    try:
        load_config(run_dir)
    except RunError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("model", MODELS)
def test_values_of_other_types_are_one_clear_error(model, tmp_path):
    """Every field with every value: it is taken, or refused by its name."""
    config = default_config(model)
    path, refused = tmp_path / "config.json", 0
    saved = json.loads(config.to_json())
    assert parse_config(config.to_json()) == config
    places = [(saved, key) for key in saved]
    places += [(s, key) for s in saved.values() if isinstance(s, dict) for key in s]
    for section, key in places:
        kept = section[key]
        for value in HOSTILE:
            section[key] = value
            path.write_text(json.dumps(saved))
            line = refusal(tmp_path)
            assert len(line) < 600
            assert "\n" not in line
            refused += (key in line or key == "model") if line else 0
        section[key] = kept
    assert refused > 0.5 * len(places) * len(HOSTILE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: b"\xff\xfe" + text, "damaged"),
        (lambda text: b"[" * 5000, "nested too deep"),
        (lambda text: b'{"model": ' + b"[" * 5000, "nested too deep"),
        (lambda text: b"null", "names its model"),
        (lambda text: b"9" * 5000, "damaged"),
        (
            lambda text: text.replace(b'"epochs": 5', b'"epochs": null'),
            "epochs must be",
        ),
        (lambda text: text.replace(b'"epochs"', b'"epoch"'), "training.epoch is not"),
        (lambda text: text.replace(b'"training"', b'"train"'), "training is missing"),
    ],
)
def test_a_hostile_configuration_is_one_line(change, reason, run_dir, command):
    path = run_dir / "config.json"
    path.write_bytes(change(path.read_bytes()))
    code, _, errors = command(evaluate.main, run_dir)
    assert (code, len(errors)) == (2, 1)
    assert str(path) in errors[0]
    assert reason in errors[0]


def test_what_a_newer_version_has_written_is_said(run_dir, capsys):
    values = json.loads((run_dir / "config.json").read_text())
    assert set(values["versions"]) == {"tfspeech", "tensorflow", "keras", "python"}
    values["versions"]["tfspeech"] = "99.0"
    (run_dir / "config.json").write_text(json.dumps(values))
    assert load_config(run_dir) == parse_config((run_dir / "config.json").read_text())
    assert "made by tfspeech 99.0" in capsys.readouterr().err
    values["training"]["new_option"] = 1
    (run_dir / "config.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"new_option is not known.*99\.0.*install that"):
        load_config(run_dir)


@pytest.mark.parametrize("contents", [b"", b"PK", b"\x93NUMPY", bytes(100)])
def test_damaged_weights_are_one_clear_error(run_dir, contents):
    (run_dir / "checkpoints" / "best.npz").write_bytes(contents)
    with pytest.raises(RunError, match=r"best\.npz is damaged"):
        load_task(run_dir)
