"""Damage in the cache is found, and mended."""

import re
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech.audio.acoustic import AcousticConfig
from tfspeech.data import __main__ as data_command
from tfspeech.data.cache import ArrayStore, read_arrays, reading_arrays
from tfspeech.data.corpora import load_corpus
from tfspeech.data.frames import frame_store
from tfspeech.data.store import prepare
from tfspeech.errors import CorpusError

CONFIG = AcousticConfig(sample_rate_hz=8000, num_mels=20, lpc_order=8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def spec(tmp_path, cache):
    """A corpus of six bursts of noise."""
    rng = np.random.default_rng(0)
    (tmp_path / "corpus" / "x").mkdir(parents=True)
    for number in range(6):
        samples = rng.normal(size=rng.integers(800, 4000)) * 0.1
        path = tmp_path / "corpus" / "x" / f"{number}.wav"
        soundfile.write(path, samples, 8000)
    return f"folder:{tmp_path / 'corpus'}"


def open_audio(spec):
    return prepare(load_corpus(spec), 8000)[0]


def open_frames(spec):
    store = open_audio(spec)
    return frame_store(store, np.arange(len(store)), CONFIG)


def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def flip_a_bit(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


def cut(path):
    path.write_bytes(path.read_bytes()[:-4])


def grow(path):
    path.write_bytes(path.read_bytes() + b"more")


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def make_folder(path):
    path.unlink()
    path.mkdir()


def contents(store):
    return [store[index].tolist() for index in range(len(store))]


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize(
    ("name", "damage"),
    [("samples.f32", grow)]
    + [
        (name, damage)
        for name in ("samples.f32", "index.npz")
        for damage in (zero, flip_a_bit, cut, empty, remove, make_folder)
    ],
)
def test_damaged_audio_is_decoded_again(spec, cache, capsys, damage, name):
    wanted = contents(open_audio(spec))
    (path,) = cache.glob(f"*/{name}")
    capsys.readouterr()
    damage(path)
    assert contents(open_audio(spec)) == wanted
    assert capsys.readouterr().err.count("in the cache is damaged") == 1
    assert contents(open_audio(spec)) == wanted
    assert contents(open_audio(spec)) == wanted
    assert "is damaged" not in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("damage", [zero, cut, remove])
@pytest.mark.parametrize("name", ["frames.f32", "index.npz"])
def test_damaged_frames_are_analysed_again(spec, cache, capsys, damage, name):
    wanted = contents(open_frames(spec))
    (path,) = cache.glob(f"frames-*/{name}")
    damage(path)
    found = open_frames(spec)
    for index, array in enumerate(wanted):
        np.testing.assert_allclose(found[index], array, rtol=1e-4, atol=1e-4)
    assert "in the cache is damaged" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("damage", [cut, empty, zero])
@pytest.mark.parametrize("is_read", [False, True])
def test_what_is_damaged_after_it_was_opened_is_made_again(
    spec, cache, damage, is_read
):
    store = open_frames(spec)
    wanted = contents(open_frames(spec))
    if is_read:
        contents(store)
    (path,) = cache.glob("frames-*/frames.f32")
    damage(path)
    for index, array in enumerate(wanted):
        if damage is zero and is_read:
            break  # Who has used an array does not compare it once more.
        np.testing.assert_allclose(store[index], array, rtol=1e-4, atol=1e-4)
    assert store.lengths.tolist() == [len(array) for array in wanted]


def test_what_was_made_again_is_not_made_a_second_time(spec, cache, monkeypatch):
    wanted = contents(open_audio(spec))
    (path,) = cache.glob("*/samples.f32")
    zero(path)
    store = open_audio(spec)
    made = []
    make = store._make
    monkeypatch.setattr(store, "_make", lambda index: made.append(index) or make(index))
    for _ in range(2):
        assert contents(store) == wanted
    assert sorted(made) == list(range(6))


def test_audio_that_is_gone_cannot_be_decoded_again(spec, cache, tmp_path):
    open_audio(spec)
    (path,) = cache.glob("*/samples.f32")
    store = open_audio(spec)
    zero(path)
    shutil.rmtree(tmp_path / "corpus")
    with pytest.raises(CorpusError, match=r"damaged, and .*wav cannot be decoded"):
        store[0]


def test_a_pipeline_says_in_one_line_that_audio_is_gone(spec, cache, tmp_path):
    open_audio(spec)
    (path,) = cache.glob("*/samples.f32")
    store = open_audio(spec)
    zero(path)
    shutil.rmtree(tmp_path / "corpus")
    batches = tf.data.Dataset.from_tensors([0, 1]).map(
        lambda indices: read_arrays(store, indices)
    )
    with pytest.raises(CorpusError) as error, reading_arrays():
        next(iter(batches))
    assert re.fullmatch(
        "the cache is .*wav cannot be decoded again: .*", str(error.value)
    )
    with pytest.raises(tf.errors.InvalidArgumentError), reading_arrays():
        tf.debugging.Assert(False, ["of another kind"])


def test_an_array_of_no_entry_that_was_cut_short_is_one_clear_error(tmp_path):
    (tmp_path / "rows.f32").write_bytes(bytes(20))
    store = ArrayStore(tmp_path / "rows.f32", np.array([0, 3]), np.array([3, 3]))
    assert store[0].tolist() == [0, 0, 0]
    with pytest.raises(CorpusError, match=r"rows\.f32 is cut short; delete"):
        store[1]


def test_the_check_of_a_corpus_looks_into_the_cache(spec, cache, command):
    assert command(data_command.main, "check", spec)[0] == 0
    (path,) = cache.glob("*/samples.f32")
    zero(path)
    *_, errors = command(data_command.main, "check", spec)
    assert any("in the cache is damaged" in line for line in errors)
    *_, errors = command(data_command.main, "check", spec)
    assert not any("damaged" in line for line in errors)


def test_a_cache_that_is_removed_while_it_is_filled_is_done_without(
    spec, cache, monkeypatch
):
    rename = type(cache).rename

    def late(path, target):
        shutil.rmtree(cache)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(cache), "rename", late)
        store = open_audio(spec)
    assert not cache.exists()
    assert contents(store) == contents(open_audio(spec))
