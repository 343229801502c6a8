# ruff: noqa: RUF001 -- IPA has letters that look like others.

import concurrent.futures
import hashlib
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from tfspeech.data.espeak import NATIVE_RATE_HZ, SpokenText
from tfspeech.errors import SpecError
from tfspeech.text.phonemes import PAUSE, text_to_phonemes

# Voices with flutter, breath, echo, roughness, and both Klatt synthesizers, one of
# which (Reed) draws its noise from the C library.
VOICES = ("en-us", "en+f1", "en-029+f5", "en-us+klatt4", "en+Reed", "en-us+victor")
SPOKEN = [
    SpokenText(text, voice, rate_wpm, pitch)
    for voice in VOICES
    for text, rate_wpm, pitch in (("six", 120, 70), ("one", 175, 50))
] + [SpokenText("two", snr_db=20, noise="pink", seed=3)]

HASH_IN_A_FRESH_PROCESS = """
import hashlib, json, sys
from tfspeech.data.espeak import SpokenText
for fields in json.load(sys.stdin):
    waveform, _ = SpokenText(**fields).render()
    print(hashlib.sha256(waveform.tobytes()).hexdigest())
"""


def fingerprint(spoken):
    return hashlib.sha256(spoken.render()[0].tobytes()).hexdigest()


@pytest.fixture(scope="module")
def fingerprints():
    return [fingerprint(spoken) for spoken in SPOKEN]


def test_same_samples_in_any_order(fingerprints):
    assert len(set(fingerprints)) == len(SPOKEN)
    assert [fingerprint(spoken) for spoken in SPOKEN[::-1]] == fingerprints[::-1]


def test_same_samples_in_a_fresh_process(fingerprints):
    order = np.random.default_rng(0).permutation(len(SPOKEN))
    result = subprocess.run(
        [sys.executable, "-c", HASH_IN_A_FRESH_PROCESS],
        input=json.dumps([vars(SPOKEN[index]) for index in order]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [fingerprints[index] for index in order]


def test_same_samples_in_threads(fingerprints):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fingerprint, SPOKEN)) == fingerprints


def test_render_trims_silence_to_a_margin():
    waveform, rate_hz = SpokenText("seven").render()
    margin = round(0.02 * NATIVE_RATE_HZ)
    loud = np.flatnonzero(np.abs(waveform) > 10 ** (-50 / 20) * waveform.max())
    assert rate_hz == NATIVE_RATE_HZ
    assert waveform.dtype == np.float32
    assert 0.2 < len(waveform) / rate_hz < 1.0
    assert loud[0] <= margin
    assert len(waveform) - 1 - loud[-1] <= margin


def test_rate_and_pitch_are_heard():
    slow, _ = SpokenText("seven", rate_wpm=100).render()
    fast, _ = SpokenText("seven", rate_wpm=250).render()
    assert len(slow) > 1.3 * len(fast)
    assert fingerprint(SpokenText("seven", pitch=80)) != fingerprint(
        SpokenText("seven", pitch=20)
    )
    assert fingerprint(SpokenText("seven", pitch_range=80)) != fingerprint(
        SpokenText("seven", pitch_range=20)
    )


@pytest.mark.parametrize("voice", ["eo", "en", "pt-br+f2", "EN-US"])
def test_voices_of_any_language_are_found(voice):
    assert SpokenText("radio", voice).render()[0].size


@pytest.mark.parametrize("noise", ["white", "pink"])
def test_noise_has_the_wanted_level(noise):
    clean, _ = SpokenText("seven").render()
    noisy, _ = SpokenText("seven", snr_db=15, noise=noise, seed=7).render()
    snr_db = 10 * np.log10(np.mean(clean**2) / np.mean((noisy - clean) ** 2))
    assert snr_db == pytest.approx(15, abs=0.1)


def test_noise_has_its_colour_and_its_seed():
    def noise(colour, seed):
        spoken = SpokenText("seven", snr_db=20, noise=colour, seed=seed)
        return spoken.render()[0] - SpokenText("seven").render()[0]

    def low_share(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        return power[: len(power) // 10].sum() / power.sum()

    assert low_share(noise("white", 1)) == pytest.approx(0.1, abs=0.03)
    assert low_share(noise("pink", 1)) > 0.5
    assert np.any(noise("white", 1) != noise("white", 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"voice": "gibberish"}, "no voice 'gibberish'.*lang"),
        ({"voice": "en-us+nobody"}, "no variant 'nobody'.*!v.*'en-us\\+nobody'"),
        ({"text": " "}, "nothing to say"),
    ],
)
def test_render_refuses(options, message):
    with pytest.raises(SpecError, match=message):
        SpokenText(**{"text": "one"} | options).render()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate_wpm": 20}, "between 80 and 450. Received: rate_wpm=20"),
        ({"pitch": 100}, "between 0 and 99. Received: pitch=100"),
        ({"pitch_range": -1}, "Received: pitch_range=-1"),
        ({"noise": "red"}, "one of white, pink. Received: 'red'"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        SpokenText("one", **options)


def test_phonemes_fill_the_waveform():
    spoken = SpokenText("Mister Hill, can you hear the sea?", rate_wpm=150)
    waveform, rate_hz, times = spoken.render_with_phonemes()
    np.testing.assert_array_equal(waveform, spoken.render()[0])
    assert times[0].start_s == 0
    assert times[-1].end_s == pytest.approx(len(waveform) / rate_hz)
    for one, following in itertools.pairwise(times):
        assert one.start_s < one.end_s == following.start_s
    pronounced = text_to_phonemes(spoken.text.lower())
    names = [each.phoneme for each in times if each.phoneme != PAUSE]
    assert names == list(itertools.chain(*pronounced))


def test_phonemes_are_where_they_sound():
    spoken = SpokenText("see, see")
    waveform, rate_hz, times = spoken.render_with_phonemes()
    assert [each.phoneme for each in times][:5] == ["s", "ˈiː", PAUSE, "s", "ˈiː"]

    def sound(each):
        return waveform[int(each.start_s * rate_hz) : int(each.end_s * rate_hz)]

    def crossings(samples):
        return np.mean(np.diff(np.sign(samples)) != 0)

    s, vowel, pause = map(sound, times[:3])
    assert crossings(s) > 3 * crossings(vowel)
    assert np.mean(vowel**2) > 100 * np.mean(pause**2)
