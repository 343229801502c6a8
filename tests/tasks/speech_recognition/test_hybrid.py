"""The hybrid recogniser: labels of frames, words and their pronunciations, its run."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from models import (
    HmmRecognizer,
    HmmRecognizerConfig,
    HybridRecognizer,
    HybridRecognizerConfig,
)
from tfspeech import evaluate, export, language_model, train
from tfspeech.audio.augment import (
    AugmentConfig,
    augment_waveforms,
    change_tempo,
    source_places,
)
from tfspeech.errors import TextError
from tfspeech.tasks.alignment.states import NUM_STATES, PAUSE_STATES, UNLABELLED
from tfspeech.tasks.alignment.text import UNITS, pronounce
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.runs import load_config, load_task
from tfspeech.tasks.speech_recognition.hybrid import HybridRecognition, HybridTraining
from tfspeech.tasks.speech_recognition.transcripts import Transcriber, TranscriptConfig
from tfspeech.tasks.speech_recognition.word_loop import pronounced, word_loop
from tfspeech.text.ngram import train_ngram
from tfspeech.training.config import TrainingConfig

WORDS = ("red", "the", "box")
QUIET = AugmentConfig(noise_share=0.0, room_share=0.0, time_masks=0)


@pytest.fixture(scope="module")
def data(small_hybrid):
    return load_config(small_hybrid).read_data()


def small_task(features, strides=(2, 1)):
    config = HybridRecognizerConfig(units=2, conv_filters=2, conv_strides=strides)
    model = HybridRecognizer(config, features.feature_dim, NUM_STATES)
    transcriber = Transcriber(TranscriptConfig("plain_words"), WORDS)
    return HybridRecognition(model, features, transcriber)


def phonemes(states):
    """Names of the phonemes that a row of states says, without pauses."""
    units = np.asarray(states) // 2
    units = units[np.flatnonzero(np.diff(units, prepend=-1))]
    return [UNITS[unit] for unit in units if UNITS[unit] != "pau"]


def test_labels_say_the_text(data):
    indices = data.corpus.indices("test")[:5]
    for index, states in zip(indices, data.targets(indices), strict=True):
        frames = 1 + data.store.lengths[index] // data.features.hop_length
        assert (states[:frames] >= 0).all()
        assert (states[frames:] == UNLABELLED).all()
        spoken = [UNITS[unit] for unit in pronounce(data.transcripts[index]).units]
        wanted = [name for name in spoken if name != "pau"]
        assert phonemes(states[:frames]) == wanted


def test_places_of_frames_are_where_waveforms_went():
    config = AugmentConfig(speed=0.3, tempo=0.0, time_shift_ms=80.0, gain_db=0.0)
    lengths, seeds = tf.constant([4000, 2500]), tf.constant([3, 8], tf.int64)
    ramp = tf.tile(tf.range(4000.0)[tf.newaxis], [2, 1])
    moved, new_lengths = augment_waveforms(ramp, lengths, seeds, config, 8000)
    count = int(tf.reduce_max(new_lengths)) // 80
    places = source_places(count, lengths, seeds, config, 8000, 80).numpy()
    values = moved.numpy()[:, : 80 * count : 80]
    inside = (places >= 0) & (places < lengths.numpy()[:, np.newaxis] - 1)
    assert inside.sum() > 50
    np.testing.assert_allclose(values[inside], places[inside], atol=0.05)
    assert not values[places < 0].any()
    slower = dataclasses.replace(config, tempo=0.3)
    factors = source_places(3, lengths, seeds, slower, 8000, 80).numpy()
    ratios = np.diff(factors)[:, 0] / np.diff(places)[:, 0]
    energies = tf.tile(tf.range(30.0)[tf.newaxis, :, tf.newaxis], [2, 1, 1])
    stretched, _ = change_tempo(energies, tf.constant([30, 30]), seeds, 0.3)
    np.testing.assert_allclose(stretched[:, 1, 0], ratios, rtol=1e-4)


def test_labels_of_a_batch_move_with_its_features(data):
    task = small_task(data.features)
    settings = TrainingConfig(batch_size=4, seed=0)
    still = AugmentConfig(
        **dict.fromkeys(("speed", "tempo", "time_shift_ms", "noise_share"), 0.0)
    )
    rows, seeds = tf.constant([0, 5], tf.int64), tf.constant([1, 2], tf.int64)
    table = data.targets(data.corpus.indices("train"))[[0, 5]]
    batch = HybridTraining(task, data, still, settings).load(rows, seeds)
    frames = batch["features"].shape[1]
    assert np.array_equal(batch["targets"], table[:, :frames])
    late = dataclasses.replace(still, time_shift_ms=200.0, speed=0.1, tempo=0.1)
    batch = HybridTraining(task, data, late, settings).load(rows, seeds)
    for row, length in enumerate(batch["lengths"].numpy()):
        states = batch["targets"][row].numpy()
        assert (states[:length] >= 0).all()
        assert (states[length:] == UNLABELLED).all()
        assert states[0] == PAUSE_STATES[0]
        assert phonemes(states[:length]) == phonemes(table[row][table[row] >= 0])


def test_the_loss_is_the_cross_entropy_of_labelled_frames(data):
    task = small_task(data.features)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, NUM_STATES)).astype("f4")
    targets = np.array([[3, 9, 4, 9, 5, 9, 6, 9], [7] + [UNLABELLED] * 7], "i4")
    outputs = {"logits": logits, "logit_lengths": np.array([4, 1], "i4")}
    log_probs = tf.nn.log_softmax(logits).numpy()
    wanted = -np.array([log_probs[0, range(4), [3, 4, 5, 6]].sum(), log_probs[1, 0, 7]])
    losses, fits = task.row_losses(outputs, tf.constant(targets))
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    assert fits.numpy().all()
    batch = {"targets": tf.constant(targets)}
    assert float(task.weight(batch)) == 5
    found = task.losses_of(outputs, batch)
    assert float(found.terms["frames"]) == pytest.approx(wanted.sum() / 5, rel=1e-5)
    nothing = tf.fill([2, 8], UNLABELLED)
    losses, fits = task.row_losses(outputs, nothing)
    assert not losses.numpy().any()
    assert not fits.numpy().any()
    # Also where a replica has nothing else: its share of 0 does not make NaN a number.
    assert float(task.losses_of(outputs, {"targets": nothing}).total) == 0


def test_priors_are_shares_of_the_training_frames(data):
    task = small_task(data.features)
    training = HybridTraining(task, data, QUIET, TrainingConfig(batch_size=4, seed=0))
    training.set_statistics()
    labels = data.targets(data.corpus.indices("train"))[:, ::2]
    labels = labels[labels != UNLABELLED]
    wanted = (1 + np.bincount(labels, minlength=NUM_STATES)) / (
        NUM_STATES + labels.size
    )
    np.testing.assert_allclose(np.exp(task.model.log_priors), wanted, rtol=1e-5)


def share_right(model, data):
    """The share of the frames of the test split whose state is found."""
    right = frames = 0
    for batch in data.evaluation_set(data.corpus.indices("test")):
        inputs = {name: batch[name] for name in ("features", "lengths")}
        found = tf.argmax(model(inputs)["logits"], 2).numpy()
        states = batch["targets"].numpy()[:, ::2]
        frames += (states != UNLABELLED).sum()
        right += (found == states).sum()
    return right / frames


def test_mixtures_are_trained_by_baum_welch_or_come_from_another_run(data):
    config = HmmRecognizerConfig(gaussians=2)
    model = HmmRecognizer(config, data.features.feature_dim, NUM_STATES)
    transcriber = Transcriber(TranscriptConfig("plain_words"), WORDS)
    task = HybridRecognition(model, data.features, transcriber)
    run = dataclasses.replace(default_config("hmm_recognizer"), augment=QUIET)

    def begin(**start):
        settings = TrainingConfig(batch_size=4, seed=0, **start)
        begun = dataclasses.replace(run, training=settings)
        begun.read_training(task, data).set_statistics()

    uniform = np.full(NUM_STATES, -np.log(NUM_STATES))
    begin(init_from="run")
    assert not model.mixtures.log_variances.numpy().any()
    assert share_right(model, data) < 0.25
    assert not np.allclose(model.log_priors, uniform)
    model.log_priors.assign(uniform)
    begin()
    assert share_right(model, data) > 0.4
    assert not np.allclose(model.log_priors, uniform)


def test_words_are_said_in_all_their_ways():
    the, four, digit = pronounced(("the", "four", "4"))
    assert len(the) == 2
    assert {tuple(form) for form in digit} == {tuple(form) for form in four}
    loop = word_loop(("the", "low"))
    assert [*loop.words] == [0, 0, 1]
    assert len(loop.states) == loop.lengths.sum()
    np.testing.assert_allclose(loop.unigrams, -np.log(2), rtol=1e-6)
    with pytest.raises(TextError, match="nothing to say"):
        word_loop(("...",))


def test_bigrams_are_between_all_pronunciations():
    ngram = train_ngram([["the", "low", "the"], ["low"]], 2, ["the", "low"])
    loop = word_loop(("the", "low"), ngram)
    seen = {
        (int(s), int(t)): float(p)
        for s, t, p in zip(loop.sources, loop.targets, loop.bigrams, strict=True)
    }
    assert seen.keys() == {(0, 2), (1, 2), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)}
    assert seen[0, 2] == pytest.approx(ngram.log_prob(("the",), "low"))
    np.testing.assert_allclose(loop.unigrams[2], ngram.log_prob((), "low"), rtol=1e-5)
    ends = [ngram.log_prob((word,), "</s>") for word in ("the", "the", "low", "<s>")]
    np.testing.assert_allclose(loop.finals, ends, rtol=1e-5)


def test_a_language_model_that_the_search_cannot_take_is_refused():
    ngram = train_ngram([["the", "low", "the"]], 3, ["the", "low"])
    with pytest.raises(TextError, match="of one or two words"):
        word_loop(("the", "low"), ngram)
    with pytest.raises(TextError, match="knows neither 'high' nor <unk>"):
        word_loop(("high",), train_ngram([["low"]], 2, ["low"]))


def test_a_hybrid_writes_words(tones, command, tmp_path):
    code, _, errors = command(
        *(train.main, "hybrid_recognizer", "--data", f"strings:folder:{tones}"),
        *("--symbols", "characters", "--run-dir", tmp_path / "x"),
    )
    assert code == 2
    assert "hybrid_recognizer writes words that it can pronounce" in errors[-1]


@pytest.mark.slow
def test_the_language_model_is_tuned_read_and_exported(
    small_hybrid, tmp_path, monkeypatch
):
    grid = {"prior_scale": (0.5, 1.0), "weight": (0.0, 1.0), "bonus": (-1.0, 2.0)}
    monkeypatch.setattr(HybridRecognition, "grid", grid)
    report = language_model.run(small_hybrid, tmp_path / "bigram")
    assert report["order"] == 2
    assert len(report["measured"]) == 8
    settings = json.loads((tmp_path / "bigram" / "settings.json").read_text())
    assert {name: settings[name] for name in grid} == {
        name: report["best"][name] for name in grid
    }
    scores = evaluate.run(
        small_hybrid, split="validation", language_model=tmp_path / "bigram"
    )
    assert scores["wer"] == report["best"]["wer"]
    assert "nats per frame" in load_config(small_hybrid).describe(scores)
    _, task = load_task(small_hybrid, language_model=tmp_path / "bigram")
    waveform = np.random.default_rng(0).normal(0, 0.1, 8000).astype("f4")
    here = task.transcribe(waveform, 8000)
    version = export.run(
        small_hybrid, tmp_path / "models", language_model=tmp_path / "bigram"
    )
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    answer = served(
        waveform=waveform[np.newaxis], waveform_length=np.array([8000], "i4")
    )
    assert answer["transcript"].numpy()[0].decode() == here.text
    np.testing.assert_allclose(answer["confidence"], [here.confidence], rtol=1e-3)
    assert "stream" not in tf.saved_model.load(str(version)).signatures
