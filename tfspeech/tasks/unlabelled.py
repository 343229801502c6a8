"""Texts without recordings and recordings without texts, which a teacher completes."""

from __future__ import annotations

import dataclasses

from tfspeech.console import progress, say
from tfspeech.data.manifest import WITHOUT_TEXT
from tfspeech.errors import CorpusError, SpecError
from tfspeech.tasks.pinned import pin_file, pinned_path
from tfspeech.tasks.recognition import RecognizerData, RecognizerDataConfig
from tfspeech.tasks.runs import load_task
from tfspeech.tasks.spoken_texts import with_spoken_texts
from tfspeech.tasks.task import Data, RunConfig


def pin_unlabelled(config: RunConfig) -> RunConfig:
    """Pins the unlabelled text of a configuration, if it has one.

    Recordings are not pinned, as those of the corpus are not.

    Raises:
        RunError: The text is another than before; see `pin_file`.
        SpecError: There is no teacher to complete what is unlabelled.
        OSError: The text cannot be read.
    """
    name = getattr(config.data, "unlabelled", "")
    if not name:
        return config
    if not config.training.teacher:
        raise SpecError("--unlabelled needs a teacher: give --teacher, too")
    if isinstance(config.data, RecognizerDataConfig):
        return config
    data = dataclasses.replace(config.data, unlabelled=pin_file(name, "text"))
    return dataclasses.replace(config, data=data)


def with_taught_examples(config: RunConfig, data: Data) -> Data:
    """The data of a training run, with what its teacher completes.

    Raises:
        RunError: The teacher cannot be read.
        CorpusError: It makes out nothing in any of the recordings.
        SpecError, TextError: As of `with_spoken_texts`.
    """
    if not getattr(config.data, "unlabelled", ""):
        return data
    if isinstance(data, RecognizerData):
        return _with_transcripts(config, data)
    return with_spoken_texts(config, data)


def _with_transcripts(config: RunConfig, data: RecognizerData) -> RecognizerData:
    """Adds the recordings without texts to the training split.

    Their texts are those that the teacher makes out; where it makes out none, the
    recording is left out. Source: Kahn, Lee and Hannun 2020, "Self-training for
    end-to-end speech recognition" (arXiv 1909.09116).
    """
    run_dir = pinned_path(config.training.teacher)
    _, teacher = load_task(run_dir)
    places = data.corpus.indices(WITHOUT_TEXT).tolist()
    texts = {}
    with progress(len(places), "Transcribing", "recording") as bar:
        for place in places:
            text = teacher.text_of(data.store[place], data.store.sample_rate_hz)
            if text:
                texts[place] = text
            bar.update()
    if not texts:
        raise CorpusError(
            f"the teacher {run_dir} makes out nothing in the recordings in "
            f"{config.data.unlabelled}: choose others, or another --teacher"
        )
    say(
        f"{len(texts):,} of {len(places):,} recordings without texts, as the teacher "
        "transcribes them, are mixed into training"
    )
    return data.with_texts(texts)
