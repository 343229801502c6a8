"""Speech in chunks is transcribed as the whole."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import CtcRecognizer, CtcRecognizerConfig
from models.ctc import read_best_path
from tfspeech import client
from tfspeech.audio.features import FeatureConfig
from tfspeech.errors import RunError, SpecError
from tfspeech.serving.client import RemoteModel, connection
from tfspeech.serving.client.transport import Signature
from tfspeech.tasks.registry import default_config
from tfspeech.tasks.speech_recognition.task import SpeechRecognition
from tfspeech.tasks.speech_recognition.transcripts import Transcriber, TranscriptConfig

FEATURES = FeatureConfig(
    sample_rate_hz=8000,
    dynamic_range_db=0.0,
    trim_db=0.0,
    utterance_normalization="running_mean",
)
SYMBOLS = ("a", "b", "c", "d")


def build(audio, cell="gru", symbols="words", features=FEATURES, **options):
    keras.utils.set_random_seed(0)
    config = CtcRecognizerConfig(
        **{"causal": True, "cell": cell, "units": 8, "conv_filters": 8} | options
    )
    model = CtcRecognizer(config, features.feature_dim, len(SYMBOLS))
    transcriber = Transcriber(TranscriptConfig(symbols), SYMBOLS)
    task = SpeechRecognition(model, features, transcriber)
    # Every class is the best of some frames, so that there is text.
    model.normalization.set_statistics(np.full(13, -20.0), np.full(13, 8.0))
    logits, _ = task.score(audio[np.newaxis], tf.constant([len(audio)]))
    kernel, bias = model.classifier.get_weights()
    usual = logits.numpy()[0].mean(axis=0)
    model.classifier.set_weights([kernel, bias - usual])
    return task


@pytest.fixture(scope="module")
def audio():
    """Noise whose colour changes."""
    rng = np.random.default_rng(0)
    gains = rng.uniform(0.01, 0.1, 13)
    pieces = [np.convolve(rng.normal(0, g, 900), rng.normal(0, 1, 8)) for g in gains]
    return np.concatenate(pieces).astype("f4")


@pytest.fixture(scope="module")
def task(audio):
    return build(audio)


@pytest.fixture(scope="module")
def served(task):
    """The signature `stream` of the model."""
    server = task.server()
    return tf.function(server.stream, autograph=False, reduce_retracing=True)


def whole(task, audio):
    """Its transcript, by the graph that is served."""
    logits, frames = task.score(audio[np.newaxis], tf.constant([len(audio)]))
    return task.transcriber.decode(read_best_path(logits, frames).numbers[0].numpy())


def cut(audio, rng):
    """Random chunks, some of them empty."""
    places = rng.integers(0, len(audio), rng.integers(0, 16))
    return np.split(audio, np.sort([*places, *places[:2]]).astype(int))


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_any_chunks_give_the_text_of_the_whole(cell, task, audio):
    if cell != "gru":
        task = build(audio, cell, symbols="characters")
    wanted = whole(task, audio)
    assert len(set(wanted) - {" "}) >= 2
    assert len(wanted.replace(" ", "")) >= 5
    rng = np.random.default_rng(1)
    for _ in range(50 if cell == "gru" else 3):
        found = "".join(task.transcribe_stream(cut(audio, rng)))
        assert task.transcriber.write(found) == wanted
    nothing = "".join(task.transcribe_stream([]))
    assert nothing.split() == whole(task, audio[:0]).split()


def test_text_is_there_before_the_end(task, audio):
    *early, _ = task.transcribe_stream(np.split(audio, range(400, len(audio), 400)))
    wanted = whole(task, audio).split()
    assert len("".join(early).split()) >= len(wanted) - 1


def test_a_server_streams_rows_that_are_apart(task, served, audio):
    lengths = np.array([len(audio), 5000])
    past = tf.zeros([2, 1])
    begun, texts = np.zeros(2, int), ["", ""]
    rng = np.random.default_rng(2)
    while True:
        counts = np.minimum(rng.integers(0, 3000, 2), lengths - begun)
        chunk = np.zeros((2, 3000), np.float32)
        for row in range(2):
            chunk[row, : counts[row]] = audio[begun[row] :][: counts[row]]
        begun += counts
        ends = begun == lengths
        answer = served(
            waveform=tf.constant(chunk),
            waveform_length=tf.constant(counts, tf.int32),
            is_last=tf.constant(ends),
            past=past,
        )
        past = answer["past"]
        for row in np.flatnonzero(counts > 0):
            texts[row] += answer["transcript"].numpy()[row].decode()
        if ends.all():
            break
        lengths = np.where(ends, begun, lengths)
    assert texts[0].split() == whole(task, audio).split()
    assert texts[1].split() == whole(task, audio[:5000]).split()


class Local:
    """A connection to a model that is here."""

    def __init__(self, served):
        self.served = served

    def signatures(self, timeout_s):
        inputs = ("waveform", "waveform_length", "is_last", "past")
        types = dict.fromkeys(inputs, tf.float32)
        outputs = {"transcript": tf.string, "past": tf.float32}
        return {"stream": Signature("stream", types, outputs)}

    def predict(self, signature, inputs, outputs, timeout_s):
        answer = self.served(**{k: tf.constant(v) for k, v in inputs.items()})
        texts = [each.decode() for each in answer["transcript"].numpy()]
        past = answer["past"].numpy()
        return {"transcript": np.array(texts, object), "past": past}

    def close(self):
        pass


def test_a_client_holds_the_past(task, served, audio):
    remote = RemoteModel("http://localhost:1", "ctc_recognizer")
    remote._transport = Local(served)
    chunks = np.split(audio, range(3000, len(audio), 3000))
    found = "".join(remote.transcribe_stream(chunks))
    assert found.split() == whole(task, audio).split()


def test_the_command_of_the_client_prints_what_a_stream_says(
    task, served, audio, tmp_path, command, monkeypatch
):
    monkeypatch.setattr(connection, "RestTransport", lambda *_: Local(served))
    samples = np.round(audio * 2**15).astype("<i2")
    file = tmp_path / "x.pcm"
    file.write_bytes(samples.tobytes())
    flags = ("--url", "http://localhost:1", "--model", "m", "--stream")
    wanted = whole(task, samples.astype("f4") / 2**15)
    code, out, errors = command(client.main, *flags, file)
    assert (code, out, errors) == (0, f"{wanted}\n", [])
    for more in ([file], ["--json"], ["--output", "x.wav"], ["--rate", "2"]):
        code, _, errors = command(client.main, *flags, file, *more)
        assert code == 2
        assert "--stream is of one FILE" in errors[-1]


def test_a_stream_that_is_not_finite_or_too_short_is_refused(task, served):
    server = task.server()
    size = server.metadata["past_size"]
    fine = {
        "waveform": np.zeros((1, 80), "f4"),
        "waveform_length": np.array([80], "i4"),
        "is_last": np.array([False]),
        "past": np.zeros((1, 1), "f4"),
    }
    for changes, reason in (
        ({"waveform": np.full((1, 80), np.nan, "f4")}, "waveform must be finite"),
        ({"past": np.full((1, size), np.inf, "f4")}, "past must be finite"),
        ({"past": np.zeros((1, 2), "f4")}, "past must be what was returned"),
        ({"past": np.ones((1, 1), "f4")}, "past must be what was returned"),
        ({"waveform_length": np.array([81], "i4")}, "not be more than the samples"),
        ({"waveform_length": np.array([-1], "i4")}, "must not be negative"),
    ):
        request = {name: tf.constant(v) for name, v in (fine | changes).items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=reason):
            served(**request)


def test_a_model_that_hears_the_whole_does_not_stream(audio):
    task = build(audio, causal=False)
    assert "past_size" not in task.server().metadata
    with pytest.raises(RunError, match="train one with --causal"):
        task.transcribe_stream([])


def test_a_causal_model_needs_causal_features():
    config = default_config("ctc_recognizer")
    causal = dataclasses.replace(config.architecture, causal=True)
    with pytest.raises(SpecError, match="--utterance-normalization running_mean"):
        dataclasses.replace(config, architecture=causal)
    fitting = dataclasses.replace(config, architecture=causal, features=FEATURES)
    assert fitting.features.causal
