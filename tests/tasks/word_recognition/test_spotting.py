"""Words in speech that goes on: windows, what is heard in them, and the threshold."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech import calibrate, transcribe
from tfspeech.tasks.runs import load_config
from tfspeech.tasks.word_recognition.spotting import (
    Spotter,
    Windows,
    count_words,
    threshold_for,
)

RATE_HZ = 1000
QUIET = 1e-4


def recognize(waveforms, lengths):
    """Hears "one" in what is above 0 and "two" in what is below, by their level."""
    level = 3.0 * tf.reduce_mean(waveforms, axis=1)
    return tf.nn.relu(tf.stack([level, -level], axis=1))


@pytest.fixture
def spotter():
    return Spotter(recognize, ("one", "two"), RATE_HZ)


def audio(*tenths):
    """One value for every tenth of a second."""
    return np.repeat(np.array(tenths, np.float32), RATE_HZ // 10)


WORDS = audio(*[0.1] * 3, *[0.3] * 9, *[-0.3] * 9, *[QUIET] * 10, *[-0.3] * 9)


def joined(parts):
    return Windows(*map(np.concatenate, zip(*parts, strict=True)))


def test_any_chunks_give_the_windows_of_the_whole(spotter):
    whole = joined(spotter.windows([WORDS]))
    # One for every tenth of a second, and five behind the last.
    assert whole.probabilities.shape == (len(WORDS) // 100 + 5, 2)
    rng = np.random.default_rng(0)
    for _ in range(5):
        cuts = np.sort(rng.integers(0, len(WORDS), 20))
        parts = joined(spotter.windows(np.split(WORDS, cuts)))
        np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)
        np.testing.assert_array_equal(parts.is_silent, whole.is_silent)


def test_probabilities_are_means_over_three_windows(spotter):
    found = joined(spotter.windows([audio(*[0.2] * 8)]))
    # A window has six tenths of a second, in the first one five are silent.
    alone = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6])
    means = np.convolve(alone, np.ones(3) / 3)[:8]
    np.testing.assert_allclose(found.probabilities[:8, 0], means, rtol=1e-5)


def test_changes_are_heard_in_their_order(spotter):
    heard = list(spotter.listen(np.array_split(WORDS, 7), 0.6))
    labels = [each.label for each in heard]
    assert labels == [
        *("unknown", "one", "unknown", "two", "unknown", "silence"),
        *("unknown", "two", "unknown"),
    ]
    times = [each.time_s for each in heard]
    assert times == sorted(times)
    assert times[0] == 0.1
    assert 0.3 < times[1] < 1.2
    assert all(
        each.probability >= 0.6 for each in heard if each.label in ("one", "two")
    )


def test_the_threshold_is_the_lowest_that_is_quiet_enough():
    best = np.array([0.1, 0.9, 0.2, 0.7, 0.8, 0.1, 0.6, 0.1], np.float32)
    windows = Windows(np.stack([best, 0 * best], 1), np.zeros(8, bool))
    assert [count_words(windows, t) for t in (0.95, 0.9, 0.75, 0.65, 0.6)] == [
        *(0, 1, 2, 2, 3)
    ]
    assert threshold_for(windows, 2) == pytest.approx(0.7)
    assert threshold_for(windows, 1.5) == pytest.approx(0.9)
    assert 0.9 < threshold_for(windows, 0) < 0.901


@pytest.mark.slow
@pytest.mark.headline
def test_a_threshold_is_fitted_kept_and_used(
    small_run, tones, sentences, tmp_path, command
):
    run_dir = tmp_path / "run"
    shutil.copytree(small_run, run_dir)
    flags = [run_dir, "--data", f"manifest:{sentences}", "--split", "train", "--json"]
    code, out, errors = command(calibrate.main, *flags, "--alarms-per-hour", 0)
    assert code == 0, errors
    found = json.loads(out.splitlines()[-1])
    assert (found["alarms"], found["left_out"]) == (0, 0)
    assert load_config(run_dir).task.heard_from == found["heard_from"] < 1.0
    calibrate.run_spotting(run_dir, f"manifest:{sentences}", "train", 1e6)
    assert load_config(run_dir).task.heard_from < found["heard_from"]
    wave, rate_hz = soundfile.read(next((tones / "high").iterdir()))
    raw = tmp_path / "x.pcm"
    silence = np.zeros(rate_hz)
    samples = np.concatenate([silence, wave, silence, wave])
    raw.write_bytes((samples * 2**15).astype("<i2").tobytes())
    code, out, errors = command(transcribe.main, run_dir, "--stream", raw)
    assert (code, errors) == (0, [])
    assert out.split().count("high") >= 2


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--alarms-per-hour", "1"], "--alarms-per-hour needs --data"),
        (["--alarms-per-hour=1", "--false-alarms=0.1", "--data=reader"], "without"),
        (["--alarms-per-hour", "-1", "--data", "reader"], "must be 0 or more. Rec"),
        (["--alarms-per-hour", "1", "--data", "{words}"], "has one of the words"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(flags, reason, small_run, tmp_path, command):
    words = tmp_path / "words.csv"
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 8000)
    words.write_text("path,text,split\na.wav,Too high!,validation\n")
    flags = [each.format(words=f"manifest:{words}") for each in flags]
    code, _, errors = command(calibrate.main, small_run, *flags)
    assert code == 2
    assert reason in errors[-1]
