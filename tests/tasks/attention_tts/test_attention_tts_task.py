"""The synthesis task: its losses against NumPy, its data, how it speaks."""

import dataclasses

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf

from models import AttentionTts, AttentionTtsConfig
from tfspeech.audio.acoustic import AcousticConfig, acoustic_frames
from tfspeech.errors import CorpusError, TextError
from tfspeech.tasks.attention_tts.data import (
    TAIL_STEPS,
    fill_steps,
    sentence_batches,
)
from tfspeech.tasks.attention_tts.losses import guided_attention_loss, stop_loss
from tfspeech.tasks.attention_tts.task import (
    AttentionSynthesis,
    AttentionSynthesisConfig,
)
from tfspeech.tasks.attention_tts.training import AttentionTraining
from tfspeech.tasks.speech.data import SentenceData, SentenceDataConfig
from tfspeech.tasks.speech.task import Speech
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.training.config import TrainingConfig

FEATURES = AcousticConfig(sample_rate_hz=8000, num_mels=12, hop_length_ms=15)
TEXTS = ("the red box.", "a", "the white door, the old hat.")
REDUCTION = 2


def build(features=FEATURES, postnet_layers=0, symbols="characters", **config):
    keras.utils.set_random_seed(0)
    front_end = TextFrontEnd(TextConfig(symbols))
    architecture = AttentionTtsConfig(
        encoder_units=8,
        encoder_layers=1,
        attention_units=8,
        prenet_units=8,
        decoder_units=8,
        reduction_factor=REDUCTION,
        postnet_layers=postnet_layers,
        postnet_filters=8,
    )
    model = AttentionTts(architecture, len(front_end.symbols), features.frame_dim)
    config = AttentionSynthesisConfig(**config)
    return AttentionSynthesis(model, config, features, front_end)


@pytest.fixture(scope="module")
def task():
    return build()


@pytest.fixture(scope="module")
def data(sentences):
    config = SentenceDataConfig(data=f"manifest:{sentences}")
    return SentenceData(config, TextFrontEnd(), FEATURES)


def batch_and_outputs(lengths=(8, 4, 6), symbols=(5, 7, 3), dim=12, seed=0):
    """A batch, and what a model might have made of it; padded with 0."""
    rng = np.random.default_rng(seed)
    rows, frames = len(lengths), max(lengths)
    inside = (np.arange(frames) < np.array(lengths)[:, None])[..., None]
    known = np.arange(max(symbols)) < np.array(symbols)[:, None]
    alignment = rng.uniform(size=(rows, frames // REDUCTION, max(symbols)))
    alignment *= known[:, None]
    alignment /= alignment.sum(2, keepdims=True)
    shape = (rows, frames, dim)
    batch = {
        "symbols": rng.integers(1, 20, known.shape) * known,
        "symbol_lengths": np.array(symbols),
        "frames": rng.normal(size=shape) * inside,
        "frame_lengths": np.array(lengths),
    }
    outputs = {
        "frames": rng.normal(size=shape) * inside,
        "frames_refined": rng.normal(size=shape) * inside,
        "stop_logits": rng.normal(size=(rows, frames // REDUCTION)) * 2,
        "alignment": alignment,
    }
    return tensors(batch), tensors(outputs)


def tensors(arrays):
    return {
        name: tf.constant(value, tf.int32 if value.dtype.kind == "i" else tf.float32)
        for name, value in arrays.items()
    }


def padded(tensor, frames, symbols):
    """Longer: frames or steps along axis 1, symbols along axis 2 or where alone."""
    more = [[0, 0], [0, frames], [0, symbols]][: len(tensor.shape)]
    return tf.pad(tensor, more, constant_values=tf.cast(0, tensor.dtype))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("l1", np.abs),
        ("l2", np.square),
        ("l1_l2", lambda x: np.abs(x) + np.square(x)),
    ],
)
@pytest.mark.parametrize("postnet_layers", [0, 2])
def test_the_frame_loss_is_the_mean_error_in_standard_deviations(
    name, error, postnet_layers
):
    task = build(
        postnet_layers=postnet_layers, frame_loss=name, stop_weight=0, guide_weight=0
    )
    std = np.linspace(0.5, 2.0, 12)
    task.model.normalization.set_statistics(np.full(12, 3.0), std)
    batch, outputs = batch_and_outputs()
    wanted = 0.0
    for key in ("frames", "frames_refined")[: 2 if postnet_layers else 1]:
        errors = []
        for row, length in enumerate(batch["frame_lengths"]):
            difference = (outputs[key] - batch["frames"])[row, :length] / std
            errors.append(error(difference.numpy()))
        wanted += np.concatenate(errors).mean()
    assert float(task.losses_of(outputs, batch).total) == pytest.approx(
        wanted, rel=1e-5
    )


def test_the_stop_loss_is_a_cross_entropy_in_which_the_end_counts_five_times():
    logits, steps = np.random.default_rng(1).normal(size=(3, 8)), np.array([8, 3, 6])
    total = 0.0
    for row, count in enumerate(steps):
        for step in range(count):
            p = 1 / (1 + np.exp(-logits[row, step]))
            total -= 5 * np.log(p) if step >= count - 3 else np.log(1 - p)
    found = stop_loss(tf.constant(logits, tf.float32), tf.constant(steps, tf.int32))
    assert float(found) == pytest.approx(total / steps.sum(), rel=1e-5)


def test_the_guided_attention_loss_is_that_of_its_paper():
    batch, outputs = batch_and_outputs()
    steps = batch["frame_lengths"].numpy() // REDUCTION
    symbols = batch["symbol_lengths"].numpy()
    total, g = 0.0, 0.3
    for row in range(3):
        for t in range(steps[row]):
            for n in range(symbols[row]):
                offset = n / symbols[row] - t / steps[row]
                penalty = 1 - np.exp(-(offset**2) / (2 * g**2))
                total += outputs["alignment"].numpy()[row, t, n] * penalty
    found = guided_attention_loss(
        outputs["alignment"], tf.constant(steps), tf.constant(symbols), g
    )
    assert float(found) == pytest.approx(total / steps.sum(), rel=1e-5)


def test_attention_on_the_diagonal_costs_nothing_and_off_it_much():
    there, count = tf.eye(10)[tf.newaxis], tf.constant([10])
    assert float(guided_attention_loss(there, count, count, 0.2)) == 0.0
    backwards = there[:, :, ::-1]
    assert float(guided_attention_loss(backwards, count, count, 0.2)) > 0.5


def test_the_loss_is_the_weighted_sum(task):
    batch, outputs = batch_and_outputs()
    parts = [
        float(
            build(stop_weight=stop, guide_weight=guide).losses_of(outputs, batch).total
        )
        for stop, guide in ((0, 0), (0.5, 0), (0, 3.0), (0.5, 3.0))
    ]
    assert parts[3] == pytest.approx(parts[1] + parts[2] - parts[0], rel=1e-5)
    assert parts[0] < min(parts[1:3])


def test_padding_changes_no_loss(task):
    batch, outputs = batch_and_outputs()
    longer = {
        "symbols": padded(batch["symbols"], 4, 0),
        "symbol_lengths": batch["symbol_lengths"],
        "frames": padded(batch["frames"], 6, 0),
        "frame_lengths": batch["frame_lengths"],
    }
    more = {
        "frames": padded(outputs["frames"], 6, 0),
        "frames_refined": padded(outputs["frames_refined"], 6, 0),
        "stop_logits": padded(outputs["stop_logits"], 3, 0),
        "alignment": padded(outputs["alignment"], 3, 4),
    }
    wanted = float(task.losses_of(outputs, batch).total)
    assert float(task.losses_of(more, longer).total) == pytest.approx(wanted, rel=1e-6)
    # And through the model.
    wanted = float(task.losses_of(task.model(batch), batch).total)
    assert float(task.losses_of(task.model(longer), longer).total) == pytest.approx(
        wanted, rel=1e-4
    )


def test_replicas_that_share_a_batch_have_its_mean_loss(task):
    lengths, symbols = (8, 2, 4, 6, 2), (5, 7, 3, 4, 6)
    batch, outputs = batch_and_outputs(lengths, symbols)
    total = 0.0
    for replica in range(2):
        part, out = (
            {name: rows[replica::2] for name, rows in each.items()}
            for each in (batch, outputs)
        )
        share = task.weight(part) / task.weight(batch)
        total += float(task.losses_of(out, part).total * share)
    assert float(task.weight(batch)) == sum(lengths)
    assert total == pytest.approx(float(task.losses_of(outputs, batch).total), rel=1e-5)


@pytest.mark.parametrize(("steps", "tail"), [(1, 0), (2, 0), (3, 0), (3, 2), (1, 1)])
@pytest.mark.parametrize("lpc_order", [0, 4])
def test_the_last_decoder_steps_are_filled_with_silence(steps, tail, lpc_order):
    config = dataclasses.replace(FEATURES, lpc_order=lpc_order)
    lengths = np.array([1, 5, 2, 3])
    frames = np.random.default_rng(0).normal(size=(4, 5, config.frame_dim))
    frames = tf.constant(frames, tf.float32)
    found, filled = fill_steps(
        frames, tf.constant(lengths, tf.int32), steps, config, tail
    )
    np.testing.assert_array_equal(filled, (-(-lengths // steps) + tail) * steps)
    silence = acoustic_frames(tf.zeros([1, 500]), tf.constant([500]), config)[0][0, 0]
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(found[row, :length], frames[row, :length])
        for frame in found[row, length : int(filled[row])]:
            np.testing.assert_allclose(frame, silence, atol=1e-5)
        assert not np.any(found[row, int(filled[row]) :])
    assert found.shape[1] == filled.numpy().max()


def test_the_frames_of_a_recording_are_its_own(data):
    for index in data.corpus.indices("validation"):
        frames = data.frames(index)
        assert len(frames) == data.frame_lengths(index)
        waveform = data.store[index][np.newaxis]
        wanted, _ = acoustic_frames(
            waveform, tf.constant([waveform.shape[1]]), FEATURES
        )
        np.testing.assert_allclose(frames, wanted[0], atol=1e-4)


def test_batches_hold_the_symbols_and_frames_of_their_utterances(data):
    indices, front_end, seen = data.corpus.indices("test"), TextFrontEnd(), []
    texts = data.texts(indices)
    order = np.argsort(data.store.lengths[indices], kind="stable")
    for batch in sentence_batches(data, indices, 5, batch_size=3).as_numpy_iterator():
        rows = order[len(seen) :][: len(batch["symbols"])]
        assert len(rows) <= 3
        assert batch["symbols"].shape[1] == batch["symbol_lengths"].max()
        for place, row in enumerate(rows):
            encoded = front_end.encode(texts[row])
            length = batch["symbol_lengths"][place]
            np.testing.assert_array_equal(batch["symbols"][place, :length], encoded)
            assert not batch["symbols"][place, length:].any()
            frames = 1 + data.store.lengths[indices[row]] // FEATURES.hop_length
            assert batch["frame_lengths"][place] == -(-frames // 5) * 5
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(indices)))


def test_the_rate_is_that_of_the_corpus_but_no_more_than_speech_needs(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["path,text,split"]
    for name, split in (("a", "train"), ("b", "validation")):
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(size=48000) * 0.1, 48000)
        rows.append(f"{name}.wav,some words {name},{split}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    config = SentenceDataConfig(data=f"manifest:{tmp_path / 'list.csv'}")
    found = SentenceData(config, TextFrontEnd(), AcousticConfig())
    assert found.features.sample_rate_hz == 22050
    assert found.store.lengths.tolist() == [22050, 22050]
    with pytest.raises(CorpusError, match="no test split"):
        found.corpus.indices("test")


@pytest.fixture(scope="module")
def training(task, data):
    settings = TrainingConfig(batch_size=4, accumulate_steps=2)
    return AttentionTraining(task, data, settings, sentences=3)


def test_steps_take_whole_groups_of_batches_and_go_on_anywhere(training, data):
    assert training.examples == len(data.corpus.indices("train")) == 16
    assert training.steps_per_epoch == 2
    second = next(iter(training.batches(1)))
    skipped = next(iter(training.batches(0).skip(2)))
    for name in second:
        np.testing.assert_array_equal(second[name], skipped[name])


def test_the_statistics_are_those_of_the_training_frames(task, training, data):
    training.set_statistics()
    total = []
    for batch in sentence_batches(data, data.corpus.indices("train"), REDUCTION):
        normal = task.model.normalization(batch["frames"])
        mask = tf.sequence_mask(batch["frame_lengths"], tf.shape(normal)[1])
        total.append(tf.boolean_mask(normal, mask))
    frames = np.concatenate(total)
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(frames.std(0), 1, atol=1e-3)


def test_validation_speaks_sentences_from_all_over_the_split(task, training, data):
    texts = data.texts(data.corpus.indices("validation"))
    assert training.spoken_texts == [texts[0], texts[1], texts[3]]
    np.testing.assert_array_equal(
        training.recording(2), data.store[data.corpus.indices("validation")[3]]
    )
    scores = training.validate()
    assert len(training.speech) == 3
    assert 0 < scores["mcd_db"] < 30
    total = frames = 0.0
    indices = data.corpus.indices("validation")
    for batch in sentence_batches(data, indices, REDUCTION, TAIL_STEPS, 1):
        count = float(task.weight(batch))
        total += count * float(task.losses_of(task.model(batch), batch).total)
        frames += count
    assert scores["loss"] == pytest.approx(total / frames, rel=1e-4)
    assert set(scores) == {
        *("loss", "mcd_db", "stopped", "focus", "diagonality", "monotonic_coverage"),
        *("skipped_words", "repeated_words"),
    }


def test_speech_has_its_own_length_and_symbols_whatever_its_neighbours(task):
    together = task.speak(TEXTS)
    for text, speech in zip(TEXTS, together, strict=True):
        symbols = len(task.front_end.encode(text))
        steps = len(speech.frames) // REDUCTION
        assert speech.frames.shape == (steps * REDUCTION, 12)
        assert speech.alignment.shape == (steps, symbols)
        np.testing.assert_allclose(speech.alignment.sum(1), 1, atol=1e-5)
        (alone,) = task.speak([text])
        np.testing.assert_allclose(alone.frames, speech.frames, atol=1e-4)
        assert alone.stopped == speech.stopped


def test_free_speech_ends_at_so_many_frames_per_symbol():
    task = build(frames_per_symbol=3.0)
    # Never, and at once.
    for bias, stopped in ((-50.0, False), (50.0, True)):
        biases = task.model.decoder.output_layer.bias
        biases.assign(np.append(biases.numpy()[:-1], bias))
        for text, speech in zip(TEXTS, task.speak(TEXTS), strict=True):
            longest = 3 * len(task.front_end.encode(text))
            wanted = REDUCTION if stopped else -(-longest // REDUCTION) * REDUCTION
            assert len(speech.frames) == wanted
            assert speech.stopped == stopped


def test_a_text_that_cannot_be_read_is_an_error(task):
    with pytest.raises(TextError, match="unknown symbol"):
        task.speak(["fine", "not 日本"])


def test_a_waveform_lies_between_the_centres_of_its_frames(task, data):
    frames = data.frames(data.corpus.indices("test")[0])
    waveform = task.waveform(frames)
    assert waveform.shape == ((len(frames) - 1) * FEATURES.hop_length,)
    assert np.std(waveform) > 0.01
    assert task.waveform(frames[:1]).shape == (0,)


def test_attention_is_scored_over_all_words(task):
    def speech(text, stopped):
        count = len(task.front_end.encode(text))
        return Speech(np.zeros((2 * count, 12)), np.eye(count), stopped)

    texts = ["the red box.", "old hat"]
    read = [speech(text, text == texts[0]) for text in texts]
    assert task.attention(texts, read) == {
        "stopped": 0.5,
        "focus": 1.0,
        "diagonality": 1.0,
        "monotonic_coverage": 1.0,
        "skipped_words": 0.0,
        "repeated_words": 0.0,
    }
    # The second word of five is never looked at, the others in their order.
    skipping = read[0].alignment[[0, 1, 2, 3, 7, 8, 9, 10, 11, 12]]
    read[0] = dataclasses.replace(read[0], alignment=skipping)
    scores = task.attention(texts, read)
    assert scores["skipped_words"] == pytest.approx(1 / 5)
    assert scores["monotonic_coverage"] < 1


@pytest.mark.parametrize(
    "values",
    [
        {"frame_loss": "l3"},
        {"stop_weight": -1.0},
        {"guide_weight": float("nan")},
        {"guide_width": 0.0},
        {"frames_per_symbol": 0.0},
        {"validation_sentences": 0},
    ],
    ids=lambda values: next(iter(values)),
)
def test_values_out_of_range_are_refused_by_name(values):
    with pytest.raises(ValueError, match=f"{next(iter(values))} must be"):
        AttentionSynthesisConfig(**values)
