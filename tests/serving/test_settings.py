"""The settings of a server of all exported models."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfspeech.errors import RunError
from tfspeech.serving.settings import (
    BATCHING_FILE,
    MAX_BATCH_SIZE,
    MODELS_FILE,
    latest_version,
    write_settings,
)


def add_version(output, model, version, complete=True):
    folder = output / model / version
    folder.mkdir(parents=True)
    if complete:
        (folder / "saved_model.pb").touch()


def listed(output):
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((output / MODELS_FILE).read_text(), config)
    return list(config.model_config_list.config)


def test_all_models_with_a_version_are_listed(tmp_path):
    add_version(tmp_path, "b", "1")
    add_version(tmp_path, "a", "12")
    add_version(tmp_path, "half", "partial-x")
    add_version(tmp_path, "empty", "1", complete=False)
    (tmp_path / "README.md").touch()
    write_settings(tmp_path)
    found = [(m.name, m.base_path, m.model_platform) for m in listed(tmp_path)]
    assert found == [
        ("a", "/models/a", "tensorflow"),
        ("b", "/models/b", "tensorflow"),
    ]


def test_what_was_set_by_hand_stays(tmp_path):
    add_version(tmp_path, "a", "1")
    add_version(tmp_path, "gone", "1")
    write_settings(tmp_path)
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.extend(listed(tmp_path))
    first = config.model_config_list.config[0]
    first.base_path = "/srv/a"
    first.model_version_policy.specific.versions.append(1)
    first.version_labels["stable"] = 1
    (tmp_path / MODELS_FILE).write_text(text_format.MessageToString(config))
    (tmp_path / BATCHING_FILE).write_text("max_batch_size { value: 2 }")
    (tmp_path / "gone" / "1" / "saved_model.pb").unlink()
    add_version(tmp_path, "b", "1")
    write_settings(tmp_path)
    kept, new = listed(tmp_path)
    assert kept == first
    assert new.name == "b"
    assert (tmp_path / BATCHING_FILE).read_text() == "max_batch_size { value: 2 }"
    assert not list(tmp_path.glob("*.partial"))


def test_a_list_that_is_none_is_named_with_the_cure(tmp_path):
    (tmp_path / MODELS_FILE).write_text("models: a, b")
    with pytest.raises(RunError, match=r"models\.config is no .*delete it"):
        write_settings(tmp_path)


def test_batches_are_padded_and_no_larger_than_what_is_warmed_up(tmp_path):
    write_settings(tmp_path)
    lines = (tmp_path / BATCHING_FILE).read_text().splitlines()
    settings = [line for line in lines if not line.startswith("#")]
    assert "pad_variable_length_inputs: true" in settings
    assert f"max_batch_size {{ value: {MAX_BATCH_SIZE} }}" in settings


def test_the_newest_version_is_the_highest_number(tmp_path):
    for version in ("9", "10", "partial-11"):
        add_version(tmp_path, "a", version)
    assert latest_version(tmp_path / "a").name == "10"
