"""Recordings that are joined, and the corpus of strings that is made of them."""

import collections
import shutil

import numpy as np
import pytest
import soundfile

from tfspeech.data.corpora import absolute_spec, load_corpus
from tfspeech.data.espeak import SpokenText
from tfspeech.data.joined import JoinedAudio, join
from tfspeech.data.store import prepare
from tfspeech.errors import AudioError, CorpusError, SpecError


def constant(value, samples=100):
    return np.full(samples, value, np.float32)


def test_overlapping_waveforms_are_cross_faded():
    joined = join([constant(1.0), constant(1.0), constant(0.5)], [-20, -40], 4)
    assert len(joined) == 240
    np.testing.assert_allclose(joined[:140], 1.0, atol=1e-6)
    assert (np.diff(joined[140:180]) < 0).all()
    np.testing.assert_allclose(joined[180:], 0.5)


def test_gaps_are_silent_and_begin_and_end_without_a_click():
    joined = join([constant(1.0), constant(1.0)], [30], 10)
    assert len(joined) == 230
    assert not joined[100:130].any()
    np.testing.assert_allclose(joined[90:100], joined[130:140][::-1])
    assert np.abs(np.diff(joined)).max() < 0.11
    np.testing.assert_array_equal(joined[[0, -1]], 1.0)  # As it was recorded.


def test_no_overlap_takes_more_than_half_of_the_shorter():
    assert len(join([constant(1.0), constant(1.0, 10)], [-50], 1)) == 105


@pytest.fixture
def files(tmp_path):
    soundfile.write(tmp_path / "a.wav", constant(0.5, 800), 8000)
    soundfile.write(tmp_path / "b.wav", constant(0.25, 1600), 16000)
    return tmp_path / "a.wav", tmp_path / "b.wav"


def test_parts_are_brought_to_the_rate_of_the_first_and_to_one_gain(files):
    plain, rate_hz = JoinedAudio(files, (50,)).render()
    assert (rate_hz, len(plain)) == (8000, 800 + 400 + 800)
    assert plain[700] == pytest.approx(0.5, abs=1e-3)
    assert plain[1600] == pytest.approx(0.25, abs=0.01)
    louder, _ = JoinedAudio(files, (50,), 3.0).render()
    np.testing.assert_allclose(louder, plain * 10 ** (3 / 20), rtol=1e-5)
    loudest, _ = JoinedAudio(files, (50,), 60.0).render()
    assert np.abs(loudest).max() == pytest.approx(1.0)


def test_a_part_that_cannot_be_read_is_named(files, tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav"):
        JoinedAudio((files[0], tmp_path / "gone.wav"), (0,)).render()


def parts(corpus, split):
    return {p for u in corpus.split(split) for p in u.audio.parts}


def test_strings_are_of_one_speaker_and_of_one_split(tones):
    words = load_corpus(f"folder:{tones}")
    corpus = load_corpus(f"strings:folder:{tones}")
    owners = {u.audio: u for u in words.utterances}
    lengths = collections.Counter()
    for each in corpus.utterances:
        own = [owners[part] for part in each.audio.parts]
        assert {u.speaker for u in own} == {each.speaker}
        assert {u.split for u in own} == {each.split}
        assert " ".join(u.text for u in own) == each.text
        assert len(each.audio.gaps_ms) == len(own) - 1
        assert all(-40 <= gap <= 300 for gap in each.audio.gaps_ms)
        lengths[len(own)] += 1
    assert set(lengths) == set(range(1, 8))
    for split in ("train", "validation", "test"):
        assert parts(corpus, split) == {u.audio for u in words.split(split)}


def test_strings_are_the_same_again_and_use_recordings_alike(tones):
    corpus = load_corpus(f"strings:folder:{tones}")
    assert corpus == load_corpus(f"strings:folder:{tones}")
    uses = collections.Counter(p for u in corpus.split("train") for p in u.audio.parts)
    assert max(uses.values()) < 2 * min(uses.values())


def test_strings_of_speakers_never_heard(tones):
    corpus = load_corpus(f"strings:folder:{tones}", ["s03"])
    assert {u.speaker for u in corpus.split("test")} == {"s03"}
    assert "s03" not in {u.speaker for u in corpus.split("train")}
    assert corpus.split("validation")


def test_strings_of_a_synthetic_corpus_have_one_voice_each():
    corpus = load_corpus("strings:spoken_digits")
    for each in corpus.split("test"):
        assert all(isinstance(part, SpokenText) for part in each.audio.parts)
        assert {part.voice for part in each.audio.parts} == {each.speaker}


def test_the_corpus_inside_is_named_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert absolute_spec("strings:fsdd:x") == f"strings:fsdd:{tmp_path / 'x'}"
    for spec in ("strings:spoken_digits", "strings", "strings:" * 5000):
        assert absolute_spec(spec) == spec


@pytest.mark.parametrize(
    ("spec", "error", "reason"),
    [
        ("strings", SpecError, "is named strings:CORPUS"),
        ("strings:nothing", SpecError, "unknown corpus 'nothing'"),
        ("strings:" * 5000, SpecError, "write strings: once"),
        ("strings:fsdd", SpecError, "is named fsdd:PATH"),
        ("strings:fsdd:/no/such", CorpusError, "/no/such does not exist"),
    ],
)
def test_a_corpus_that_is_none_is_one_error(spec, error, reason):
    with pytest.raises(error, match=reason):
        load_corpus(spec)


def test_the_store_joins_at_the_rate_of_the_recordings(tones):
    corpus = load_corpus(f"strings:folder:{tones}")
    store, report = prepare(corpus, labels=[u.text for u in corpus.utterances])
    assert store.sample_rate_hz == 8000
    assert report.fatal == ()
    wanted, _ = corpus.utterances[3].audio.render()
    np.testing.assert_array_equal(store[3], wanted)


def test_a_changed_recording_changes_the_strings_and_a_missing_one_is_named(
    tones, tmp_path
):
    shutil.copytree(tones, tmp_path / "tones")
    corpus = load_corpus(f"strings:folder:{tmp_path / 'tones'}")
    texts = [u.text for u in corpus.utterances]
    before, _ = prepare(corpus, labels=texts)
    first = corpus.utterances[0].audio.parts[0]
    soundfile.write(first, constant(0.1, 4000), 8000)
    after, _ = prepare(corpus, labels=texts)
    assert after.fingerprint != before.fingerprint
    first.unlink()
    _, report = prepare(corpus, labels=texts)
    assert {(p.kind, p.path) for p in report.fatal} == {("missing", str(first))}
