"""Exports, loaded by TensorFlow's C library, are the Python models."""

import numpy as np
import pytest
import soundfile

from tfspeech.audio.decode import decode_wav, read_audio
from tfspeech.audio.encode import encode_wav
from tfspeech.audio.resample import resample
from tfspeech.errors import ServerError
from tfspeech.serving.client import RemoteModel
from tfspeech.tasks.runs import load_config
from tfspeech.tasks.speech.speaking import speak_ssml
from tfspeech.text.linguistic import encode_segments

WORDS = ("red", "box", "the", "old", "bird", "and", "white", "door", "hat", "a")

COLOURS, THINGS = ("red", "green", "blue", "white"), ("box", "bird", "door", "hat")


def test_nothing_of_ours_is_in_the_server(server):
    assert server["foreign"] == []


@pytest.fixture(scope="module", params=[1, 3, 16])
def size(request):
    """The batch size."""
    return request.param


@pytest.fixture(scope="module")
def rng(size):
    return np.random.default_rng(size)


@pytest.fixture(scope="module")
def noises(size, rng, recognizer):
    """Waveforms of mixed lengths with garbage beyond, their lengths and scores."""
    lengths = rng.integers(1, 4000, size).astype(np.int32)
    waveform = rng.normal(size=(size, lengths.max())).astype(np.float32) * 0.2
    for row, length in enumerate(lengths):
        waveform[row, length:] = np.nan
    return waveform, lengths, recognizer.recognize(waveform, lengths).numpy()


def test_recognizer_scores_waveforms(noises, url, recognizer):
    waveform, lengths, scores = noises
    with RemoteModel(url, "rnn_recognizer") as model:
        answer = model.predict(
            "serving_default", {"waveform": waveform, "waveform_length": lengths}
        )
    np.testing.assert_allclose(answer["scores"], scores, atol=1e-4)
    assert answer["labels"].tolist() == [list(recognizer.labels)] * len(lengths)
    best = np.array(recognizer.labels)[scores.argmax(axis=1)]
    assert answer["label"].tolist() == best.tolist()


@pytest.fixture(scope="module")
def wav_files(size, rng, recognizer, tmp_path_factory):
    """Contents of files of mixed lengths, rates and sample formats; their scores."""
    path = tmp_path_factory.mktemp("wav") / "noise.wav"
    contents, waveforms = [], []
    for row in range(size):
        noise = rng.normal(size=rng.integers(2000, 20000)) * 0.2
        rate_hz = (8000, 16000, 44100)[row % 3]
        subtype = ("PCM_16", "PCM_24", "FLOAT", "PCM_U8")[row % 4]
        soundfile.write(path, noise, rate_hz, subtype=subtype)
        contents.append(path.read_bytes())
        waveforms.append(resample(*read_audio(path), 8000).numpy())
    lengths = np.array([len(each) for each in waveforms], np.int32)
    padded = np.stack([np.pad(w, (0, lengths.max() - len(w))) for w in waveforms])
    return contents, recognizer.recognize(padded, lengths).numpy()


def test_recognizer_scores_wav_files(wav_files, url, recognizer):
    contents, scores = wav_files
    with RemoteModel(url, "rnn_recognizer") as model:
        words = model.transcribe(contents)
    for word, wanted in zip(words, scores, strict=True):
        assert list(word.scores) == list(recognizer.labels)
        np.testing.assert_allclose(list(word.scores.values()), wanted, atol=1e-4)
        assert word.label == recognizer.labels[wanted.argmax()]


def test_transcriber_writes_what_is_said_in_waveforms(noises, url, transcriber):
    waveform, lengths, _ = noises
    name, _, task = transcriber
    texts = [
        task.transcribe(row[:length], 8000)
        for row, length in zip(waveform, lengths, strict=True)
    ]
    with RemoteModel(url, name) as model:
        answer = model.predict(
            "serving_default", {"waveform": waveform, "waveform_length": lengths}
        )
    assert answer["transcript"].tolist() == [each.text for each in texts]
    wanted = [each.confidence for each in texts]
    np.testing.assert_allclose(answer["confidence"], wanted, atol=1e-3)
    assert not answer["error"].any()


@pytest.fixture(scope="module")
def strings(size, transcriber):
    """Contents of wav files of strings, the model, and the texts that it hears."""
    name, run_dir, task = transcriber
    data = load_config(run_dir).read_data(split="test")
    chosen = data.corpus.indices("test")[:size]
    contents = [encode_wav(data.store[i], 8000) for i in chosen]
    # What a file holds is rounded to 16 bits.
    waveforms = [decode_wav(each)[0].numpy() for each in contents]
    return contents, name, [task.transcribe(each, 8000) for each in waveforms]


def test_transcriber_writes_what_is_said_in_wav_files(strings, url):
    contents, name, wanted = strings
    with RemoteModel(url, name) as model:
        assert model.recognizes
        found = model.transcribe(contents)
    assert [each.text for each in found] == [each.text for each in wanted]
    assert any(each.text for each in found)
    for each, text in zip(found, wanted, strict=True):
        assert each.confidence == pytest.approx(text.confidence, abs=1e-3)
        assert each.error == ""


@pytest.fixture(scope="module")
def spoken(size, rng, voice):
    """Texts of mixed lengths, what the model says of each, and the waveforms."""
    texts = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) + "." for _ in range(size)]
    speech = voice.speak(texts)
    return texts, speech, [voice.waveform(each.frames) for each in speech]


def padded(encoded):
    """Lengths and a batch of symbols; what is beyond the lengths is garbage."""
    lengths = np.array([len(each) for each in encoded], np.int32)
    symbols = np.full((len(encoded), lengths.max() + 2), 9999, np.int32)
    for row, each in enumerate(encoded):
        symbols[row, : len(each)] = each
    return lengths, symbols


def test_voice_speaks_texts(spoken, url):
    texts, speech, waveforms = spoken
    with RemoteModel(url, "attention_tts") as model:
        answer = model.predict("synthesize", {"text": texts})
        default = model.predict("serving_default", {"text": texts}, ("waveform",))
    np.testing.assert_allclose(default["waveform"], answer["waveform"], atol=1e-3)
    assert answer["sample_rate_hz"].tolist() == [8000] * len(texts)
    for row, (each, waveform) in enumerate(zip(speech, waveforms, strict=True)):
        assert answer["stopped"][row] == each.stopped
        found = answer["frames"][row, : answer["frame_length"][row]]
        np.testing.assert_allclose(found, each.frames, atol=1e-3)
        heard, samples = answer["waveform"][row], answer["waveform_length"][row]
        assert samples == len(waveform)
        assert not heard[samples:].any()
        np.testing.assert_allclose(heard[:samples], waveform, atol=1e-3)


def test_voice_reads_symbols(spoken, url, voice):
    texts, speech, _ = spoken
    encoded = [voice.front_end.encode(text) for text in texts]
    lengths, symbols = padded(encoded)
    with RemoteModel(url, "attention_tts") as model:
        answer = model.predict(
            "acoustic", {"symbols": symbols, "symbols_length": lengths}
        )
    for row, each in enumerate(speech):
        steps, places = each.alignment.shape
        found = answer["alignment"][row, :steps, :places]
        np.testing.assert_allclose(found, each.alignment, atol=1e-4)
        mel = answer["mel"][row, : answer["frame_length"][row]]
        np.testing.assert_allclose(mel, each.frames[:, :16], atol=1e-3)


@pytest.fixture(scope="module", params=["dense_synthesis", "parallel_tts"])
def timed(request, dense, parallel):
    """A model with durations: its name, and its task."""
    tasks = {"dense_synthesis": dense, "parallel_tts": parallel}
    return request.param, tasks[request.param]


@pytest.fixture(
    scope="module",
    params=[{}, {"rate": 1.5, "semitones": 3.0, "pitch_range": 0.5, "energy": 3.0}],
)
def prosody(request, timed):
    """The conditions of a request, of those that the model has."""
    names = [condition.name for condition in timed[1].conditions]
    return {name: request.param[name] for name in names if name in request.param}


@pytest.fixture(scope="module")
def phrases(size, prosody, timed):
    """Texts of words that the model knows, what it says of each, and the waveforms."""
    rng = np.random.default_rng(size)
    texts = [
        ", ".join(f"the {rng.choice(COLOURS)} {rng.choice(THINGS)}" for _ in range(n))
        for n in rng.integers(1, 5, size)
    ]
    _, task = timed
    speech = task.speak(texts, **prosody)
    return texts, speech, [task.waveform(each.frames) for each in speech]


def test_models_with_durations_speak_texts(phrases, prosody, url, timed):
    texts, _, waveforms = phrases
    name, _ = timed
    with RemoteModel(url, name) as model:
        answers = model.synthesize(texts, **prosody)
    for answer, waveform in zip(answers, waveforms, strict=True):
        assert answer.sample_rate_hz == 8000
        assert answer.stopped
        if name == "dense_synthesis":
            np.testing.assert_allclose(answer.waveform, waveform.clip(-1, 1), atol=1e-3)
        # The phase of pulses adds up what rounding does to a predicted pitch.
        difference = np.linalg.norm(answer.waveform - waveform.clip(-1, 1))
        assert difference <= 0.05 * np.linalg.norm(waveform)


def test_models_with_durations_vocode_what_they_predict(phrases, prosody, url, timed):
    texts, speech, _ = phrases
    name, task = timed
    inputs = {"text": np.array(texts, object)}
    for condition in task.conditions:
        value = prosody.get(condition.name, condition.default)
        inputs[condition.name] = np.full(len(texts), value, np.float32)
    with RemoteModel(url, name) as model:
        answer = model.predict("synthesize_prosody", inputs)
    for row, each in enumerate(speech):
        frames = answer["frames"][row, : answer["frame_length"][row]]
        np.testing.assert_allclose(frames, each.frames, atol=1e-3)
        waveform = task.waveform(frames).clip(-1, 1)
        heard = answer["waveform"][row, : answer["waveform_length"][row]]
        np.testing.assert_allclose(heard, waveform, atol=1e-3)


def test_models_with_durations_read_symbols(phrases, prosody, url, timed):
    texts, speech, _ = phrases
    encoded = [encode_segments(timed[1].front_end, text) for text in texts]
    lengths, symbols = padded(encoded)
    inputs = {"symbols": symbols, "symbols_length": lengths}
    for condition in timed[1].conditions:
        value = prosody.get(condition.name, condition.default)
        inputs[condition.name] = np.full(len(texts), value, np.float32)
    with RemoteModel(url, timed[0]) as model:
        answer = model.predict("acoustic", inputs)
    for row, (each, length) in enumerate(zip(speech, lengths, strict=True)):
        durations = answer["durations"][row]
        assert durations[:length].tolist() == each.alignment.sum(axis=0).tolist()
        assert not durations[length:].any()
        frames = answer["frames"][row, : answer["frame_length"][row]]
        np.testing.assert_allclose(frames, each.frames, atol=1e-3)


def test_models_with_durations_speak_ssml(url, timed):
    name, task = timed
    document = (
        '<speak>The <prosody rate="60%">red</prosody> box, <emphasis>and</emphasis> the'
        ' unheardof <prosody pitch="-3st">door.</prosody><break/> A hat.</speak>'
    )
    with RemoteModel(url, name) as model:
        answers = list(model.synthesize_ssml([document], rate=1.25))
    pieces = speak_ssml(task, [document], rate=1.25)
    for answer, piece in zip(answers, pieces, strict=True):
        assert answer.last == piece.last
        # The phase of pulses adds up what rounding does to a predicted pitch.
        difference = np.linalg.norm(answer.waveform - piece.waveform.clip(-1, 1))
        assert difference <= 0.05 * np.linalg.norm(piece.waveform)


def test_dense_knows_its_words_and_reads_the_phonemes_of_all(url, dense):
    text = "the purple box."
    with RemoteModel(url, "dense_synthesis") as model:
        with pytest.raises(ServerError, match=r"without a pronunciation.*: purple"):
            model.predict("synthesize", {"text": [text]})
        (answer,) = model.synthesize([text])
    (speech,) = dense.speak([text])
    waveform = dense.waveform(speech.frames).clip(-1, 1)
    np.testing.assert_allclose(answer.waveform, waveform, atol=1e-3)


def test_vocoder_makes_waveforms_of_frames(size, rng, url, vocoder, dense):
    lengths = rng.integers(2, 30, size).astype(np.int32)
    (speech,) = dense.speak(["the red box and the white door."])
    frames = np.stack([speech.frames[: lengths.max()]] * size)
    wanted = vocoder.waveforms([frames[0, :length] for length in lengths])
    frames[np.arange(lengths.max()) >= lengths[:, None]] = 9e9
    with RemoteModel(url, "source_filter") as model:
        answer = model.predict("vocode", {"frames": frames, "frame_length": lengths})
    assert answer["sample_rate_hz"].tolist() == [8000] * size
    for row, waveform in enumerate(wanted):
        heard, samples = answer["waveform"][row], answer["waveform_length"][row]
        assert samples == len(waveform)
        assert not heard[samples:].any()
        np.testing.assert_allclose(heard[:samples], waveform.clip(-1, 1), atol=1e-3)
