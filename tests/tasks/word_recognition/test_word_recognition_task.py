import dataclasses

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from models import RnnRecognizer, RnnRecognizerConfig
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.data.corpora import load_corpus
from tfspeech.data.espeak import SpokenText
from tfspeech.data.pico import PicoText
from tfspeech.errors import CorpusError
from tfspeech.tasks.word_recognition.data import (
    RecognitionData,
    RecognitionDataConfig,
    add_synthetic_voices,
)
from tfspeech.tasks.word_recognition.task import RecognitionConfig, WordRecognition
from tfspeech.tasks.word_recognition.training import RecognitionTraining
from tfspeech.training.config import TrainingConfig


@pytest.fixture
def config(tones):
    return RecognitionDataConfig(data=f"folder:{tones}", synthetic_per_label=3)


def build(data, smoothing=0.0):
    architecture = RnnRecognizerConfig(units=4, conv_filters=4)
    model = RnnRecognizer(architecture, data.features.feature_dim, len(data.labels))
    task = RecognitionConfig(label_smoothing=smoothing)
    return WordRecognition(model, task, data.features, data.labels)


def test_labels_are_the_words_of_the_training_split(config):
    data = RecognitionData(config, FeatureConfig())
    assert data.labels == ("high", "low", "middle")
    assert data.features.sample_rate_hz == 8000
    indices = data.corpus.indices("test")
    texts = [data.corpus.utterances[i].text for i in indices]
    assert [data.labels[t] for t in data.targets(indices)] == texts


def test_synthetic_voices_say_every_label_in_training_alone(config):
    config = dataclasses.replace(config, synthetic_per_label=8)
    data = RecognitionData(config, FeatureConfig())
    plain = RecognitionData(
        dataclasses.replace(config, synthetic_per_label=0), FeatureConfig()
    )
    added = data.corpus.utterances[len(plain.corpus.utterances) :]
    assert data.corpus.utterances[: -len(added)] == plain.corpus.utterances
    labels = ["high", "low", "middle"]
    espeak = [(SpokenText, label) for label in labels for _ in range(7)]
    pico = [(PicoText, label) for label in labels]
    assert [(type(u.audio), u.text) for u in added] == espeak + pico
    assert all(u.split == "train" for u in added)
    spoken = data.store.batch(data.corpus.indices("train")[-24:])[1]
    assert np.all(spoken > 0.1 * 8000)


def test_a_synthetic_corpus_gets_no_more_synthetic_voices():
    whole = load_corpus("spoken_digits")
    assert add_synthetic_voices(whole, ["0"], 5) == whole


def test_for_evaluation_only_its_split_must_be_in_order(config):
    known = ["low", "middle"]
    data = RecognitionData(config, FeatureConfig(), known, "test")
    assert {problem.kind for problem in data.report.fatal} == {"unknown label"}
    assert all("test split" in problem.message for problem in data.report.fatal)


def test_a_split_that_is_empty_is_an_error(config, tones, tmp_path):
    file = next((tones / "low").glob("*.wav"))
    (tmp_path / "x.csv").write_text(
        f"path,text,split\n{file},low,train\n{file},low,train"
    )
    manifest = RecognitionDataConfig(
        data=f"manifest:{tmp_path / 'x.csv'}", synthetic_per_label=0
    )
    with pytest.raises(CorpusError, match="no test split"):
        RecognitionData(manifest, FeatureConfig()).corpus.indices("test")


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_the_cross_entropy_with_smoothed_labels(config, smoothing):
    data = RecognitionData(config, FeatureConfig())
    logits = np.random.default_rng(0).normal(size=(4, 3))
    targets = np.array([0, 2, 1, 1])
    loss = build(data, smoothing).losses_of(
        {"logits": tf.constant(logits, tf.float32)}, {"targets": tf.constant(targets)}
    )
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    wanted = np.eye(3)[targets] * (1 - smoothing) + smoothing / 3
    assert float(loss.total) == pytest.approx(
        -(wanted * log_p).sum(axis=1).mean(), rel=1e-5
    )


def test_the_loss_has_what_penalties_on_activations_need(config):
    data = RecognitionData(config, FeatureConfig())
    task = build(data)
    batch = {
        "features": tf.ones([2, 9, data.features.feature_dim]),
        "lengths": tf.constant([9, 5]),
        "targets": tf.constant([0, 2]),
    }
    outputs = task.losses("model", batch).outputs
    assert tuple(outputs["activations"]) == task.model.activation_names
    assert tuple(outputs["activation_lengths"]) == task.model.activation_names


def test_statistics_come_from_the_recordings_alone(config):
    data = RecognitionData(config, FeatureConfig())
    plain = RecognitionData(
        dataclasses.replace(config, synthetic_per_label=0), FeatureConfig()
    )
    found = []
    for each in (data, plain):
        recognition = build(each)
        training(recognition, each).set_statistics()
        found.append([w.numpy() for w in recognition.model.normalization.weights])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)
    assert np.all(found[0][1] > 0)


def training(recognition, data):
    return RecognitionTraining(
        recognition,
        data,
        AugmentConfig(),
        TrainingConfig(batch_size=8, accumulate_steps=2, seed=0),
    )


def test_steps_take_whole_groups_of_batches_and_go_on_anywhere(config):
    data = RecognitionData(config, FeatureConfig())
    run = training(build(data), data)
    examples = len(data.corpus.indices("train"))
    assert run.steps_per_epoch == -(-examples // 16)
    third = next(iter(run.batches(2)))
    skipped = next(iter(run.batches(0).skip(4)))
    np.testing.assert_array_equal(third["features"], skipped["features"])


@pytest.mark.parametrize(("share", "drawn"), [(0.0, 0), (0.1, 5), (0.5, 9)])
def test_a_share_of_every_epoch_is_synthetic(config, share, drawn):
    config = dataclasses.replace(config, synthetic_share=share)
    data = RecognitionData(config, FeatureConfig())
    own = len(data.corpus.indices("train")) - 9
    run = training(build(data), data)
    assert (own, data.synthetic) == (48, 9)
    assert run.steps_per_epoch == -(-(own + drawn) // 16)


def test_background_noise_of_a_corpus_is_mixed_in(tones, tmp_path):
    root = tmp_path / "words"
    root.mkdir()
    for label in ("low", "high"):
        (root / label).symlink_to(tones / label)
    (root / "_background_noise_").mkdir()
    noise = np.random.default_rng(0).normal(size=8000) * 0.1
    soundfile.write(root / "_background_noise_" / "hiss.wav", noise, 8000)
    data = RecognitionData(
        RecognitionDataConfig(data=f"folder:{root}", synthetic_per_label=0),
        FeatureConfig(),
    )
    assert data.labels == ("high", "low")
    assert len(data.corpus.noises) == 1
    batch = next(iter(training(build(data), data).batches(0)))
    assert np.all(np.isfinite(batch["features"]))
    (root / "_background_noise_" / "bad.wav").write_text("no audio")
    data = RecognitionData(
        RecognitionDataConfig(data=f"folder:{root}", synthetic_per_label=0),
        FeatureConfig(),
    )
    with pytest.raises(ValueError, match=r"bad.wav"):
        training(build(data), data)
