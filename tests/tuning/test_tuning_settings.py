import dataclasses

import pytest

from tfspeech import train
from tfspeech.strategies import CLIPPINGS
from tfspeech.tasks.registry import default_config
from tuning.settings import (
    command_words,
    format_arguments,
    split_setting,
    with_absolute_data,
    with_training,
)


@pytest.fixture
def config():
    """A recogniser that differs from its recipe in four fields."""
    config = default_config("rnn_recognizer")
    architecture = dataclasses.replace(config.architecture, bidirectional=False)
    data = dataclasses.replace(config.data, data="folder:words")
    config = dataclasses.replace(config, architecture=architecture, data=data)
    return with_training(config, seed=3, clip=("norm(1)", "value(2)"))


def test_the_command_line_of_a_configuration_makes_it_again(config):
    words = command_words("tfspeech.train", config)
    assert words == [
        *("python", "-m", "tfspeech.train", "rnn_recognizer", "--no-bidirectional"),
        *("--data", "folder:words", "--clip", "norm(1)", "--clip", "value(2)"),
        *("--seed", "3"),
    ]
    assert train.parse(words[3:])[0] == config
    assert command_words("tfspeech.train", config, skip=("seed",)) == words[:-2]


def test_a_corpus_is_found_from_every_directory(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = with_absolute_data(config)
    assert found.data.data == f"folder:{tmp_path / 'words'}"
    assert found.training == config.training


def test_a_setting_is_split_at_its_first_equals_sign():
    assert split_setting(" l2-norm = a=b ") == ("l2_norm", "a=b")
    assert split_setting("units") == ("units", "")


def test_arguments_at_their_defaults_are_not_written():
    strategy = CLIPPINGS["adaptive"](0.1, match="conv")
    assert format_arguments(strategy, "ratio", "r") == "r, match='conv'"
    assert format_arguments(strategy, "eps", "eps") == "eps, match='conv', ratio=0.1"
