"""A model on a server, called like a local one."""

from __future__ import annotations

import functools
import itertools
import random
import re
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from models.config import Bounds, between, is_number
from tfspeech.audio.decode import read_audio
from tfspeech.audio.encode import encode_wav
from tfspeech.errors import ServerError, SpecError
from tfspeech.files import read_file
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

TIMEOUT_S = between(0.001, 86400)
RETRIES = Bounds("a whole number up to 100", lambda x: 0 <= x <= 100 and x == int(x))
VERSION = Bounds("a whole number below 2^63", lambda x: 0 <= x < 2**63 and x == int(x))
MAX_ANSWER_BYTES = 2**27

_FIRST_WAIT_S = 0.1
_SHORTEST_S = 0.001  # A wait may last longer than it was told to.
# How the operation Assert reports: a reason, and from `tf.debugging` a condition.
_FAILED = "assertion failed: ["
_CONDITION = re.compile("Condition .* did not hold")
_TRANSCRIBE = "transcribe_bytes"
_STREAM, _PAST = "stream", "past"
_SYNTHESIZE, _PHONEMES = "synthesize", "synthesize_phonemes"
_SYMBOL_TABLE, _LIMITS = "symbol_table", "limits"
# Of the outputs that are read here, NumPy's kinds of type, and the number of axes.
_FORMS = {
    "transcript": ("O", 1),
    "confidence": ("f", 1),
    "label": ("O", 1),
    "labels": ("O", 2),
    "scores": ("f", 2),
    "error": ("O", 1),
    "past": ("f", 2),
    "waveform": ("f", 2),
    "waveform_length": ("iu", 1),
    "sample_rate_hz": ("iu", 1),
    "stopped": ("b", 1),
    "symbol_names": ("O", 2),
}
_MAX_RATE_HZ = 384000
_UNKNOWN = "unknown"  # What a recogniser says of a word that is none of its labels.
_ABOUT_1 = 1.001  # A sum of probabilities, with what was rounded.


class Word(NamedTuple):
    """A word that was recognised.

    Attributes:
        label: The most probable word, or "unknown" where the model finds that too
            improbable; empty where there is an error.
        scores: Word -> probability.
        error: Why the model could not answer for this file; empty where it did.
    """

    label: str
    scores: dict[str, float]
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns `label`, `probability` and `scores`."""
        probability = max(self.scores.values())
        return {"label": self.label, "probability": probability, "scores": self.scores}


class Text(NamedTuple):
    """A text that was recognised.

    Attributes:
        text: What is said; empty where there is an error, too.
        confidence: The probability of exactly this text.
        error: Why the model could not answer for this file; empty where it did.
    """

    text: str
    confidence: float
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns `text` and `confidence`."""
        return {"text": self.text, "confidence": self.confidence}


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
        timeout_s: How long a call may take with all that is sent again.
        retries: How often a request is sent again at most.
        max_answer_bytes: The longest answer that is read. Over REST an utterance of a
            second has about 1 MB, over gRPC a tenth.

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
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        for what, value, within in (
            ("timeout in seconds", timeout_s, TIMEOUT_S),
            ("number of retries", retries, RETRIES),
            ("version", 0 if version is None else version, VERSION),
        ):
            if not (is_number(value) and within.hold(value)):
                raise SpecError(
                    f"the {what} must be {within.wanted}. Received: {value}"
                )
        if not name or not name.isprintable():
            raise SpecError(f"a model's name must be printable. Received: {name!r}")
        self.url = url
        self.name = name
        self._transport = _connect(url)(url, name, version, max_answer_bytes)
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
        row = {"row": np.zeros(1, np.int32)}
        answer = self._predict_known(_SYMBOL_TABLE, row, ("symbol_names",))
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
        valid = (
            a.ndim == 1
            and a.dtype.kind in "iuf"
            and np.isfinite(a).all()
            and (a > 0).all()
            for a in answer.values()
        )
        self._require(all(valid), "a number above 0 for each limit")
        return {name: value.item() for name, (value,) in answer.items()}

    @property
    def recognizes(self) -> bool:
        """True for models that take audio and say which words were spoken."""
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
            ServerError: There is no such signature or output, no answer, or none that
                can be read, or the model refuses the inputs.
        """
        signature = self._signature(signature_name)
        rows = _count_rows(signature, inputs)
        wanted = tuple(outputs) or tuple(signature.outputs)
        missing = [name for name in wanted if name not in signature.outputs]
        if missing:
            raise ServerError(
                f"{self._full_name}: {signature_name} has no output {missing[0]}"
            )
        predict = functools.partial(self._transport.predict, signature, inputs, wanted)
        answer = self._call(predict)
        for name, array in answer.items():
            self._require(array.shape[:1] == (rows,), f"{name} for each of {rows} rows")
        return answer

    def transcribe(self, contents: Sequence[bytes]) -> list[Word] | list[Text]:
        """Recognises what is said in wav files, in one request.

        Args:
            contents: Complete files; see `wav_contents` for other formats.

        Returns:
            Per file a word, or a text if the model knows connected speech. A file with
            samples that are not finite has an `error`, unless it is alone.

        Raises:
            ServerError: See `predict`.
        """
        if "transcript" in self._signature(_TRANSCRIBE).outputs:
            return self._transcribe_texts(contents)
        wanted = ("label", "labels", "scores", "error")
        answer = self._predict_known(_TRANSCRIBE, {"audio_bytes": contents}, wanted)
        label, labels, scores, errors = (answer[name] for name in wanted)
        self._require(labels.shape == scores.shape, "as many scores as labels")
        known = (label[:, np.newaxis] == labels).any(1)
        known |= (label == _UNKNOWN) | (errors != "")
        self._require(known.all(), "a known label")
        self._require(np.isfinite(scores).all(), "finite scores")
        return [
            Word(each, dict(zip(names, values.tolist(), strict=True)), error)
            for each, names, values, error in zip(
                label, labels, scores, errors, strict=True
            )
        ]

    def _transcribe_texts(self, contents: Sequence[bytes]) -> list[Text]:
        wanted = ("transcript", "confidence", "error")
        answer = self._predict_known(_TRANSCRIBE, {"audio_bytes": contents}, wanted)
        confidences = answer["confidence"]
        valid = (confidences >= 0) & (confidences <= _ABOUT_1)
        self._require(valid.all(), "a confidence from 0 to 1")
        rows = zip(*(answer[name].tolist() for name in wanted), strict=True)
        return [Text(*row) for row in rows]

    def transcribe_stream(self, chunks: Iterable[np.ndarray]) -> Iterator[str]:
        """Recognises what is said while it is said, in a request for every chunk.

        Args:
            chunks: float32 [samples] in [-1, 1] at the rate of the model, of any size.

        Yields:
            The text that each chunk adds, often none, and behind the last chunk what is
            left; joined they are the transcript, but for spaces at its ends.

        Raises:
            ServerError: See `predict`; or the model needs to hear the whole.
        """
        if _PAST not in self._signature(_STREAM).inputs:
            raise ServerError(f"{self._full_name} recognises no speech in chunks")
        past = np.zeros((1, 1), np.float32)
        ended = [(np.zeros(0, np.float32), True)]
        for samples, is_last in itertools.chain(((c, False) for c in chunks), ended):
            inputs = {
                "waveform": samples[np.newaxis],
                "waveform_length": np.array([len(samples)], np.int32),
                "is_last": np.array([is_last]),
                _PAST: past,
            }
            answer = self._predict_known(_STREAM, inputs, ("transcript", _PAST))
            past = answer[_PAST]
            yield answer["transcript"][0]

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
        known = [key for key in wanted if key in (*signature.outputs, *wanted[:3])]
        answer = {"stopped": [True] * len(texts)}
        answer |= self._predict_known(name, inputs, known)
        lengths, rates_hz = answer["waveform_length"], answer["sample_rate_hz"]
        samples = answer["waveform"].shape[1]
        self._require(
            ((lengths >= 0) & (lengths <= samples)).all(), f"a length up to {samples}"
        )
        self._require(
            ((rates_hz > 0) & (rates_hz <= _MAX_RATE_HZ)).all(),
            f"a rate up to {_MAX_RATE_HZ} Hz",
        )
        self._require(np.isfinite(answer["waveform"]).all(), "finite samples")
        rows = zip(*(answer[key] for key in wanted), strict=True)
        return [
            Speech(waveform[:length], int(rate_hz), bool(stopped))
            for waveform, length, rate_hz, stopped in rows
        ]

    def _predict_known(
        self, signature_name: str, inputs: Inputs, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Calls a signature for outputs in `_FORMS`, which are to have their form."""
        answer = self.predict(signature_name, inputs, outputs)
        for name, array in answer.items():
            kinds, axes = _FORMS[name]
            valid = array.dtype.kind in kinds and array.ndim == axes
            self._require(valid, f"{name} of another type or shape")
        return answer

    def _require(self, valid: bool, wanted: str) -> None:
        if not valid:
            raise ServerError(
                f"{self._full_name} sent an answer that makes no sense: it should have "
                f"{wanted}; check what is served there"
            )

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


def _count_rows(signature: Signature, inputs: Inputs) -> int:
    """Returns the rows of a batch, which is as the signature wants it."""
    wanted, given = ", ".join(sorted(signature.inputs)), ", ".join(sorted(inputs))
    if wanted != given:
        raise SpecError(f"{signature.name} takes {wanted}. Received: {given}")
    rows = {key: len(value) for key, value in inputs.items()}
    if len(set(rows.values())) > 1:
        raise SpecError(f"all inputs must have as many rows. Received: {rows}")
    return next(iter(rows.values()), 0)


def wav_contents(path: Path) -> bytes:
    """Reads an audio file for `RemoteModel.transcribe`.

    Args:
        path: A wav file, which is taken as it is, or flac, ogg (Vorbis) or mp3, which
            becomes 16-bit wav of the same rate.

    Raises:
        AudioError: It is no such file.
        OSError: It cannot be read.
    """
    contents = read_file(path)
    if contents.startswith(b"RIFF"):
        return contents
    return encode_wav(*read_audio(path))


def _connect(url: str) -> Callable[[str, str, int | None, int], Transport]:
    """Returns the transport of a URL's protocol."""
    try:
        parts = urllib.parse.urlsplit(url)
        plain = url.isascii() and url.isprintable() and " " not in url
        if plain and parts.hostname and not set(url) & set("?#@\\"):
            parts.hostname.encode("idna")
            if parts.scheme in ("http", "https") and parts.port != 0:
                return RestTransport
            if parts.scheme == "grpc" and parts.port and parts.path in ("", "/"):
                return GrpcTransport
    except ValueError:
        pass  # The port is no number, or the host no name.
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
