import dataclasses
import itertools
import threading

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.data import cache as cache_module
from tfspeech.data import frames as frames_module
from tfspeech.data.cache import read_arrays
from tfspeech.data.frames import frame_store
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.data.store import prepare

CONFIG = AcousticConfig(sample_rate_hz=8000, num_mels=20, lpc_order=8, pitch=True)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bursts")
    rng = np.random.default_rng(0)
    for number in range(7):
        samples = rng.normal(size=rng.integers(800, 4000)) * 0.1
        soundfile.write(folder / f"{number}.wav", samples, 8000)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def audio(recordings, cache):
    files = sorted(recordings.iterdir())
    return prepare(
        Corpus("bursts", tuple(Utterance(f, "x", "", "train") for f in files))
    )[0]


def forbid_analysis(monkeypatch):
    def fail(*_):
        raise RuntimeError("analysed again")

    monkeypatch.setattr(frames_module, "_fill", fail)


def test_frames_are_those_of_the_analysis_in_the_order_asked_for(audio):
    chosen = np.array([5, 0, 3])
    frames = frame_store(audio, chosen, CONFIG)
    assert len(frames) == 3
    for row, index in enumerate(chosen):
        waveform = audio[index][None]
        wanted, _ = acoustic_frames(waveform, [waveform.size], CONFIG)
        assert frames.lengths[row] == wanted.shape[1]
        np.testing.assert_allclose(frames[row], wanted[0], rtol=1e-4, atol=1e-4)


def test_batches_are_padded_with_zeros_in_tf_data_too(audio):
    frames = frame_store(audio, np.arange(7), CONFIG)
    rows = tf.data.Dataset.from_tensors(np.array([4, 1]))
    for values, lengths in (
        frames.batch([4, 1]),
        next(iter(rows.map(lambda rows: read_arrays(frames, rows)))),
    ):
        assert lengths.dtype == np.int32
        assert values.dtype == np.float32
        assert list(lengths) == [frames.lengths[4], frames.lengths[1]]
        assert values.shape == (2, max(lengths), CONFIG.frame_dim)
        for row, index in enumerate((4, 1)):
            np.testing.assert_array_equal(values[row, : lengths[row]], frames[index])
            assert not np.any(values[row, lengths[row] :])
    mapped = rows.map(lambda rows: read_arrays(frames, rows))
    assert mapped.element_spec[0].shape.as_list() == [None, None, CONFIG.frame_dim]


def test_the_cache_is_used_again(audio, monkeypatch):
    first = frame_store(audio, np.arange(4), CONFIG)
    forbid_analysis(monkeypatch)
    second = frame_store(audio, np.arange(4), CONFIG)
    for row in range(4):
        np.testing.assert_array_equal(first[row], second[row])


@pytest.mark.parametrize("change", ["utterances", "order", "frames", "audio"])
def test_the_cache_is_not_used_for_anything_else(audio, monkeypatch, change):
    frame_store(audio, np.arange(4), CONFIG)
    forbid_analysis(monkeypatch)
    chosen = {"utterances": np.arange(5), "order": np.arange(4)[::-1]}
    config = CONFIG
    if change == "frames":
        config = dataclasses.replace(CONFIG, magnitude_floor=1e-2)
    if change == "audio":
        audio.fingerprint = "another"
    with pytest.raises(RuntimeError, match="analysed again"):
        frame_store(audio, chosen.get(change, np.arange(4)), config)


def test_an_interrupted_analysis_leaves_nothing(audio, cache, monkeypatch):
    before = sorted(cache.iterdir())
    forbid_analysis(monkeypatch)
    with pytest.raises(RuntimeError, match="analysed again"):
        frame_store(audio, np.arange(4), CONFIG)
    assert sorted(cache.iterdir()) == before


def test_what_a_killed_run_has_left_is_removed_after_a_day(audio, cache, monkeypatch):
    (cache / "partial-old").mkdir()
    monkeypatch.setattr(cache_module, "_LEFTOVER_AGE_S", -1)
    frame_store(audio, np.arange(2), CONFIG)
    assert not (cache / "partial-old").exists()


def test_arrays_are_read_after_their_folder_is_gone(audio, cache):
    frames = frame_store(audio, np.arange(4), CONFIG)
    wanted = frames[2]
    for folder in cache.iterdir():
        folder.rename(folder.with_name(f"moved-{folder.name}"))
    np.testing.assert_array_equal(frames[2], wanted)


def test_threads_read_at_once(audio):
    frames = frame_store(audio, np.arange(7), CONFIG)
    wanted = [frames[row] for row in range(7)]
    wrong = []

    def read(first):
        for row in itertools.islice(itertools.cycle(range(first, 7)), 500):
            if not np.array_equal(frames[row], wanted[row]):
                wrong.append(row)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_store_that_is_let_go_closes_its_file(audio, monkeypatch):
    closed = []
    close = cache_module.os.close
    monkeypatch.setattr(
        cache_module.os, "close", lambda file: closed.append(file) or close(file)
    )
    frames = frame_store(audio, np.arange(2), CONFIG)
    file = frames._file
    closed.clear()
    del frames
    assert closed == [file]
