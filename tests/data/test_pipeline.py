import itertools

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from models.layers.random import fold_in
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import (
    FeatureConfig,
    energies_to_features,
    extract_features,
    frame_energies,
)
from tfspeech.audio.telephone import band_centers_hz, limit_band
from tfspeech.data.batches import BatchPlan
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.data.pipeline import (
    augmented_words,
    cached,
    evaluation_batches,
    feature_statistics,
    noise_energies,
    planned_batches,
)
from tfspeech.data.store import prepare
from tfspeech.errors import SpecError

CONFIG = FeatureConfig(sample_rate_hz=8000)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise_bursts")
    rng = np.random.default_rng(0)
    utterances = []
    for number in range(23):
        samples = rng.normal(size=rng.integers(800, 4000)) * 0.1
        soundfile.write(folder / f"{number}.wav", samples, 8000)
        split = ("train", "validation", "test")[number % 3]
        path = folder / f"{number}.wav"
        utterances.append(Utterance(path, str(number % 2), "", split))
    return prepare(Corpus("bursts", tuple(utterances)))[0]


def training(store, first_batch=0, seed=0, augment=None, shard=(0, 1), size=4):
    chosen = list(range(3, 20))
    load = augmented_words(
        store,
        chosen,
        [i % 5 for i in chosen],
        CONFIG,
        augment or AugmentConfig(noise_share=1.0, room_share=1.0),
    )
    plan = BatchPlan(store.lengths[chosen], size, seed=seed)
    return planned_batches(plan, load, first_batch, seed=seed, shard=shard)


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def same(first, second):
    return all(
        np.array_equal(a[k], b[k])
        for a, b in zip(first, second, strict=True)
        for k in a
    )


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("start", [1, 5, 7])
def test_batches_are_the_same_from_wherever_they_are_asked_for(store, start):
    whole = take(training(store), start + 6)
    assert same(take(training(store, first_batch=start), 6), whole[start:])


def test_the_seed_decides_order_and_augmentation(store):
    batches = take(training(store), 5)
    assert same(batches, take(training(store), 5))
    others = take(training(store, seed=1), 5)
    assert any(
        a["features"].shape != b["features"].shape
        for a, b in zip(batches, others, strict=True)
    )


def test_every_row_has_a_seed_by_run_batch_and_utterance(store):
    chosen = store.lengths[list(range(3, 20))]
    for run in (0, 7):
        plan = BatchPlan(chosen, 4, seed=run)
        order = np.concatenate([plan.epoch(0), plan.epoch(1)])
        for number, batch in enumerate(take(training(store, seed=run), 10)):
            wanted = [fold_in(np.int64(run), number, row) for row in order[number]]
            np.testing.assert_array_equal(batch["seeds"], wanted)


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_shards_are_together_the_rows_of_the_whole_batch(store, workers):
    wholes = take(training(store, first_batch=1, size=7), 5)
    shards = [
        take(training(store, first_batch=1, size=7, shard=(index, workers)), 5)
        for index in range(workers)
    ]
    for number, whole in enumerate(wholes):
        for row in range(7):
            part = shards[row % workers][number]
            own = row // workers
            for name in ("seeds", "targets", "lengths"):
                assert part[name][own] == whole[name][row]
            length = whole["lengths"][row]
            np.testing.assert_allclose(
                part["features"][own][:length],
                whole["features"][row][:length],
                rtol=1e-4,
                atol=1e-4,
            )
        assert sum(len(each[number]["seeds"]) for each in shards) == 7


def test_a_worker_reads_no_rows_but_its_own(store, monkeypatch):
    read = []
    batch = store.batch
    monkeypatch.setattr(store, "batch", lambda rows: read.extend(rows) or batch(rows))
    take(training(store, size=7, shard=(1, 3)), 3)
    plan = BatchPlan(store.lengths[list(range(3, 20))], 7)
    own = np.concatenate([plan.epoch(epoch)[:, 1::3] + 3 for epoch in range(20)])
    # Up to six batches more are read ahead, two at a time.
    first = [tuple(read[i : i + 2]) for i in range(0, 6, 2)]
    assert set(first) <= {tuple(batch) for batch in own[:9].tolist()}


def test_more_workers_than_rows_are_an_error(store):
    with pytest.raises(SpecError, match=r"batch_size=4, workers=5"):
        training(store, shard=(0, 5))


def test_every_epoch_augments_anew(store):
    batches = take(training(store), 10)
    first, second = (
        {row.tobytes() for batch in epoch for row in batch["features"]}
        for epoch in (batches[:5], batches[5:])
    )
    assert not first & second


def test_batches_hold_what_a_model_takes(store):
    for batch in take(training(store), 5):
        features, lengths = batch["features"], batch["lengths"]
        assert features.dtype == np.float32
        assert features.shape == (4, lengths.max(), CONFIG.feature_dim)
        assert np.all(np.isfinite(features))
        beyond = np.arange(features.shape[1]) >= lengths[:, None]
        assert not features[beyond].any()
        assert batch["targets"].shape == (4,)


def test_evaluation_has_every_utterance_once_as_it_is(store):
    chosen = np.array([4, 2, 9, 11, 17])
    batches = list(
        evaluation_batches(
            store, chosen, [0, 1, 2, 3, 4], CONFIG, 2
        ).as_numpy_iterator()
    )
    assert [len(batch["rows"]) for batch in batches] == [2, 2, 1]
    rows = np.concatenate([batch["rows"] for batch in batches])
    assert sorted(rows) == [0, 1, 2, 3, 4]
    for batch in batches:
        np.testing.assert_array_equal(batch["targets"], batch["rows"])
        for row, features, length in zip(
            batch["rows"], batch["features"], batch["lengths"], strict=True
        ):
            waveform = store[chosen[row]][None]
            wanted, frames = extract_features(waveform, [waveform.size], CONFIG)
            assert length == frames[0]
            np.testing.assert_allclose(features[:length], wanted[0], atol=1e-3)


def test_statistics_are_those_of_all_frames_that_are_speech(store):
    chosen = [1, 5, 6]
    frames = [
        extract_features(store[i][None], [store.lengths[i]], CONFIG)[0][0]
        for i in chosen
    ]
    together = np.concatenate(frames).astype(np.float64)
    batches = evaluation_batches(store, chosen, [0, 0, 0], CONFIG, 2)
    mean, std = feature_statistics(batches)
    np.testing.assert_allclose(mean, together.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(std, together.std(axis=0), rtol=1e-3)


def test_background_noise_becomes_energies_at_the_models_rate(tmp_path):
    rng = np.random.default_rng(0)
    for name, rate_hz in (("a.wav", 8000), ("b.wav", 16000)):
        soundfile.write(tmp_path / name, rng.normal(size=rate_hz) * 0.1, rate_hz)
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    energies = noise_energies(files, CONFIG)
    assert energies.shape == (2 * 101, CONFIG.num_mels)
    samples, _ = soundfile.read(files[0])
    alone, _ = frame_energies(samples[None].astype(np.float32), [8000], CONFIG)
    np.testing.assert_allclose(energies[:101], alone[0], rtol=1e-4)
    assert noise_energies([], CONFIG) is None


def quiet(telephone_share):
    """No augmentation but by the band of a telephone."""
    off = {"speed": 0.0, "tempo": 0.0, "time_shift_ms": 0.0, "gain_db": 0.0}
    off |= {"dynamics": 0.0, "equalizer_db": 0.0, "tilt_db": 0.0, "time_masks": 0}
    off |= {"noise_share": 0.0, "room_share": 0.0}
    return AugmentConfig(telephone_share=telephone_share, **off)


def test_augmentation_can_be_turned_down(store):
    batch = take(training(store, augment=quiet(0.0)), 1)[0]
    chosen = list(range(3, 20))
    first = BatchPlan(store.lengths[chosen], 4).epoch(0)[0] + 3
    for index, features, length in zip(
        first, batch["features"], batch["lengths"], strict=True
    ):
        wanted, _ = extract_features(store[index][None], [store.lengths[index]], CONFIG)
        np.testing.assert_allclose(features[:length], wanted[0], atol=1e-2)


def test_the_band_of_a_telephone_is_that_of_the_seed(store):
    batch = take(training(store, augment=quiet(1.0)), 1)[0]
    chosen = list(range(3, 20))
    rows = BatchPlan(store.lengths[chosen], 4).epoch(0)[0] + 3
    energies, lengths = frame_energies(*store.batch(rows), CONFIG)
    centers_hz = band_centers_hz(CONFIG)
    limited = limit_band(energies, tf.constant(batch["seeds"]), 1.0, centers_hz)
    wanted, lengths = energies_to_features(limited, lengths, CONFIG)
    np.testing.assert_array_equal(batch["lengths"], lengths)
    np.testing.assert_allclose(batch["features"], wanted, atol=1e-2)
    whole, _ = energies_to_features(energies, lengths, CONFIG)
    assert np.abs(batch["features"] - whole).max() > 1.0


@pytest.mark.parametrize(("size_bytes", "loads"), [(100_000_000, 3), (100_000_001, 6)])
def test_only_small_splits_are_kept_in_memory(size_bytes, loads):
    loaded = []
    rows = tf.data.Dataset.range(3).map(
        lambda row: tf.numpy_function(lambda r: loaded.append(r) or r, [row], tf.int64)
    )
    batches = cached(rows, size_bytes)
    for _ in range(2):
        assert list(batches.as_numpy_iterator()) == [0, 1, 2]
    assert len(loaded) == loads
