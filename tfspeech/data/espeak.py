"""Synthetic speech from the eSpeak NG library that `espeakng_loader` ships.

The library keeps state between calls that its interface cannot reset (the position
in the pitch flutter table, resonators, the phase of a cycle), so that a word sounds
a little different after every other word. It is therefore loaded afresh for each
utterance and its random numbers are seeded, which costs less than 1 ms and gives the
same samples in any order and in any process (as long as nothing else in the process
holds the same library file open).
"""

from __future__ import annotations

import _ctypes  # The only way to unload a library that ctypes has loaded.
import atexit
import contextlib
import ctypes
import dataclasses
import functools
import math
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import espeakng_loader
import numpy as np

from tfspeech.errors import SpecError

NATIVE_RATE_HZ = 22050
NOISES = ("white", "pink")

_SILENCE = 10 ** (-50 / 20)  # Relative to the peak.
_MARGIN_MS = 20

# Constants of speak_lib.h.
_SYNCHRONOUS, _DO_NOT_EXIT = 2, 0x8000
_CHARACTER, _UTF8 = 1, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class SpokenText:
    """An utterance that eSpeak NG speaks; the same fields give the same samples.

    Attributes:
        text: What is spoken.
        voice: An eSpeak voice, with a variant after a plus: `"en-us+f3"`.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99, relative to the voice's own pitch; 50 leaves it alone.
        pitch_range: 0 (monotonous) to 99; 50 leaves the voice alone.
        snr_db: The level of the speech over that of added noise; infinite: no noise.
        noise: The colour of the noise, `"white"` or `"pink"`.
        seed: The seed of the noise.

    Raises:
        SpecError: A value is out of its range.
    """

    text: str
    voice: str = "en-us"
    rate_wpm: int = 175
    pitch: int = 50
    pitch_range: int = 50
    snr_db: float = math.inf
    noise: str = "white"
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {"rate_wpm": (80, 450), "pitch": (0, 99), "pitch_range": (0, 99)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise SpecError(
                    f"{name} must be between {low} and {high}. "
                    f"Received: {name}={getattr(self, name)}"
                )
        if self.noise not in NOISES:
            raise SpecError(
                f"noise must be one of {', '.join(NOISES)}. Received: {self.noise!r}"
            )

    def __str__(self) -> str:
        return f"{self.text!r} by {self.voice}"

    def render(self) -> tuple[np.ndarray, int]:
        """Speaks the text.

        Returns:
            The waveform, float32 [samples] in [-1, 1], trimmed to 20 ms of silence at
            either end, and its rate of 22,050 Hz.

        Raises:
            SpecError: eSpeak NG has no such voice or variant, or the text is silent.
        """
        waveform = _trim(_synthesize(self))
        if not waveform.size:
            raise SpecError(
                f"eSpeak NG finds nothing to say in {self}; if that is the label of a "
                "corpus, train it with --synthetic-per-label 0"
            )
        if math.isfinite(self.snr_db):
            waveform = _add_noise(waveform, self.snr_db, self.noise, self.seed)
        return waveform.astype(np.float32), NATIVE_RATE_HZ


def _synthesize(spoken: SpokenText) -> np.ndarray:
    """Returns what eSpeak NG says, float64 [samples] at 22,050 Hz."""
    chunks = [b""]

    @_SYNTH_CALLBACK
    def collect(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        return 0

    with _lock, _fresh_library() as library:
        library.espeak_SetSynthCallback(collect)
        _set_voice(library, spoken.voice)
        for parameter, value in (
            (_RATE, spoken.rate_wpm),
            (_VOLUME, 100),
            (_PITCH, spoken.pitch),
            (_RANGE, spoken.pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        text = spoken.text.encode() + b"\0"
        library.espeak_Synth(
            text, ctypes.c_size_t(len(text)), 0, _CHARACTER, 0, _UTF8, None, None
        )
    return np.frombuffer(b"".join(chunks), np.int16) / 2.0**15


@contextlib.contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """Loads eSpeak NG in its initial state, and unloads it."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        data = bytes(_flat_data())
        rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT)
        if rate_hz != NATIVE_RATE_HZ:
            raise SpecError(
                "eSpeak NG does not start; reinstall espeakng-loader. "
                f"Received: {rate_hz} from espeak_Initialize"
            )
        # Breath noise has its own generator; some Klatt voices use the C library's.
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        ctypes.CDLL(None).srand(1)
        yield library
    finally:
        library.espeak_Terminate()
        _ctypes.dlclose(library._handle)


@functools.cache
def _flat_data() -> Path:
    """Links eSpeak's data into a temporary folder where it finds voices at once.

    A language that is not directly in `lang`, under the name it is asked for, would
    make eSpeak read some 250 files, for each utterance.
    """
    data = Path(espeakng_loader.get_data_path())
    flat = Path(tempfile.mkdtemp(prefix="tfspeech-espeak-"))
    atexit.register(shutil.rmtree, flat, ignore_errors=True)
    for path in data.iterdir():
        if path.name != "lang":
            (flat / path.name).symlink_to(path)
    (flat / "lang").mkdir()
    for path in (data / "lang").rglob("*"):
        if path.is_file():
            (flat / "lang" / path.name.lower()).symlink_to(path)
    return flat


def _set_voice(library: ctypes.CDLL, voice: str) -> None:
    # eSpeak silently ignores a variant that it does not have.
    data = Path(espeakng_loader.get_data_path())
    variant = voice.partition("+")[2]
    if variant and not (data / "voices" / "!v" / variant).is_file():
        raise SpecError(
            f"eSpeak NG has no variant {variant!r}; the known ones are the files in "
            f"{data / 'voices' / '!v'}. Received: {voice!r}"
        )
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise SpecError(
            f"eSpeak NG has no voice {voice!r}; the known ones are the files below "
            f"{data / 'lang'}, in lower case, such as en, en-us and en-gb-scotland"
        )


def _trim(waveform: np.ndarray) -> np.ndarray:
    """Cuts silence at either end but for a margin."""
    level = np.abs(waveform)
    loud = np.flatnonzero(level > _SILENCE * level.max(initial=0.0))
    if not loud.size:
        return waveform[:0]
    margin = NATIVE_RATE_HZ * _MARGIN_MS // 1000
    return waveform[max(loud[0] - margin, 0) : loud[-1] + 1 + margin]


def _add_noise(
    waveform: np.ndarray, snr_db: float, colour: str, seed: int
) -> np.ndarray:
    """Adds Gaussian noise, white or with a power that falls as 1 / frequency."""
    noise = np.random.default_rng(seed).standard_normal(len(waveform))
    if colour == "pink":
        spectrum = np.fft.rfft(noise)
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
        noise = np.fft.irfft(spectrum, len(waveform))
    power_ratio = np.mean(waveform**2) / np.mean(noise**2) / 10 ** (snr_db / 10)
    return np.clip(waveform + math.sqrt(power_ratio) * noise, -1.0, 1.0)
