"""No request takes more of a server than the limits of its model allow."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
from tiny_servers import RATE_HZ, attention, dense, recognition, served, wav

from tfspeech import export, synthesize, transcribe
from tfspeech.errors import AudioError, TextError
from tfspeech.serving.description import read_description
from tfspeech.tasks.limits import RecognitionLimits, SpeechLimits

Refused = tf.errors.InvalidArgumentError
NOISE = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)


@pytest.fixture(scope="module")
def recognizer():
    return served(recognition(), max_seconds=1.0, max_audio_bytes=50_000)


def recognized(recognizer, waveforms, lengths=None):
    waveforms = np.asarray(waveforms, np.float32)
    lengths = [waveforms.shape[1]] * len(waveforms) if lengths is None else lengths
    answer = recognizer["serving_default"](
        waveform=tf.constant(waveforms), waveform_length=tf.constant(lengths)
    )
    return {name: value.numpy() for name, value in answer.items()}


def transcribed(recognizer, *files):
    answer = recognizer["transcribe_bytes"](audio_bytes=tf.constant(files))
    return {name: value.numpy() for name, value in answer.items()}


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((17, 10), "max_rows of this model is 16. Received: 17"),
        ((1, 8001), "max_seconds of this model is 1.0. Received: 1.000125"),
    ],
)
def test_too_much_audio_is_refused_with_limit_and_value(recognizer, shape, reason):
    with pytest.raises(Refused, match=reason):
        recognized(recognizer, np.zeros(shape))


def test_what_is_just_within_the_limits_is_answered(recognizer):
    assert recognized(recognizer, np.zeros([16, 8000]))["label"].shape == (16,)
    assert transcribed(recognizer, wav(np.zeros(4000), 4000))["label"].shape == (1,)
    assert transcribed(recognizer, wav(NOISE, 192_000))["label"].shape == (1,)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (
            wav(NOISE[:1], 2**31 - 1),
            "RIFF/WAVE of 4000 to 192000 Hz: its rate is 2147483647",
        ),
        (wav(NOISE[:1], 100_000_000), "its rate is 100000000 Hz"),
        (wav(NOISE, 192_001), "its rate is 192001 Hz"),
        (wav(NOISE, 3999), "its rate is 3999 Hz"),
        (wav(NOISE, 1), "its rate is 1 Hz"),
        (wav(np.zeros(8001)), "max_seconds of this model is 1.0. Received: 1.0001"),
        (wav(np.zeros(25_000)), "max_audio_bytes of this model is 50000. Received: 50"),
    ],
)
def test_files_beyond_the_limits_are_refused(recognizer, contents, reason):
    with pytest.raises(Refused, match=reason):
        transcribed(recognizer, wav(NOISE), contents)


def test_rates_can_be_limited_further():
    signatures = served(recognition(), min_rate_hz=8000, max_rate_hz=16_000)
    assert transcribed(signatures, wav(NOISE), wav(NOISE, 16_000))["label"].size == 2
    with pytest.raises(Refused, match=r"min_rate_hz of this model is 8000.*d: 7999"):
        transcribed(signatures, wav(NOISE, 7999))
    with pytest.raises(Refused, match=r"max_rate_hz of this model is 16000.*d: 16001"):
        transcribed(signatures, wav(NOISE, 16_001))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e20])
def test_rows_that_are_not_finite_are_named_and_their_neighbours_served(
    recognizer, value
):
    rows = np.stack([NOISE, NOISE, NOISE * 0.5])
    rows[1, [17, 30]] = value
    answer = recognized(recognizer, rows)
    assert answer["error"][1].startswith(b"sample 17 is not finite or far beyond full")
    assert answer["label"][1] == b""
    assert not answer["scores"][1].any()
    for row in (0, 2):
        alone = recognized(recognizer, rows[row : row + 1])
        np.testing.assert_allclose(answer["scores"][row], alone["scores"][0], atol=1e-6)
        assert answer["label"][row] == alone["label"][0] != b""
        assert answer["error"][row] == b""
    with pytest.raises(Refused, match="row 0: sample 17 is not finite"):
        recognized(recognizer, rows[1:2])


def test_files_that_are_not_finite_are_named_and_their_neighbours_served(recognizer):
    bad = NOISE.copy()
    bad[17] = np.nan
    files = [wav(samples, 16_000, "FLOAT") for samples in (NOISE, bad)]
    answer = transcribed(recognizer, *files)
    assert answer["error"][1].startswith(b"sample 17 is not finite")
    assert answer["label"][1] == b""
    alone = transcribed(recognizer, files[0])
    np.testing.assert_allclose(answer["scores"][0], alone["scores"][0], atol=1e-6)
    with pytest.raises(Refused, match="row 0: sample 17 is not finite"):
        transcribed(recognizer, files[1])


def test_the_loudest_samples_have_finite_scores(recognizer):
    scores = recognized(recognizer, [NOISE / np.abs(NOISE).max() * 2.0**31])["scores"]
    np.testing.assert_allclose(scores.sum(), 1, atol=1e-5)


def test_a_local_call_names_the_same_limits_and_samples():
    task = recognition()
    bad = NOISE.copy()
    bad[17] = 1e20
    for samples, rate_hz, reason in (
        (bad, RATE_HZ, "sample 17 is not finite"),
        (NOISE, 2, "min_rate_hz of this model is 4000. Received: 2"),
        (NOISE, 200_000, "max_rate_hz of this model is 192000. Received: 200000"),
        (np.zeros(240_001, "f4"), 8000, "max_seconds of this model is 30.0. Received"),
    ):
        with pytest.raises(AudioError, match=reason):
            task.transcribe(samples, rate_hz)


@pytest.fixture(scope="module")
def endless():
    """A synthesiser with attention that never finds the end, and its signatures."""
    task = attention(stop_bias=-50.0)
    return task, served(task, max_spoken_seconds=2.0, max_text_bytes=100)


def test_speech_without_an_end_is_cut_off(endless):
    task, signatures = endless
    answer = signatures["synthesize"](text=tf.constant(["the red box", "a"]))
    assert answer["stopped"].numpy().tolist() == [False, False]
    # `frames_per_symbol` lets the first speak for 4.5 s.
    assert answer["frame_length"].numpy().tolist() == [160, 60]
    (speech,) = task.speak(["the red box"])
    assert len(speech.frames) == 160


@pytest.mark.parametrize(
    ("signature", "request_of", "reason"),
    [
        ("synthesize", lambda: {"text": ["a" * 101]}, "max_text_bytes.* 100. .*: 101"),
        ("synthesize", lambda: {"text": ["a"] * 17}, "max_rows .* 16. Received: 17"),
        (
            "acoustic",
            lambda: {"symbols": [[3] * 401], "symbols_length": [2]},
            "max_symbols of this model is 400. Received: 401",
        ),
        ("symbol_table", lambda: {"row": range(17)}, "max_rows .* 16. Received: 17"),
        ("limits", lambda: {"row": range(17)}, "max_rows of this model is 16"),
    ],
)
def test_too_much_text_is_refused_with_limit_and_value(
    endless, signature, request_of, reason
):
    inputs = {name: tf.constant(value) for name, value in request_of().items()}
    with pytest.raises(Refused, match=reason):
        endless[1][signature](**inputs)


@pytest.fixture(scope="module")
def slow():
    """A synthesiser with durations of about 25 frames, and its signatures."""
    task = dense(frames_per_phoneme=25)
    return task, served(task, max_spoken_seconds=5.0)


def test_speech_that_would_be_too_long_is_refused(slow):
    task, signatures = slow
    text = "the red box."  # Of 8 phonemes, 2.5 s long.
    inputs = {"text": tf.constant([text]), "semitones": tf.zeros([1])}
    speak = signatures["synthesize_prosody"]
    samples = int(speak(**inputs, rate=tf.ones([1]))["waveform_length"][0])
    assert 0.5 < samples / RATE_HZ < 5
    reason = "max_spoken_seconds of this model is 5.0. Received: "
    with pytest.raises(Refused, match=reason):
        speak(**inputs, rate=tf.constant([0.25]))
    with pytest.raises(TextError, match=reason):
        task.speak([text], rate=0.25)


@pytest.mark.parametrize("limits", [RecognitionLimits(), SpeechLimits()])
def test_a_signature_tells_the_limits(limits):
    answer = limits.signature()(row=tf.constant([5, 7]))
    assert {name: value.numpy().tolist() for name, value in answer.items()} == {
        name: [value] * 2 for name, value in vars(limits).items()
    }


HOSTILE = """
    import resource, sys
    import numpy as np
    import tensorflow as tf
    from tiny_servers import attention, dense, recognition, served, wav

    def peak_mb():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    recognizer, voice = served(recognition()), served(dense(25))
    one = tf.ones([1])
    transcribe = recognizer["transcribe_bytes"]
    noise = np.random.default_rng(0).normal(0, 0.1, 1000)
    transcribe(audio_bytes=[wav(noise, 44100)])
    voice["synthesize"](text=["the red box."])
    # What gets past a limit is to fail, and not to take all of the machine's memory.
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30,) * 2)
    table = voice["symbol_table"](row=[0])["symbol_names"][0].numpy().tolist()
    symbols = np.full([1, 20_000], len(table) - 1, np.int32)
    long = dict(symbols=symbols, symbols_length=[20_000], rate=one, semitones=0 * one)
    large = wav(np.zeros(20_000_000), 192_000, "PCM_U8")
    before = peak_mb()
    hostile = {
        "2**31 - 1 Hz": lambda: transcribe(audio_bytes=[wav(noise[:1], 2**31 - 1)]),
        "100 MHz": lambda: transcribe(audio_bytes=[wav(noise[:1], 100_000_000)]),
        "1 Hz": lambda: transcribe(audio_bytes=[wav(np.zeros(50_000), 1)]),
        "bytes": lambda: transcribe(audio_bytes=[large]),
        "text": lambda: voice["synthesize"](text=["the red box. " * 1_600]),
        "symbols": lambda: voice["synthesize_phonemes"](**long),
        "rows": lambda: voice["synthesize"](text=["the red box."] * 2_000),
        "speech": lambda: voice["synthesize_prosody"](
            text=["the red box " * 24], rate=0.25 * one, semitones=0 * one
        ),
    }
    for name, request in hostile.items():
        try:
            request()
        except tf.errors.InvalidArgumentError:
            continue
        sys.exit(f"{name} is not refused")
    refused = peak_mb()
    # Rates without a common divisor have the most filters.
    transcribe(audio_bytes=[wav(np.zeros(191_999), 191_999)])
    print(refused - before, peak_mb() - before)
"""


@pytest.mark.slow
@pytest.mark.headline
def test_hostile_requests_take_no_memory():
    folders = [str(parent) for parent in Path(__file__).parents[1:3]]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HOSTILE)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(folders), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    refused_mb, answered_mb = map(float, done.stdout.split())
    assert refused_mb < 100
    assert answered_mb < 400


@pytest.mark.slow
@pytest.mark.headline
def test_an_export_records_limits_that_can_be_set(small_run, tmp_path, command):
    given = ["--max-seconds", "0.5", "--max-rows", "20"]
    code, _, lines = command(export.main, small_run, "--output", tmp_path, *given)
    assert code == 0, lines
    version = tmp_path / "rnn_recognizer" / "1"
    recorded = read_description(version)["limits"]
    assert recorded == vars(RecognitionLimits(max_seconds=0.5, max_rows=20))
    loaded = tf.saved_model.load(str(version)).signatures
    with pytest.raises(Refused, match=r"max_seconds of this model is 0.5. Received: 1"):
        recognized(loaded, np.zeros([1, 8000]))
    assert loaded["limits"](row=tf.constant([0]))["max_rows"].numpy() == [20]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--max-symbols", "9"], "has no limit max_symbols that could be set"),
        (["--max-rows", "15"], "max_rows must be between 16 and 2147483647"),
        (["--max-seconds", "nan"], "max_seconds must be above 0 and at most 3600"),
        (["--max-audio-bytes", "3000000000"], "max_audio_bytes must be between 1 and"),
        (["--min-rate-hz=9000", "--max-rate-hz=8000"], "max_rate_hz must be at least"),
        (["--max-rate-hz", "400000"], "max_rate_hz must be between 4000 and 192000"),
    ],
)
def test_limits_that_make_no_sense_are_refused(
    small_run, tmp_path, command, flags, reason
):
    code, _, (line,) = command(export.main, small_run, "--output", tmp_path, *flags)
    assert code == 2
    assert reason in line
    assert list(tmp_path.iterdir()) == []


def test_transcribe_refuses_what_a_server_would(small_run, tmp_path, command):
    path = tmp_path / "x.wav"
    bad = NOISE.copy()
    bad[17] = 1e20
    for contents, reason in (
        (wav(bad, subtype="FLOAT"), "sample 17 is not finite or far beyond full scale"),
        (
            wav(np.zeros(240_001)),
            "max_seconds of this model is 30.0. Received: 30.0001",
        ),
        (wav(NOISE, 1), "Expected RIFF/WAVE of 4000 to 192000 Hz: its rate is 1 Hz"),
    ):
        path.write_bytes(contents)
        code, out, (line,) = command(transcribe.main, small_run, path)
        assert (code, out) == (2, "")
        assert reason in line
        assert str(path) in line


def test_synthesize_speaks_a_long_text_in_pieces(small_voice, tmp_path, command):
    sentence = "the old man closed the white door."
    path = tmp_path / "long.wav"
    code, _, lines = command(
        synthesize.main, small_voice, f"{sentence} " * 20, "--output", path
    )
    assert code == 0, lines
    long, rate_hz = soundfile.read(path)
    command(synthesize.main, small_voice, " ".join([sentence] * 8), "--output", path)
    short, _ = soundfile.read(path)
    pause = round(0.3 * rate_hz)
    # 8 sentences of 35 characters fit into 300.
    assert not long[len(short) : len(short) + pause].any()
    again = long[len(short) + pause :][: len(short)]
    np.testing.assert_array_equal(again, short)
    assert f"{len(long) / rate_hz:.2f} s of speech" in lines[0]


def test_synthesize_names_the_limit_of_what_cannot_be_divided(
    small_voice, tmp_path, command
):
    code, _, (line,) = command(
        synthesize.main, small_voice, "a" * 500, "--output", tmp_path / "x.wav"
    )
    assert code == 2
    assert "max_symbols of this model is 400. Received: 501" in line
