"""The data of speech recognition: a corpus whose texts are what is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

import numpy as np
import tensorflow as tf

from models.config import BELOW_1, option
from models.ctc import required_frames
from tfspeech.audio.features import FeatureConfig
from tfspeech.console import say
from tfspeech.data.checks import (
    LEVELS,
    Problem,
    Report,
    check_splits,
    count_splits,
)
from tfspeech.data.corpora import strings
from tfspeech.data.joined import JoinedAudio, files_of
from tfspeech.data.manifest import Corpus
from tfspeech.data.spoken_words import english_voices, spoken_words
from tfspeech.data.store import prepare
from tfspeech.tasks.recognition import (
    RecognizerData,
    RecognizerDataConfig,
)
from tfspeech.tasks.speech_recognition.transcripts import (
    PADDING,
    Transcriber,
    TranscriptConfig,
    symbols_of,
    transcript,
)

SYNTHETIC_PER_WORD = 300
SYNTHETIC_SEED = 0
_EXCERPT = 40


@dataclasses.dataclass(frozen=True)
class SpeechDataConfig(RecognizerDataConfig):
    """Data."""

    data: str = option(
        "strings:spoken_digits",
        "corpus: strings:CORPUS (such as strings:fsdd:PATH), reader, ljspeech:PATH, "
        "manifest:FILE, or package.module:FUNCTION, which returns a corpus",
        metavar="CORPUS[:PATH]",
    )
    synthetic_share: float = option(
        0.33,
        "share of an epoch that is drawn from strings of synthetic voices, by eSpeak "
        "NG, where the corpus has strings of recordings; 0 for none",
        BELOW_1,
    )

    def of_corpus(self, spec: str) -> Self:
        """Returns what holds for another corpus, which gets no synthetic voices."""
        return dataclasses.replace(super().of_corpus(spec), synthetic_share=0.0)


class SpeechData(RecognizerData):
    """A checked corpus whose texts are what is said.

    Args of the constructor:
        data: The corpus.
        features: Its `sample_rate_hz` may be 0, for that of the corpus.
        config: Of the transcripts.
        output_lengths: Frames of features -> frames that a model classifies, of arrays.
        symbols: Those of a trained model; by default those of the training split.
        split: Check this split alone, for an evaluation.

    Attributes:
        transcripts: What is said in each utterance.
        transcriber: Of the symbols.
        report: What the check of the corpus found.

    Raises:
        CorpusError: The corpus cannot be read or used.
    """

    evaluation_batch_size = 64

    def __init__(
        self,
        data: SpeechDataConfig,
        features: FeatureConfig,
        config: TranscriptConfig,
        output_lengths: Callable[[np.ndarray], np.ndarray],
        symbols: Sequence[str] = (),
        split: str | None = None,
    ) -> None:
        own = data.load(split)
        corpus = add_synthetic_strings(own) if data.synthetic_share else own
        super().__init__(own, corpus, data.synthetic_share)
        if self.synthetic and split is None:
            say(
                f"{self.synthetic:,} strings of synthetic voices are mixed into "
                f"training, {data.synthetic_share:.0%} of every epoch "
                "(--synthetic-share)"
            )
        texts = [each.text for each in self.corpus.utterances]
        self.transcripts = [transcript(config, text) for text in texts]
        if not symbols:
            places = zip(self.corpus.utterances, self.transcripts, strict=True)
            train = (written for each, written in places if each.split == "train")
            symbols = symbols_of(config, train)
        self.transcriber = Transcriber(config, symbols)
        store, report = prepare(
            self.corpus,
            features.sample_rate_hz,
            max_seconds=data.max_seconds,
            labels=texts,
            split=split,
        )
        self.keep(store, features)
        self.report = self._checked(report, output_lengths, split)

    def with_texts(self, texts: Mapping[int, str]) -> Self:
        """Returns the data with further training utterances; see `RecognizerData`."""
        changed = super().with_texts(texts)
        changed.transcripts = list(self.transcripts)
        for index, text in texts.items():
            changed.transcripts[index] = self.transcriber.write(text)
        return changed

    def targets(self, indices: np.ndarray) -> np.ndarray:
        """The symbols of the utterances at these places; see `Transcriber.encode`."""
        return self.transcriber.encode([self.transcripts[i] for i in indices])

    def references(self, indices: np.ndarray) -> tuple[list[str], list[str], list[str]]:
        """Returns texts, speakers and names of the utterances at these places."""
        chosen = [self.corpus.utterances[i] for i in indices]
        said = [self.transcripts[i] for i in indices]
        return said, [u.speaker for u in chosen], [str(u.audio) for u in chosen]

    def _checked(
        self,
        report: Report,
        output_lengths: Callable[[np.ndarray], np.ndarray],
        split: str | None,
    ) -> Report:
        """Adds to a report what is wrong with splits and transcripts."""
        problems = [*report.problems]
        if split is None:
            problems += check_splits(self.corpus)
        fitting = []
        for index, each in enumerate(self.corpus.utterances):
            if split in (None, each.split) and each.text.strip():
                wrong = [*self._check_symbols(index)]
                problems += wrong
                if not wrong and self.store.lengths[index]:
                    fitting.append(index)
        problems += self._check_lengths(np.array(fitting, int), output_lengths)
        problems.sort(key=lambda each: list(LEVELS).index(each.kind))
        splits = count_splits(self.corpus, self.store.measurements, sentences=True)
        return dataclasses.replace(report, problems=tuple(problems), splits=splits)

    def _check_symbols(self, index: int) -> Iterator[Problem]:
        audio, excerpt = self._name(index)
        written = self.transcripts[index]
        unknown = self.transcriber.unknown(written)
        if not written:
            yield Problem("no words", audio, f"its text is {excerpt}")
        elif unknown:
            message = f"{', '.join(unknown)} in {excerpt}: no training text has it"
            yield Problem("unknown symbol", audio, message)

    def _check_lengths(
        self, indices: np.ndarray, output_lengths: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[Problem]:
        symbols = tf.constant(self.targets(indices))
        needed = required_frames(symbols, symbol_counts(symbols)).numpy()
        frames = 1 + self.store.lengths[indices] // self.features.hop_length
        found = output_lengths(frames)
        for place in np.flatnonzero(needed > found):
            audio, excerpt = self._name(indices[place])
            message = (
                f"the model has {found[place]} frames, the symbols of {excerpt} need "
                f"{needed[place]}: mend the text, or have smaller --conv-strides"
            )
            yield Problem("text longer than audio", audio, message)

    def _name(self, index: int) -> tuple[str, str]:
        """The audio of an utterance and the beginning of its text, for messages."""
        utterance = self.corpus.utterances[index]
        return str(utterance.audio), repr(utterance.text[:_EXCERPT])


def add_synthetic_strings(corpus: Corpus) -> Corpus:
    """Adds strings of synthetic voices to the training split of strings of recordings.

    Other corpora stay as they are: the words of sentences are not said one by one.
    """
    train = corpus.split("train")
    if not any(isinstance(u.audio, JoinedAudio) and files_of(u.audio) for u in train):
        return corpus
    words = sorted({word for each in train for word in each.text.split()})
    spoken = spoken_words(
        words, english_voices(), SYNTHETIC_PER_WORD, SYNTHETIC_SEED, "train"
    )
    joined = strings.load(Corpus("synthetic", spoken))
    return dataclasses.replace(corpus, utterances=corpus.utterances + joined.utterances)


def symbol_counts(symbols: tf.Tensor) -> tf.Tensor:
    """Returns the symbols of each row that are no `PADDING`, int32 [batch]."""
    return tf.reduce_sum(tf.cast(symbols != PADDING, tf.int32), axis=1)
