import concurrent.futures
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from tfspeech.errors import SpecError
from tfspeech.text.pico import NATIVE_RATE_HZ, VOICES, speak

SPOKEN = [
    (word, voice, speed, pitch)
    for word, voice in (("zero", "en-US"), ("seven", "en-GB"), ("fri", "fr-FR"))
    for speed, pitch in ((0.78, 1.29), (1.0, 0.7))
]

# TensorFlow comes first: it exports functions of the names of Pico's own.
HASHES_IN_A_FRESH_PROCESS = f"""
import hashlib
import tensorflow
from tfspeech.text.pico import speak
for spoken in {SPOKEN[::-1]}:
    print(hashlib.sha256(speak(*spoken).tobytes()).hexdigest())
"""


def fingerprint(spoken):
    return hashlib.sha256(speak(*spoken).tobytes()).hexdigest()


def test_same_samples_in_any_order_and_thread():
    first = [fingerprint(spoken) for spoken in SPOKEN]
    assert len(set(first)) == len(SPOKEN)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fingerprint, SPOKEN[::-1])) == first[::-1]


@pytest.mark.slow
@pytest.mark.headline
def test_same_samples_in_a_fresh_process_with_tensorflow():
    result = subprocess.run(
        [sys.executable, "-c", HASHES_IN_A_FRESH_PROCESS],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == [fingerprint(each) for each in SPOKEN[::-1]]


@pytest.mark.parametrize("voice", VOICES)
def test_every_voice_speaks_at_its_rate_and_speed(voice):
    slow, fast = speak("radio", voice, 0.7), speak("radio", voice, 1.5)
    assert 0.3 < len(fast) / NATIVE_RATE_HZ < 2.0
    assert len(slow) > 1.2 * len(fast)
    assert 0.05 < np.abs(slow).max() <= 1.0


@pytest.mark.parametrize(
    ("text", "voice", "message"),
    [
        ("one", "en-AU", "no voice 'en-AU'; its voices are de-DE"),
        ("<break/>", "en-US", "letters alone. Received: '<break/>'"),
        ("a\0b", "en-US", "letters alone"),
        ("", "en-US", "letters alone"),
    ],
)
def test_what_pico_cannot_say_is_refused(text, voice, message):
    with pytest.raises(SpecError, match=message):
        speak(text, voice)
