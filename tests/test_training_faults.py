"""Training on a disk that fills up, a clock that is set back, a cache that is gone."""

import builtins
import errno
import io
import os
import shutil
import time
from pathlib import Path

import pytest
import tensorflow as tf
from saved_arrays import saved_arrays
from small_flags import SMALL

from tfspeech import train
from tfspeech.errors import CorpusError

FEW_STEPS = [*SMALL, "--epochs=2", "--batch-size=32"]


class Disk:
    """Counts what is written below a folder, and is full from one of the writes on.

    Attributes:
        writes: What was written, by the name of the file.
        full_at: The index of the first write that fails; None for none.
    """

    def __init__(self, folder):
        self.folder = folder
        self.writes = []
        self.full_at = None

    def write(self, path):
        self.writes.append(os.path.relpath(path, self.folder))
        if self.full_at is not None and len(self.writes) > self.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def holds(self, path):
        return Path(os.path.abspath(path)).is_relative_to(self.folder)

    def open(self, path, mode="r", buffering=-1, *text):
        """Does what `io.open` does, with a raw file that counts."""
        raw = _RawFile(self, path, "".join(set(mode) - set("bt")))
        file = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        if "b" in mode:
            return file
        return io.TextIOWrapper(file, *text, line_buffering=buffering == 1)


class _RawFile(io.FileIO):
    def __init__(self, disk, path, mode):
        disk.write(path)
        self._disk, self._path = disk, path
        super().__init__(path, mode)

    def write(self, contents):
        self._disk.write(self._path)
        return super().write(contents)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    disk = Disk(tmp_path)
    real_open, real_replace = io.open, os.replace

    def open_file(path, mode="r", *arguments, **named):
        if set("wax+") & set(mode) and not isinstance(path, int) and disk.holds(path):
            names = ("buffering", "encoding", "errors", "newline")
            values = dict(zip(names, arguments, strict=False)) | named
            text = [values.get(name) for name in names[1:]]
            return disk.open(path, mode, values.get("buffering", -1), *text)
        return real_open(path, mode, *arguments, **named)

    def replace(source, target):
        if disk.holds(target):
            disk.write(target)
        real_replace(source, target)

    monkeypatch.setattr(io, "open", open_file)
    monkeypatch.setattr(builtins, "open", open_file)
    monkeypatch.setattr(os, "replace", replace)

    def counted(function, name):
        # These two write in C++.
        def call(writer, *arguments, **named):
            try:
                disk.write(tmp_path / name)
            except OSError as error:
                raise tf.errors.ResourceExhaustedError(None, None, str(error)) from None
            return function(writer, *arguments, **named)

        return call

    manager = tf.train.CheckpointManager
    monkeypatch.setattr(manager, "save", counted(manager.save, "last"))
    writer = type(tf.summary.create_file_writer(str(tmp_path / "none")))
    monkeypatch.setattr(writer, "flush", counted(writer.flush, "events"))
    return disk


def lines(run_dir):
    """The steps of all lines of the metrics."""
    metrics = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [line.partition(",")[0] for line in metrics]


def check_full_disk(indices, disk, command, arguments, tmp_path):
    """Fills the disk at some of all writes of a run, and goes on with what is left."""
    # The first run in a process may write more than those that come after it.
    for whole in (tmp_path / "first", tmp_path / "whole"):
        disk.writes.clear()
        assert command(train.main, *arguments, "--run-dir", whole)[0] == 0
    count = len(disk.writes)
    for index in indices(count):
        run_dir = tmp_path / f"full_{index}"
        disk.writes.clear()
        disk.full_at = index
        code, _, errors = command(train.main, *arguments, "--run-dir", run_dir)
        place = f"write {index} of {count}, {disk.writes[index]}"
        assert code == 2, place
        assert sum(line.startswith("error: ") for line in errors) == 1, place
        assert errors[-1].startswith("error: "), place
        assert "room" in errors[-1], place
        disk.full_at = None
        given = [*arguments, "--run-dir", run_dir, "--resume"]
        code, _, errors = command(train.main, *given)
        assert code == 0, (place, errors)
        assert saved_arrays(run_dir) == saved_arrays(whole), place
        assert lines(run_dir) == lines(whole), place
        shutil.rmtree(run_dir)


@pytest.fixture
def arguments(tones, small_run):
    # The corpus is in the cache: the small run has been trained on it.
    return ["--data", f"folder:{tones}", *FEW_STEPS]


@pytest.mark.slow
@pytest.mark.headline
def test_a_disk_that_fills_up_costs_no_step(disk, command, arguments, tmp_path):
    def some(count):
        """Before the first step, and after the last one."""
        return [count // 6, count - 2]

    check_full_disk(some, disk, command, arguments, tmp_path)


@pytest.mark.slow
def test_a_disk_may_fill_up_at_every_write(disk, command, arguments, tmp_path):
    check_full_disk(range, disk, command, arguments, tmp_path)


@pytest.mark.slow
def test_a_corpus_that_is_lost_with_its_cache_ends_a_run_in_one_line(
    tones, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tones, tmp_path / "tones")
    config, *_ = train.parse(["--data", f"folder:{tmp_path / 'tones'}", *FEW_STEPS])

    def lose(state):
        for path in (tmp_path / "cache").glob("*/samples.f32"):
            os.truncate(path, 0)
        shutil.rmtree(tmp_path / "tones", ignore_errors=True)
        return False

    with pytest.raises(CorpusError, match=r"wav cannot be decoded again") as error:
        train.run(config, tmp_path / "run", is_over=lose)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_neither_clock_nor_cache_matter_to_a_run(
    arguments, tmp_path, monkeypatch, tones
):
    """The clock is set back and the cache deleted while a run is at work."""
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "cache"))
    config, *_ = train.parse(arguments)
    train.run(config, tmp_path / "whole")
    now, ends = time.time, []

    def is_over(state):
        ends.append(state.step)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        monkeypatch.setattr(time, "time", lambda: now() - 1e8 * len(ends))
        return len(ends) == 1

    parts = tmp_path / "parts"
    train.run(config, parts, is_over=is_over)
    train.run(config, parts, resume=True, is_over=is_over)
    assert len(ends) > 1
    assert saved_arrays(parts) == saved_arrays(tmp_path / "whole")
