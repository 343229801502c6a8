"""The binding to SVOX Pico, whose library and six voices `py_nanotts` ships.

The library reads memory before it has written to it, so that the same word sounds a
little different from call to call. Memory that the C library hands out during a call is
therefore filled with zeros, which gives the same samples in any order and process. And
it exports functions under names that TensorFlow exports, too (those of Ooura's FFT), in
place of which it would call TensorFlow's, and crash: it is bound to its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from tfspeech.errors import SpecError

NATIVE_RATE_HZ = 16000
VOICES = ("de-DE", "en-GB", "en-US", "es-ES", "fr-FR", "it-IT")

# Constants of malloc.h: memory is filled with the complement of the parameter.
_M_PERTURB, _ZEROS, _AS_IT_IS = -6, 0xFF, 0
# Pico would take tags in angle brackets as commands.
_SPEAKABLE = re.compile(r"[^\W_]+(?:[ '-]+[^\W_]+)*")

_lock = threading.Lock()


def speak(text: str, voice: str, speed: float = 1.0, pitch: float = 1.0) -> np.ndarray:
    """Has Pico speak a text; the same arguments give the same samples.

    Args:
        text: Words of letters and digits.
        voice: One of `VOICES`, a language; each has one speaker.
        speed: 0.2 to 5, relative to the voice's own.
        pitch: 0.5 to 2, relative to the voice's own.

    Returns:
        float64 [samples] in [-1, 1] at 16,000 Hz, not trimmed.

    Raises:
        SpecError: Pico has no such voice, or the text has something besides words.
    """
    if voice not in VOICES:
        raise SpecError(
            f"Pico has no voice {voice!r}; its voices are {', '.join(VOICES)}"
        )
    if not _SPEAKABLE.fullmatch(text):
        raise SpecError(f"Pico speaks words of letters alone. Received: {text!r}")
    with _lock, _zeroed_memory():
        samples = _library().NanoTTS().speak(text, voice, speed, pitch)
    return np.frombuffer(samples, np.int16) / 2.0**15


@functools.cache
def _library() -> ModuleType:
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | getattr(os, "RTLD_DEEPBIND", 0))
    try:
        return importlib.import_module("py_nanotts")
    finally:
        sys.setdlopenflags(flags)


@contextlib.contextmanager
def _zeroed_memory() -> Iterator[None]:
    """Has `malloc` return zeros; C libraries without `mallopt` are left alone."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", lambda name, value: None)
    set_option(_M_PERTURB, _ZEROS)
    try:
        yield
    finally:
        set_option(_M_PERTURB, _AS_IT_IS)
