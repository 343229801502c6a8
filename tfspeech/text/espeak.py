"""The binding to the eSpeak NG library that `espeakng_loader` ships.

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
import functools
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import espeakng_loader
import numpy as np

from tfspeech.errors import SpecError

NATIVE_RATE_HZ = 22050

# Constants of speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS, _DO_NOT_EXIT = 2, 1, 0x8000
_CHARACTER, _UTF8 = 1, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_LIST_TERMINATED, _WORD, _PHONEME = 0, 1, 7


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # In characters; the first is 1.
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)

_lock = threading.Lock()


class SpokenPhoneme(NamedTuple):
    """One phoneme as eSpeak NG reports it.

    Attributes:
        mnemonic: eSpeak's name of it, after `'` or `,` where it is stressed; one that
            starts with `_` is a pause.
        sample: Where it starts; it lasts until the next one starts.
        position: The index of the first character of its word in the text.
    """

    mnemonic: str
    sample: int
    position: int


class Speech(NamedTuple):
    """Speech of eSpeak NG.

    Attributes:
        waveform: float64 [samples] in [-1, 1] at 22,050 Hz, not trimmed.
        phonemes: In their order in time.
    """

    waveform: np.ndarray
    phonemes: list[SpokenPhoneme]


def speak(
    text: str,
    voice: str,
    rate_wpm: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
) -> Speech:
    """Has eSpeak NG speak a text; the same arguments give the same samples.

    Args:
        text: What is spoken.
        voice: An eSpeak voice, with a variant after a plus: `"en-us+f3"`.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 to 99, relative to the voice's own pitch; 50 leaves it alone.
        pitch_range: 0 (monotonous) to 99; 50 leaves the voice alone.

    Raises:
        SpecError: eSpeak NG has no such voice or variant.
    """
    chunks = [b""]
    phonemes: list[SpokenPhoneme] = []
    word = 0

    @_SYNTH_CALLBACK
    def collect(samples: Any, count: int, events: Any) -> int:
        nonlocal word
        if samples and count > 0:
            chunks.append(ctypes.string_at(samples, 2 * count))
        for event in events:
            if event.type == _LIST_TERMINATED:
                break
            if event.type == _WORD:
                word = event.text_position - 1
            if event.type == _PHONEME:
                name = event.id.string.decode()
                phonemes.append(SpokenPhoneme(name, event.sample, word))
        return 0

    with _lock, _fresh_library() as library:
        library.espeak_SetSynthCallback(collect)
        _set_voice(library, voice)
        for parameter, value in (
            (_RATE, rate_wpm),
            (_VOLUME, 100),
            (_PITCH, pitch),
            (_RANGE, pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode() + b"\0"
        library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, _CHARACTER, 0, _UTF8, None, None
        )
    return Speech(np.frombuffer(b"".join(chunks), np.int16) / 2.0**15, phonemes)


@contextlib.contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """Loads eSpeak NG in its initial state, and unloads it."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    try:
        data = bytes(_flat_data())
        options = _DO_NOT_EXIT | _PHONEME_EVENTS
        rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data, options)
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
