"""A model on a server, called like a local one."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfspeech.audio.decode import read_audio
from tfspeech.audio.encode import encode_wav
from tfspeech.errors import ServerError
from tfspeech.files import read_file
from tfspeech.serving.client.answers import Speech, Text, Word
from tfspeech.serving.client.connection import Connection
from tfspeech.serving.client.transport import Inputs, Signature
from tfspeech.tasks.conditions import CONDITIONS, complete_conditions
from tfspeech.tasks.speech.phrases import encode_phrases, spread_prosody
from tfspeech.tasks.speech.ssml import parse_documents
from tfspeech.text.front_end import TextConfig, TextFrontEnd, pad_symbols
from tfspeech.text.normalize import normalize

_TRANSCRIBE = "transcribe_bytes"
_STREAM, _PAST = "stream", "past"
_SYNTHESIZE, _PHONEMES = "synthesize", "synthesize_phonemes"
_SEGMENTS = "synthesize_segments"
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
_FRONT_END = TextFrontEnd(TextConfig(symbols="phonemes"))


class RemoteModel(Connection):
    """A model of this package on a server; see `Connection`."""

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
        self.require(all(valid), "a number above 0 for each limit")
        return {name: value.item() for name, (value,) in answer.items()}

    @property
    def recognizes(self) -> bool:
        """True for models that take audio and say which words were spoken."""
        return _TRANSCRIBE in self.signatures

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
        if "transcript" in self.signature(_TRANSCRIBE).outputs:
            return self._transcribe_texts(contents)
        wanted = ("label", "labels", "scores", "error")
        answer = self._predict_known(_TRANSCRIBE, {"audio_bytes": contents}, wanted)
        label, labels, scores, errors = (answer[name] for name in wanted)
        self.require(labels.shape == scores.shape, "as many scores as labels")
        known = (label[:, np.newaxis] == labels).any(1)
        known |= (label == _UNKNOWN) | (errors != "")
        self.require(known.all(), "a known label")
        self.require(np.isfinite(scores).all(), "finite scores")
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
        self.require(valid.all(), "a confidence from 0 to 1")
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
        if _PAST not in self.signature(_STREAM).inputs:
            raise ServerError(
                f"{self.full_name} recognises no speech in chunks; serve a recogniser "
                "that was trained with --causal"
            )
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
        signature = self.signature(name)
        known = [c for c in CONDITIONS if c.name in signature.inputs]
        values = complete_conditions(self.full_name, known, conditions)
        inputs: dict[str, Any] = {
            key: np.full(len(texts), value, np.float32) for key, value in values.items()
        }
        if name == _PHONEMES:
            inputs |= self._encode_phonemes(texts)
        else:
            inputs["text"] = [normalize(text) for text in texts]
        return self._predict_speech(signature, inputs)

    def synthesize_ssml(
        self, documents: Sequence[str], **conditions: float
    ) -> Iterator[Speech]:
        """Speaks documents of SSML, one after the other; see `parse_documents`.

        Args:
            documents: The documents, which are read here.
            **conditions: Of `CONDITIONS`, which the documents change; see `synthesize`.

        Yields:
            What is between two breaks, with the silence after it, in a request each.

        Raises:
            TextError: A document is no such SSML, or has a symbol that is unknown.
            SpecError: The model does not have one of the conditions.
            ServerError: See `predict`; or the model cannot change its prosody by the
                word, or lacks a phoneme.
        """
        if _SEGMENTS not in self.signatures:
            raise ServerError(
                f"{self.full_name} speaks no SSML: it has no prosody that could be "
                "changed by the word; serve a synthesiser with durations, exported by "
                "the client's version of tfspeech"
            )
        signature = self.signature(_SEGMENTS)
        known = [c for c in CONDITIONS if c.symbol_spec.name in signature.inputs]
        usual = complete_conditions(self.full_name, known, conditions)
        names = {condition.name: condition.symbol_spec.name for condition in known}
        for utterance, last in parse_documents(documents, usual):
            symbols, places = encode_phrases(_FRONT_END, utterance.phrases)
            text = " ".join(phrase.text for phrase in utterance.phrases)
            inputs = self._batch_symbols([self._own_symbols(symbols, text)])
            prosody = spread_prosody(utterance.phrases, places)
            inputs |= {names[key]: value[np.newaxis] for key, value in prosody.items()}
            (speech,) = self._predict_speech(signature, inputs)
            around = utterance.with_silences(speech.waveform, speech.sample_rate_hz)
            yield speech._replace(waveform=around, last=last)

    def _predict_speech(self, signature: Signature, inputs: Inputs) -> list[Speech]:
        """Calls a signature that speaks; the answer makes sense."""
        wanted = ("waveform", "waveform_length", "sample_rate_hz", "stopped")
        known = [key for key in wanted if key in (*signature.outputs, *wanted[:3])]
        answer = self._predict_known(signature.name, inputs, known)
        lengths, rates_hz = answer["waveform_length"], answer["sample_rate_hz"]
        answer = {"stopped": [True] * len(lengths)} | answer
        samples = answer["waveform"].shape[1]
        self.require(
            ((lengths >= 0) & (lengths <= samples)).all(), f"a length up to {samples}"
        )
        self.require(
            ((rates_hz > 0) & (rates_hz <= _MAX_RATE_HZ)).all(),
            f"a rate up to {_MAX_RATE_HZ} Hz",
        )
        self.require(np.isfinite(answer["waveform"]).all(), "finite samples")
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
            self.require(valid, f"{name} of another type or shape")
        return answer

    def _encode_phonemes(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the symbols of texts, by the model's table, and their numbers."""
        return self._batch_symbols(
            [self._own_symbols(_FRONT_END.encode(text), text) for text in texts]
        )

    def _own_symbols(self, symbols: Iterable[int], text: str) -> list[int]:
        """Returns the model's numbers of the front end's symbols of a text."""
        names = [_FRONT_END.symbols[number] for number in symbols]
        for name in names:
            if name not in self.symbols:
                raise ServerError(
                    f"{self.full_name} has no symbol {name!r}, which the text "
                    f"{text!r} needs: say it in other words, or export the model "
                    "anew by the client's version of tfspeech"
                )
        return [self.symbols[name] for name in names]

    def _batch_symbols(self, encoded: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
        symbols, lengths = pad_symbols(encoded)
        return {"symbols": symbols, "symbols_length": lengths}


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
