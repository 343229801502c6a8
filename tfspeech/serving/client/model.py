"""A model on a server, called like a local one."""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import re
import time
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from tfspeech.audio.decode import read_audio
from tfspeech.audio.encode import encode_wav
from tfspeech.errors import ServerError, SpecError
from tfspeech.serving.client.grpc_transport import GrpcTransport
from tfspeech.serving.client.rest_transport import RestTransport
from tfspeech.serving.client.transport import (
    DEADLINE_EXCEEDED,
    NOT_FOUND,
    UNAVAILABLE,
    Inputs,
    Signature,
    StatusError,
    Transport,
)
from tfspeech.tasks.conditions import CONDITIONS, complete_conditions
from tfspeech.text.front_end import TextConfig, TextFrontEnd
from tfspeech.text.normalize import normalize

Answer = TypeVar("Answer")

_FIRST_WAIT_S = 0.1
_SHORTEST_S = 0.001  # A wait may last longer than it was told to.
# How the operation Assert reports: a reason, and from `tf.debugging` a condition.
_FAILED = "assertion failed: ["
_CONDITION = re.compile("Condition .* did not hold")
_TRANSCRIBE = "transcribe_bytes"
_SYNTHESIZE, _PHONEMES = "synthesize", "synthesize_phonemes"
_SYMBOL_TABLE, _LIMITS = "symbol_table", "limits"


class Word(NamedTuple):
    """A word that was recognised.

    Attributes:
        label: The most probable word; empty where there is an error.
        scores: Word -> probability.
        error: Why the model could not answer for this file; empty where it did.
    """

    label: str
    scores: dict[str, float]
    error: str = ""


class Speech(NamedTuple):
    """An utterance that was synthesised.

    Attributes:
        waveform: float32 [samples] in [-1, 1].
        sample_rate_hz: Its rate.
        stopped: Whether the model itself found the end; some always do.
    """

    waveform: np.ndarray
    sample_rate_hz: int
    stopped: bool

    @property
    def length_s(self) -> float:
        """Length of the waveform in seconds."""
        return len(self.waveform) / self.sample_rate_hz


class RemoteModel:
    """A model of a TF Serving; a context manager.

    A request is sent again while the server is UNAVAILABLE, that is not yet or no more
    there, or with too many requests in its queue; never after another error. The waits
    between double, from 0.1 s on, and differ by chance, so that clients do not come
    back all at once.

    Args of the constructor:
        url: `http://host:8501` for REST (or `https`, or with a path before `/v1`),
            `grpc://host:8500` for gRPC.
        name: The model's on the server.
        version: None for the one that the server prefers, the latest by default.
        timeout_s: How long a call may take with all that is sent again. Over REST, how
            long nothing may come.
        retries: How often a request is sent again at most.

    Raises:
        SpecError: The URL is none of these, or a number is out of its range.
    """

    def __init__(
        self,
        url: str,
        name: str,
        version: int | None = None,
        timeout_s: float = 60.0,
        retries: int = 4,
    ) -> None:
        if timeout_s <= 0:
            raise SpecError(f"the timeout must be above 0 s. Received: {timeout_s}")
        if retries < 0:
            raise SpecError(f"retries must not be negative. Received: {retries}")
        self.url = url
        self.name = name
        self._transport = _connect(url, name, version)
        self._timeout_s = timeout_s
        self._retries = retries

    def __enter__(self) -> RemoteModel:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    @functools.cached_property
    def signatures(self) -> dict[str, Signature]:
        """The functions that the model serves, by name; asked for once.

        Raises:
            ServerError: There is no answer, or no such model.
        """
        return self._call(self._transport.signatures)

    @functools.cached_property
    def symbols(self) -> dict[str, int]:
        """The numbers of the model's symbols, by their names; asked for once.

        Raises:
            ServerError: There is no answer, or the model has no `symbol_table`.
        """
        answer = self.predict(_SYMBOL_TABLE, {"row": np.zeros(1, np.int32)})
        return {name: number for number, name in enumerate(answer["symbol_names"][0])}

    @functools.cached_property
    def limits(self) -> dict[str, float]:
        """The limits of a request by name, none if the model tells none; asked once.

        Raises:
            ServerError: There is no answer.
        """
        if _LIMITS not in self.signatures:
            return {}
        answer = self.predict(_LIMITS, {"row": np.zeros(1, np.int32)})
        return {name: value.item() for name, (value,) in answer.items()}

    @property
    def recognizes(self) -> bool:
        """True for models that take audio and name words; see `signatures`."""
        return _TRANSCRIBE in self.signatures

    def predict(
        self,
        signature_name: str,
        inputs: Inputs,
        outputs: Sequence[str] = (),
    ) -> dict[str, np.ndarray]:
        """Calls a signature.

        Args:
            signature_name: One of `signatures`.
            inputs: Name -> batch. What is padded comes with its lengths.
            outputs: Those wanted; none means all.

        Returns:
            Name -> array; strings are `str`, in arrays of objects.

        Raises:
            SpecError: The inputs are not those of the signature, or differ in rows.
            ServerError: There is no such signature, no answer, or the model refuses
                the inputs.
        """
        signature = self._signature(signature_name)
        _check_inputs(signature, inputs)
        wanted = tuple(outputs) or tuple(signature.outputs)
        predict = functools.partial(self._transport.predict, signature, inputs, wanted)
        return self._call(predict)

    def transcribe(self, contents: Sequence[bytes]) -> list[Word]:
        """Recognises one word per wav file, in one request.

        Args:
            contents: Complete files; see `wav_contents` for other formats.

        Returns:
            A word per file. A file with samples that are not finite has an `error`,
            unless it is alone.

        Raises:
            ServerError: See `predict`.
        """
        answer = self.predict(
            _TRANSCRIBE,
            {"audio_bytes": contents},
            ("label", "labels", "scores", "error"),
        )
        rows = (answer[name] for name in ("label", "labels", "scores", "error"))
        return [
            Word(label, dict(zip(labels, scores.tolist(), strict=True)), error)
            for label, labels, scores, error in zip(*rows, strict=True)
        ]

    def synthesize(self, texts: Sequence[str], **conditions: float) -> list[Speech]:
        """Speaks texts, in one request.

        Numbers and abbreviations are written out here. Models that read phonemes get
        those that eSpeak NG has here for the text, by the model's own symbol table.

        Args:
            texts: English.
            **conditions: Of `CONDITIONS`, those that are not to have their default;
                `rate=2` is twice as fast. A model has those that are inputs of its
                signature.

        Raises:
            TextError: A text has a symbol that is unknown, or nothing to say.
            SpecError: The model does not have one of the conditions.
            ServerError: See `predict`; or the model lacks a phoneme.
        """
        front_end = TextFrontEnd()
        for text in texts:
            front_end.encode(text)  # A graph leaves out what it does not know.
        name = _PHONEMES if _PHONEMES in self.signatures else _SYNTHESIZE
        signature = self._signature(name)
        known = [c for c in CONDITIONS if c.name in signature.inputs]
        values = complete_conditions(self._full_name, known, conditions)
        inputs: dict[str, Any] = {
            key: np.full(len(texts), value, np.float32) for key, value in values.items()
        }
        if name == _PHONEMES:
            inputs |= self._encode_phonemes(texts)
        else:
            inputs["text"] = [normalize(text) for text in texts]
        wanted = ("waveform", "waveform_length", "sample_rate_hz", "stopped")
        known = [key for key in wanted if key in signature.outputs]
        answer = {"stopped": [True] * len(texts)} | self.predict(name, inputs, known)
        rows = zip(*(answer[key] for key in wanted), strict=True)
        return [
            Speech(waveform[:length], int(rate_hz), bool(stopped))
            for waveform, length, rate_hz, stopped in rows
        ]

    def _encode_phonemes(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the symbols of texts, by the model's table, and their numbers."""
        front_end = TextFrontEnd(TextConfig(symbols="phonemes"))
        encoded = []
        for text in texts:
            names = [front_end.symbols[number] for number in front_end.encode(text)]
            for name in names:
                if name not in self.symbols:
                    raise ServerError(
                        f"{self._full_name} has no symbol {name!r}, which the text "
                        f"{text!r} needs: say it in other words, or export the model "
                        "anew by the client's version of tfspeech"
                    )
            encoded.append([self.symbols[name] for name in names])
        ragged = tf.ragged.constant(encoded, tf.int32, row_splits_dtype=tf.int32)
        return {
            "symbols": ragged.to_tensor().numpy(),
            "symbols_length": ragged.row_lengths().numpy(),
        }

    @property
    def _full_name(self) -> str:
        """Name and address, for errors."""
        return f"{self.name} at {self.url}"

    def _signature(self, name: str) -> Signature:
        if name not in self.signatures:
            raise ServerError(
                f"{self._full_name} has no signature {name}; it has "
                f"{', '.join(sorted(self.signatures))}"
            )
        return self.signatures[name]

    def _call(self, send: Callable[[float], Answer]) -> Answer:
        """Sends a request, again while the server is unavailable."""
        deadline = time.monotonic() + self._timeout_s
        left, wait_s = self._retries, _FIRST_WAIT_S
        while True:
            try:
                return send(max(deadline - time.monotonic(), _SHORTEST_S))
            except StatusError as error:
                pause_s = wait_s * random.uniform(0.8, 1.2)  # noqa: S311 -- No secret.
                too_late = time.monotonic() + pause_s >= deadline
                if error.code != UNAVAILABLE or too_late or not left:
                    raise self._explained(error) from error
            time.sleep(pause_s)
            left, wait_s = left - 1, wait_s * 2

    def _explained(self, error: StatusError) -> ServerError:
        """Adds to an error what was asked for and what helps."""
        reason = _reason(error.message)
        if error.code == UNAVAILABLE:
            return ServerError(
                f"no server is available at {self.url} ({reason}): start it or check "
                "the URL; by default REST is at port 8501 and gRPC at 8500"
            )
        if error.code == DEADLINE_EXCEEDED:
            return ServerError(
                f"{self.url} did not answer within {self._timeout_s:g} s: allow it "
                "more time, or send less at once"
            )
        if error.code == NOT_FOUND:
            return ServerError(
                f"{self.url} does not serve {self.name} ({reason}): check the name and "
                "the version, and what the server was given to load"
            )
        return ServerError(f"{self._full_name}: {reason} ({error.code})")


def _check_inputs(signature: Signature, inputs: Inputs) -> None:
    wanted, given = ", ".join(sorted(signature.inputs)), ", ".join(sorted(inputs))
    if wanted != given:
        raise SpecError(f"{signature.name} takes {wanted}. Received: {given}")
    rows = {key: len(value) for key, value in inputs.items()}
    if len(set(rows.values())) > 1:
        raise SpecError(f"all inputs must have as many rows. Received: {rows}")


def wav_contents(path: Path) -> bytes:
    """Reads an audio file for `RemoteModel.transcribe`.

    Args:
        path: A wav file, which is taken as it is, or flac, ogg (Vorbis) or mp3, which
            becomes 16-bit wav of the same rate.

    Raises:
        AudioError: It is no such file.
        OSError: It cannot be read.
    """
    contents = path.read_bytes()
    if contents.startswith(b"RIFF"):
        return contents
    return encode_wav(*read_audio(path))


def _connect(url: str, model: str, version: int | None) -> Transport:
    with contextlib.suppress(ValueError):  # The port is no number.
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return RestTransport(url, model, version)
        if parts.scheme == "grpc" and parts.hostname and parts.port:
            return GrpcTransport(parts.netloc, model, version)
    raise SpecError(
        f"the URL must be like http://host:8501 or grpc://host:8500. Received: {url!r}"
    )


def _reason(message: str) -> str:
    """The reason in a server's message, without its position in the graph."""
    line, _, _ = message.partition("\n")
    failed = line.removeprefix(_FAILED)
    if failed == line:
        return line
    parts = failed.removesuffix("]").split("] [")
    return " ".join(itertools.takewhile(lambda part: not _CONDITION.match(part), parts))
