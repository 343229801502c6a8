"""More epochs for a run that has ended, printed configurations, and dry runs."""

import json

import numpy as np
import pytest
from small_flags import SMALL

from tfspeech import train
from tfspeech.errors import RunError
from tfspeech.tasks.runs import load_config
from tfspeech.training.callbacks import read_metrics


def best(run_dir):
    with np.load(run_dir / "checkpoints" / "best.npz") as arrays:
        return {name: arrays[name] for name in arrays}


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_that_has_ended_goes_on_with_more_epochs(tones, tmp_path, command):
    """With a schedule that does not depend on their number, to the same bits."""
    flags = ["--data", f"folder:{tones}", *SMALL, "--schedule=constant"]
    config, *_ = train.parse([*flags, "--epochs=2"])
    train.run(config, tmp_path / "whole")
    more = ["--run-dir", tmp_path / "run", "--resume", "--epochs"]
    assert command(train.main, *flags, *more, 1)[0] == 0
    code, _, errors = command(train.main, *more, 2)
    assert code == 0, errors
    said = [line for line in errors if "epochs instead of" in line]
    assert said == [
        "2 epochs instead of 1: schedules are those of 2 from here on, the learning "
        "rate goes on at 0.02"
    ]
    for name, value in best(tmp_path / "whole").items():
        np.testing.assert_array_equal(best(tmp_path / "run")[name], value)
    assert load_config(tmp_path / "run") == load_config(tmp_path / "whole")
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [r["epoch"] for r in records if "validation" in r] == [1, 2]
    code, _, errors = command(train.main, *more, 1)
    assert code == 2
    assert "holds a run with --epochs 2; resume it with that" in errors[-1]
    code, _, errors = command(train.main, *more, 3, "--units=9")
    assert code == 2
    assert "holds a run with --units 8; resume it with that" in errors[-1]


@pytest.mark.slow
def test_the_schedule_is_that_of_the_new_total(tones, tmp_path):
    flags = ["--data", f"folder:{tones}", *SMALL, "--schedule=cosine"]
    config, *_ = train.parse([*flags, "--epochs=1"])
    train.run(config, tmp_path)
    config, *_ = train.parse([*flags, "--epochs=2"])
    train.run(config, tmp_path, resume=True)
    rates = [r["learning_rate"] for r in read_metrics(tmp_path / "metrics.jsonl")[1:]
             if "learning_rate" in r]  # fmt: skip
    half = len(rates) // 2
    # Half a cosine over the first epoch, then its second half over both.
    assert rates[half - 1] < rates[half] == pytest.approx(0.01, rel=0.1)


def test_other_commands_still_want_the_same_number_of_epochs(small_run):
    from tfspeech.tasks.runs import check_same
    from tuning.settings import with_training

    saved = load_config(small_run)
    with pytest.raises(RunError, match="holds a run with --epochs 5"):
        check_same(small_run, saved, with_training(saved, epochs=6))


def test_the_printed_configuration_is_that_of_the_run(tones, tmp_path, command):
    flags = ["--data", f"folder:{tones}", *SMALL, "--run-dir", tmp_path / "run"]
    code, out, errors = command(train.main, *flags, "--print-config")
    assert (code, errors) == (0, [])
    assert not (tmp_path / "run").exists()
    (tmp_path / "config.json").write_text(out)
    given = train.parse(["--config", str(tmp_path / "config.json")])[0]
    assert given == train.parse([str(flag) for flag in flags])[0]
    assert json.loads(out)["training"]["epochs"] == 5


@pytest.mark.slow
@pytest.mark.headline
def test_a_dry_run_measures_and_writes_nothing(tones, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    flags = ["--data", f"folder:{tones}", *SMALL]
    code, out, errors = command(train.main, *flags, "--dry-run", "--json")
    assert code == 0, errors
    assert list(tmp_path.iterdir()) == []
    found = json.loads(out)
    assert found["splits"]["train"]["utterances"] == 48
    assert found["steps"] == 5 * 6
    assert found["step_ms"] > 0
    expected = found["step_ms"] * found["steps"] / 1000
    assert found["training_seconds"] == pytest.approx(expected, abs=0.1)
    assert found["memory_mb"] > 100
    (line,) = [line for line in errors if line.startswith("rnn_recognizer: ")]
    assert f"{found['parameters']:,} parameters, 30 steps in 5 epochs" in line


def test_a_dry_run_refuses_what_a_run_would(tones, tmp_path, command):
    flags = ["--data", f"folder:{tones}", *SMALL, "--dry-run"]
    code, _, errors = command(train.main, *flags, "--clip=norm(1, match='x')")
    assert code == 2
    assert "selects none of" in errors[-1]
    (tmp_path / "list.csv").write_text("path,text\ngone.wav,a\n")
    code, _, errors = command(
        train.main, *SMALL, "--dry-run", "--data", f"manifest:{tmp_path / 'list.csv'}"
    )
    assert code == 2
    assert "has fatal problems" in errors[-1]


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_shows_and_keeps_what_is_in_its_corpus(tones, tmp_path, command):
    flags = ["--data", f"folder:{tones}", *SMALL, "--synthetic-per-label=2"]
    flags += ["--epochs=1", "--run-dir", tmp_path]
    code, _, errors = command(train.main, *flags)
    assert code == 0, errors
    report = json.loads((tmp_path / "data_report.json").read_text())
    train_split = report["splits"]["train"]
    assert (train_split["utterances"], train_split["synthetic"]) == (54, 6)
    assert report["splits"]["test"]["synthetic"] == 0
    text = "\n".join(errors)
    assert "6 synthetic utterances (--synthetic-per-label 2) are mixed into" in text
    assert "once, to the cache: 72 recordings and 6 by synthetic voices" in text
    columns = ["split", "utterances", "synthetic", "speakers", "labels", "hours"]
    rows = [line.split() for line in errors]
    assert [*map(str, train_split.values())] == rows[rows.index(columns) + 1][1:]
    assert text.index("tracing the training step") < text.index("epoch 1/1")
