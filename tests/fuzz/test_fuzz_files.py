"""Mutated files: whatever they hold, they are read, or refused with one error."""

import io
import json

import hypothesis
import numpy as np
import pytest
import soundfile
from fuzzing import bounded, mutated_bytes, mutated_json, outcome

from tfspeech.audio.decode import read_audio
from tfspeech.data.corpora import load_corpus
from tfspeech.data.textgrid import Interval, read_textgrid, write_textgrid
from tfspeech.errors import AudioError, CorpusError, TfspeechError
from tfspeech.tasks.registry import MODELS, default_config
from tfspeech.tasks.runs import read_config


def audio_contents():
    """A short file of every format."""
    tone = 0.3 * np.sin(np.arange(800))
    formats = [("WAV", each) for each in ("PCM_16", "PCM_24", "FLOAT", "PCM_U8")]
    formats += [
        ("WAVEX", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", None),
    ]
    found = []
    for kind, subtype in formats:
        file = io.BytesIO()
        soundfile.write(file, tone, 8000, format=kind, subtype=subtype)
        found.append(file.getvalue())
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@hypothesis.given(contents=mutated_bytes(audio_contents()))
@bounded
def test_audio(contents, folder):
    path = folder / "x.wav"
    path.write_bytes(contents)
    found, refusal = outcome(AudioError, read_audio, path)
    if found is None:
        assert str(path) in refusal
    else:
        samples, rate_hz = found
        assert samples.ndim == 1
        assert np.isfinite(samples).all()
        assert rate_hz > 0


def textgrid_contents(folder):
    path = folder / "seed.TextGrid"
    phones = [Interval(0.0, 0.2, "a"), Interval(0.25, 0.5, 'b"c')]
    write_textgrid(path, {"words": phones[:1], "phones": phones}, 0.5)
    return path.read_bytes()


@hypothesis.given(data=hypothesis.strategies.data())
@bounded
def test_textgrids(data, folder):
    path = folder / "x.TextGrid"
    path.write_bytes(data.draw(mutated_bytes([textgrid_contents(folder)])))
    tiers, refusal = outcome(CorpusError, read_textgrid, path)
    if tiers is None:
        assert str(path) in refusal
    else:
        for intervals in tiers.values():
            assert all(each.start_s <= each.end_s for each in intervals)


TABLES = {
    ".csv": b'path,text,speaker,split\na.wav,one,ann,train\nb.wav,"t,wo",bob,test\n',
    ".tsv": b"path\ttext\na.wav\tone\nb.wav\ttwo\n",
    ".jsonl": b'{"path": "a.wav", "text": "one"}\n{"path": "b.wav", "text": "two"}\n',
}


@pytest.mark.parametrize("suffix", TABLES)
@hypothesis.given(data=hypothesis.strategies.data())
@bounded
def test_manifests(suffix, data, folder):
    path = folder / f"x{suffix}"
    path.write_bytes(data.draw(mutated_bytes([TABLES[suffix]])))
    check_manifest(path)


@hypothesis.given(row=mutated_json([{"path": "a", "text": "b", "split": "train"}]))
@bounded
def test_rows_of_manifests(row, folder):
    path = folder / "row.jsonl"
    path.write_text(json.dumps(row))
    check_manifest(path)


def check_manifest(path):
    corpus, refusal = outcome(CorpusError, load_corpus, f"manifest:{path}")
    assert str(path) in refusal if corpus is None else corpus.utterances


CONFIGS = [json.loads(default_config(model).to_json()) for model in MODELS]


@hypothesis.given(config=mutated_json(CONFIGS))
@bounded
def test_configurations(config, folder):
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    found, refusal = outcome(TfspeechError, read_config, path)
    assert refusal if found is None else found.model in MODELS
