"""An export refuses what a server could not serve, and guards what it lets through."""

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tfspeech import export
from tfspeech.errors import CorpusError, RunError
from tfspeech.files import locked
from tfspeech.serving.lite import write_lite
from tfspeech.tasks.limits import Limits

TEXT = tf.TensorSpec([None], tf.string, "text")


class Server(tf.Module):
    """A server of one function of texts."""

    metadata = {}  # noqa: RUF012

    def __init__(self, function, example=("a",)):
        super().__init__()
        self._function = function
        self._example = example

    @property
    def signatures(self):
        function = tf.function(self._function, input_signature=[TEXT])
        return {"serving_default": function.get_concrete_function()}

    @property
    def examples(self):
        if not self._example:
            return {}
        return {"serving_default": {"text": np.array(self._example, object)}}


def upper(text):
    return {"label": tf.strings.upper(text)}


def in_python(text):
    label = tf.py_function(lambda t: t, [text], tf.string)
    return {"label": tf.ensure_shape(label, [None])}


def without_rows(text):
    return {"label": tf.strings.reduce_join(text)}


@pytest.fixture
def export_of(monkeypatch, tmp_path):
    def run(*server):
        config = SimpleNamespace(name="stub")
        task = SimpleNamespace(limits=Limits())
        task.server = lambda: Server(*server)
        monkeypatch.setattr(export, "load_task", lambda *_, **__: (config, task))
        return export.run(tmp_path, tmp_path)

    return run


def test_what_is_served_has_its_guards_and_can_be_read_by_every_user(export_of):
    version = export_of(upper)
    assert version.stat().st_mode & 0o777 == 0o755
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    assert served(text=tf.constant(["a", "b"]))["label"].numpy().tolist() == [
        b"A",
        b"B",
    ]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"text must be string \[batch\], with at"
    ):
        served(text=tf.zeros([0], tf.string))


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ((in_python,), "cannot run the operation EagerPyFunc .*calls Python"),
        ((without_rows,), "'label' of the signature .* for any number of rows"),
        ((upper, ()), "stub has no example for its signature 'serving_default'"),
    ],
)
def test_what_cannot_be_served_is_not_exported(server, reason, export_of, tmp_path):
    with pytest.raises(RunError, match=reason):
        export_of(*server)
    assert list((tmp_path / "stub").iterdir()) == []
    assert not (tmp_path / "models.config").exists()


def test_exports_at_the_same_time_get_versions_of_their_own(export_of, monkeypatch):
    rename = Path.rename

    def too_late(self, target):
        monkeypatch.setattr(Path, "rename", rename)
        (target / "variables").mkdir(parents=True)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", too_late)
    assert export_of(upper).name == "2"


def test_a_rename_that_fails_is_not_tried_for_ever(export_of, monkeypatch):
    def fail(self, target):
        raise PermissionError(target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError):
        export_of(upper)


def test_tflite_models_are_not_measured_on_a_corpus_that_is_damaged(tmp_path):
    def refuse():
        raise CorpusError("audio is missing")

    data = SimpleNamespace(report=SimpleNamespace(raise_if_fatal=refuse))
    config = SimpleNamespace(model="stub", data=None, read_data=lambda split: data)
    task = SimpleNamespace(lite=lambda: object())
    with pytest.raises(CorpusError, match="audio is missing"):
        write_lite(tmp_path, config, task, ["int8"])


def test_an_export_removes_what_killed_ones_have_left_but_no_live_one(
    tmp_path, monkeypatch, capsys
):
    """It waits for those that are at work in the same folder."""
    run = SimpleNamespace(name="stub"), SimpleNamespace(limits=Limits())
    monkeypatch.setattr(export, "load_task", lambda *_, **__: run)
    monkeypatch.setattr(export, "_fill", lambda partial, *_: (partial / "x").touch())
    live = tmp_path / "stub" / "partial-live"
    live.mkdir(parents=True)
    (live / "saved_model.pb").touch()
    other = threading.Thread(target=export.run, args=(tmp_path, tmp_path))
    with locked(tmp_path):
        other.start()
        other.join(1.0)
        assert other.is_alive()
        assert live.exists()
        assert "waiting for another command" in capsys.readouterr().err
    other.join()
    export.run(tmp_path, tmp_path)
    assert sorted(path.name for path in (tmp_path / "stub").iterdir()) == ["1", "2"]
