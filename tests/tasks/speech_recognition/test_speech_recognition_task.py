import dataclasses
import json

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from models import CtcRecognizer, CtcRecognizerConfig
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig
from tfspeech.data.checks import LEVELS
from tfspeech.data.corpora import load_corpus
from tfspeech.errors import SpecError
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.speech_recognition import data as recognition_data
from tfspeech.tasks.speech_recognition.data import (
    SpeechData,
    SpeechDataConfig,
    add_synthetic_strings,
)
from tfspeech.tasks.speech_recognition.task import SpeechRecognition
from tfspeech.tasks.speech_recognition.training import SpeechTraining
from tfspeech.tasks.speech_recognition.transcripts import PADDING, TranscriptConfig
from tfspeech.training.config import TrainingConfig

FEATURES = FeatureConfig(features="log_mel", trim_db=0.0)
SMALL_BATCHES = TrainingConfig(batch_size=8, seed=0)
TOO_LONG = "text longer than audio"
ARCHITECTURE = CtcRecognizerConfig(units=4, conv_filters=4)


def read(spec, symbols="words", known=(), split=None, share=0.0):
    config = SpeechDataConfig(data=spec, synthetic_share=share)
    return SpeechData(
        *(config, FEATURES, TranscriptConfig(symbols)),
        *(ARCHITECTURE.output_lengths, known, split),
    )


@pytest.fixture
def data(tones):
    return read(f"strings:folder:{tones}")


def build(data):
    symbols = len(data.transcriber.symbols)
    model = CtcRecognizer(ARCHITECTURE, data.features.feature_dim, symbols)
    return SpeechRecognition(model, data.features, data.transcriber)


def write_manifest(folder, rows):
    lines = [
        "path,text,split",
        *(f"{path},{text},{split}" for path, text, split in rows),
    ]
    (folder / "list.csv").write_text("\n".join(lines))
    return f"manifest:{folder / 'list.csv'}"


@pytest.fixture
def second(tmp_path):
    """A second of noise; after the convolutions it has 26 frames."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 8000)
    soundfile.write(tmp_path / "x.wav", noise, 8000)
    return tmp_path / "x.wav"


def test_symbols_are_those_of_the_training_split(data, sentences):
    assert data.transcriber.symbols == ("high", "low", "middle")
    assert data.report.fatal == ()
    assert data.report.splits["train"]["sentences"] > 10
    indices = data.corpus.indices("test")[:3]
    texts = [data.corpus.utterances[i].text for i in indices]
    rows = (row[row != PADDING] for row in data.targets(indices))
    assert [data.transcriber.decode(row) for row in rows] == texts
    spelled = read(f"manifest:{sentences}", "characters")
    assert len(spelled.transcriber.symbols) == 28
    assert {problem.kind for problem in spelled.report.fatal} <= {TOO_LONG}


@pytest.mark.parametrize(
    ("text", "symbols", "kind", "message"),
    [
        ("go " * 26, "words", TOO_LONG, "the model has 26 frames, the symbols of"),
        ("go up " * 14, "words", TOO_LONG, "need 28: mend the text, or"),
        ("go " * 13, "words", None, ""),
        ("go up " * 13, "words", None, ""),
        ("...", "characters", "no words", "its text is '...'"),
        ("stop", "words", "unknown symbol", "stop in 'stop': no training text has it"),
        ("", "words", "no label", "its text is empty"),
    ],
)
def test_transcripts_that_no_model_can_learn_are_refused(
    text, symbols, kind, message, second, tmp_path
):
    rows = [(second, "go up", "train"), (second, text, "validation")]
    report = read(write_manifest(tmp_path, rows), symbols).report
    found = [p for p in report.fatal if not p.kind.startswith("one audio")]
    assert [p.kind for p in found] == [kind] * (kind is not None)
    assert all(message in p.message for p in found)
    kinds = [p.kind for p in report.problems]
    assert kinds == sorted(kinds, key=list(LEVELS).index)


def test_for_evaluation_only_its_split_must_be_in_order(second, tmp_path):
    rows = [(second, "stop", "validation"), (second, "go", "test")]
    spec = write_manifest(tmp_path, rows)
    assert read(spec, known=("go",), split="test").report.fatal == ()
    (problem,) = read(spec, known=("go",), split="validation").report.fatal
    assert problem.kind == "unknown symbol"


def test_a_run_without_a_training_split_is_refused(second, tmp_path):
    report = read(write_manifest(tmp_path, [(second, "go", "test")])).report
    assert "no training split" in {problem.kind for problem in report.fatal}


def test_the_loss_is_per_symbol_and_leaves_out_what_does_not_fit(data):
    task = build(data)
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(size=(3, 9, 4)), tf.float32)
    batch = {"targets": tf.constant([[0, 1, -1], [2, 2, 2], [1, -1, -1]])}
    outputs = {"logits": logits, "logit_lengths": tf.constant([9, 4, 9])}
    losses = task.losses_of(outputs, batch)
    one, other = (
        tf.nn.ctc_loss(
            tf.constant([symbols]), logits[row : row + 1], [len(symbols)], [9],
            logits_time_major=False, blank_index=3,
        )[0]
        for row, symbols in ((0, [0, 1]), (2, [1]))
    )  # fmt: skip
    assert float(losses.total) == pytest.approx(float(one + other) / 6, rel=1e-4)
    assert float(losses.terms["unaligned"]) == pytest.approx(0.5)
    assert float(task.weight(batch)) == 6


def test_scores_are_of_what_is_read_from_the_frames(data):
    task = build(data)
    scores = task.evaluate_split(data, "test")
    indices = data.corpus.indices("test")
    assert scores["utterances"] == len(indices)
    assert scores["unaligned"] == 0
    assert scores["loss"] > 0
    nobody = ["nothing of it"] * len(indices)
    found = task.evaluate(data.evaluation_set(indices), nobody, nobody, nobody)
    for index, each in list(zip(indices, found["errors"], strict=True))[:5]:
        text = task.transcribe(data.store[index], 8000).text
        assert each["recognised"] == text
    assert json.loads(json.dumps(scores))["wer"] == scores["wer"]


@pytest.mark.slow
@pytest.mark.headline
def test_batches_are_the_same_from_anywhere_and_fit_the_loss(data):
    run = SpeechTraining(build(data), data, AugmentConfig(), SMALL_BATCHES)
    third = next(iter(run.batches(2)))
    skipped = next(iter(run.batches(0).skip(2)))
    for name in third:
        np.testing.assert_array_equal(third[name], skipped[name])
    assert third["targets"].shape == (8, 7)
    assert "errors" not in run.validate()


@pytest.mark.slow
@pytest.mark.headline
def test_strings_of_recordings_get_synthetic_voices_in_training_alone(
    tones, monkeypatch
):
    monkeypatch.setattr(recognition_data, "SYNTHETIC_PER_WORD", 4)
    plain = read(f"strings:folder:{tones}")
    mixed = read(f"strings:folder:{tones}", share=0.25)
    assert mixed.synthetic > 0
    own, added = np.split(np.array(mixed.corpus.utterances), [-mixed.synthetic])
    assert tuple(own) == plain.corpus.utterances
    assert {each.split for each in added} == {"train"}
    assert mixed.features.sample_rate_hz == 8000
    run = SpeechTraining(build(mixed), mixed, AugmentConfig(), SMALL_BATCHES)
    recordings = len(plain.corpus.indices("train"))
    assert run.steps_per_epoch == -(-(recordings + min(mixed.synthetic, 64)) // 8)
    assert add_synthetic_strings(load_corpus("reader")) == load_corpus("reader")
    digits = load_corpus("strings:spoken_digits")
    assert add_synthetic_strings(digits) == digits


def known_frames(task, frames):
    """Has the model see a class in each frame, instead of what it is given."""
    logits = 9 * tf.one_hot([frames], len(task.transcriber.symbols) + 1)
    task.score = lambda waveforms, lengths: (logits, tf.constant([len(frames)]))
    return task


def test_words_have_the_times_of_their_frames(data):
    task = known_frames(build(data), [3, 0, 0, 3, 0, 1, 3, 3])
    found = task.transcribe(np.zeros(6400, np.float32), 8000)  # 0.1 s per frame.
    assert found.text == "high high low"
    (segment,) = found.segments
    assert (segment.start_s, segment.end_s) == (0.0, 0.8)
    assert [tuple(word) for word in segment.words] == [
        ("high", 0.1, 0.3),
        ("high", 0.4, 0.5),
        ("low", 0.5, 0.6),
    ]
    assert 0.9 < found.confidence < 1


def test_words_of_characters_last_from_their_first_to_their_last(sentences):
    task = build(read(f"manifest:{sentences}", "characters"))
    blank = len(task.transcriber.symbols)
    text = ["a", None, "n", " ", " ", "o", None, "x"]
    frames = [blank if c is None else task.transcriber.symbols.index(c) for c in text]
    found = known_frames(task, frames).transcribe(np.zeros(6400, np.float32), 8000)
    assert found.text == "an ox"
    words = [tuple(word) for word in found.segments[0].words]
    assert words == [("an", 0.0, 0.3), ("ox", 0.5, 0.8)]


def test_long_recordings_are_cut_and_their_times_go_on(data):
    task = known_frames(build(data), [0, 3, 1, 3])
    seconds = 30
    samples = np.random.default_rng(0).normal(0, 0.1, 8000 * seconds).astype("f4")
    whole = task.transcribe(samples, 8000)
    count = len(whole.segments)
    assert count >= 3
    assert whole.text == " ".join(["high low"] * count)
    starts = [segment.start_s for segment in whole.segments]
    ends = [segment.end_s for segment in whole.segments]
    assert starts == [0.0, *ends[:-1]]
    assert ends[-1] == seconds
    for segment in whole.segments:
        first, last = segment.words
        assert segment.start_s == first.start_s
        assert first.end_s <= last.start_s < last.end_s <= segment.end_s
    product = np.prod([segment.confidence for segment in whole.segments])
    assert whole.confidence == pytest.approx(product)
    blocks = np.split(samples, 10)
    assert task.transcribe_blocks(blocks, 8000) == whole


def test_silence_has_no_text_and_no_segment(data):
    task = known_frames(build(data), [3, 3, 3])
    found = task.transcribe(np.zeros(800, np.float32), 8000)
    assert (found.text, found.segments) == ("", ())
    assert found.confidence > 0.9


def test_features_without_the_silence_are_refused():
    config = default_config("ctc_recognizer")
    trimmed = dataclasses.replace(config.features, trim_db=30.0)
    with pytest.raises(SpecError, match="trim_db must be 0 for connected speech"):
        dataclasses.replace(config, features=trimmed)
