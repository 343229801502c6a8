"""Training from a configuration in a file, and runs that a rule ends early."""

import json

import numpy as np
import pytest
from small_flags import SMALL

from tfspeech import train
from tfspeech.tasks.runs import load_config


def test_a_configuration_in_a_file_trains_as_it_is_and_flags_change_it(small_run):
    file = str(small_run / "config.json")
    config, *_ = train.parse(["--config", file])
    assert config == load_config(small_run)
    config, *_ = train.parse(["rnn_recognizer", "--config", file, "--units", "9"])
    assert config.architecture.units == 9
    assert config.architecture.conv_filters == 8


@pytest.mark.slow
@pytest.mark.headline
def test_a_configuration_in_a_file_may_be_that_of_the_run_to_be_resumed(
    small_run, command
):
    given = ["--run-dir", small_run, "--resume", "--config", small_run / "config.json"]
    code, _, errors = command(train.main, *given)
    assert code == 0, errors
    code, _, errors = command(train.main, *given, "--units", "9")
    assert code == 2
    assert "holds a run with --units 8" in errors[-1]


def test_a_file_that_is_no_configuration_is_one_line(small_run, tmp_path, command):
    (tmp_path / "a.json").write_text('{"model": "rnn_recognizer"}')
    code, _, errors = command(train.main, "--config", tmp_path / "a.json")
    assert code == 2
    assert len(errors) == 1
    assert "a.json is damaged or of another version" in errors[0]
    code, _, errors = command(train.main, "--config", tmp_path / "b.json")
    assert code == 2
    assert "No such file" in errors[0]
    code, _, errors = command(
        train.main, "attention_tts", "--config", small_run / "config.json"
    )
    assert code == 2
    assert "is for rnn_recognizer: leave out attention_tts" in errors[0]


@pytest.mark.slow
@pytest.mark.headline
def test_a_run_that_a_rule_has_ended_goes_on_as_if_it_had_never_stopped(
    small_run, tones, tmp_path
):
    asked = []

    def is_over(state):
        asked.append(state.step / state.steps_per_epoch)
        return asked[-1] >= 2

    config, *_ = train.parse(["--data", f"folder:{tones}", *SMALL])
    for _ in range(2):
        train.run(config, tmp_path, resume=True, is_over=is_over)
    assert asked == [1, 2, 2]
    train.run(config, tmp_path, resume=True)
    assert json.loads((tmp_path / "results.json").read_text())["accuracy"] > 0.9
    with (
        np.load(tmp_path / "checkpoints" / "best.npz") as ours,
        np.load(small_run / "checkpoints" / "best.npz") as whole,
    ):
        assert sorted(ours) == sorted(whole)
        for name in whole:
            np.testing.assert_array_equal(ours[name], whole[name])


@pytest.mark.parametrize("flag", ["--config", "--run-dir"])
def test_a_flag_without_its_value_is_one_line(flag, command):
    code, _, errors = command(train.main, flag)
    assert code == 2
    assert len(errors) == 1
    assert f"argument {flag}: expected one argument" in errors[0]
