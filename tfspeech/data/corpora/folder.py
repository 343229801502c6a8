"""One folder per word, as in Speech Commands.

P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition",
https://arxiv.org/abs/1804.03209.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tfspeech.data.corpora.files import AUDIO_SUFFIXES, audio_files
from tfspeech.data.manifest import Corpus, Utterance, hold_out
from tfspeech.errors import CorpusError
from tfspeech.files import read_file

_LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}
_NOISE_FOLDER = "_background_noise_"
_SPEAKER_END = "_nohash_"


def load(path: Path) -> Corpus:
    """Reads `WORD/FILE`, where FILE may be `{speaker}_nohash_{index}.wav`.

    `validation_list.txt` and `testing_list.txt` name the files of those splits.
    Without them, the hash rule of Speech Commands sends about a tenth of the
    speakers (of the file names, where speakers are unknown) to either split. What is
    in `_background_noise_` becomes the corpus's noises.

    Args:
        path: The folder that holds the folders.

    Raises:
        CorpusError: There is no audio file in any folder, or a list is no text.
    """
    folders = sorted(path.iterdir()) if path.is_dir() else []
    words = [
        folder
        for folder in folders
        if folder.is_dir()
        and folder.name != _NOISE_FOLDER
        and not folder.name.startswith(".")
    ]
    files = [file for word in words for file in audio_files(word)]
    if not files:
        raise CorpusError(
            f"{path} holds no folder with audio files ({', '.join(AUDIO_SUFFIXES)}); "
            "give the folder that holds one folder per word"
        )
    listed = _read_lists(path)
    utterances = tuple(_utterance(file, listed) for file in files)
    for split in _LISTS:
        if not listed and split not in {each.split for each in utterances}:
            utterances = hold_out(utterances, split, 0.1)
    noises = path / _NOISE_FOLDER
    return Corpus(
        f"folder:{path}",
        utterances,
        tuple(audio_files(noises)) if noises.is_dir() else (),
    )


def _read_lists(path: Path) -> dict[str, str]:
    """Returns the split of each listed `WORD/FILE`; empty where there is no list."""
    listed = {}
    for split, name in _LISTS.items():
        if not (path / name).exists():
            continue
        try:
            lines = read_file(path / name).decode().splitlines()
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path / name} is no text in UTF-8: {error}") from error
        listed.update((line.strip(), split) for line in lines)
    return listed


def _utterance(file: Path, listed: dict[str, str]) -> Utterance:
    speaker, known, _ = file.stem.partition(_SPEAKER_END)
    word = file.parent.name
    if listed:
        split = listed.get(f"{word}/{file.name}", "train")
    else:
        split = _hashed_split(speaker if known else file.name)
    return Utterance(file, word, speaker if known else "", split)


def _hashed_split(name: str) -> str:
    """The rule in the README of Speech Commands, at 10 % for either split."""
    buckets = 2**27 - 1
    digest = hashlib.sha1(os.fsencode(name), usedforsecurity=False).hexdigest()
    percent = int(digest, 16) % (buckets + 1) * (100.0 / buckets)
    if percent < 10.0:
        return "validation"
    return "test" if percent < 20.0 else "train"
