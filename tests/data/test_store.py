import errno
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tfspeech.data import cache as cache_module
from tfspeech.data import store as store_module
from tfspeech.data.corpora import load_corpus
from tfspeech.data.espeak import SpokenText
from tfspeech.data.manifest import Corpus, Utterance
from tfspeech.data.store import prepare, usual_rate_hz
from tfspeech.errors import CorpusError, SpecError
from tfspeech.files import cache_folder


def tone(seconds, rate_hz, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def corpus_of(*audio):
    splits = ("train", "validation", "test")
    return Corpus(
        "small",
        tuple(Utterance(a, "x", "", splits[i % 3]) for i, a in enumerate(audio)),
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFSPEECH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files(tmp_path):
    """Three tones: 0.5 s at 8 kHz, 0.25 s at 8 kHz, 1 s at 16 kHz in stereo."""
    soundfile.write(tmp_path / "a.wav", tone(0.5, 8000), 8000)
    soundfile.write(tmp_path / "b.flac", tone(0.25, 8000, 300), 8000)
    stereo = np.stack([tone(1.0, 16000), tone(1.0, 16000)], axis=1)
    soundfile.write(tmp_path / "c.wav", stereo, 16000, subtype="FLOAT")
    return [tmp_path / name for name in ("a.wav", "b.flac", "c.wav")]


def forbid_decoding(monkeypatch):
    def fail(*_):
        raise RuntimeError("decoded again")

    monkeypatch.setattr(store_module, "_decode", fail)


def test_prepare_decodes_and_resamples(files):
    store, report = prepare(corpus_of(*files))
    assert store.sample_rate_hz == 8000
    assert len(store) == 3
    assert store.lengths.tolist() == [4000, 2000, 8000]
    np.testing.assert_allclose(store[0], tone(0.5, 8000), atol=1e-4)
    np.testing.assert_allclose(store[2][100:-100], tone(1, 8000)[100:-100], atol=2e-3)
    np.testing.assert_allclose(store.measurements["seconds"], [0.5, 0.25, 1.0])
    np.testing.assert_allclose(store.measurements["peak"], 0.5, atol=1e-3)
    assert [each.kind for each in report.problems] == ["odd rate"]


def test_decoding_says_how_far_it_is(files, monkeypatch, capsys):
    monkeypatch.setattr(store_module, "_SECONDS_BETWEEN_LINES", -1.0)
    prepare(corpus_of(files[0], SpokenText("one"), files[1]))
    assert capsys.readouterr().err.splitlines() == [
        "decoding utterances of small, once, to the cache: 2 recordings and 1 by "
        "synthetic voices",
        *(f"decoded {count} of 3" for count in (1, 2, 3)),
    ]


def test_batch_is_padded_with_zeros(files):
    store, _ = prepare(corpus_of(*files))
    waveforms, lengths = store.batch([1, 0])
    assert waveforms.dtype == np.float32
    assert lengths.dtype == np.int32
    assert waveforms.shape == (2, 4000)
    assert lengths.tolist() == [2000, 4000]
    np.testing.assert_array_equal(waveforms[0], np.pad(store[1], (0, 2000)))
    np.testing.assert_array_equal(waveforms[1], store[0])


@pytest.mark.parametrize(
    ("rates_hz", "expected_hz"),
    [((8000, 8000, 16000), 8000), ((44100, 22050), 16000), ((11025,), 16000)],
)
def test_the_automatic_rate_keeps_the_band_of_speech(tmp_path, rates_hz, expected_hz):
    paths = [tmp_path / f"{number}.wav" for number in range(len(rates_hz))]
    for path, rate_hz in zip(paths, rates_hz, strict=True):
        soundfile.write(path, tone(0.1, rate_hz), rate_hz)
    assert prepare(corpus_of(*paths))[0].sample_rate_hz == expected_hz


def test_the_usual_rate_is_that_of_most_files(files, tmp_path):
    assert usual_rate_hz(corpus_of(*files)) == 8000
    assert usual_rate_hz(corpus_of(files[2], tmp_path / "missing.wav")) == 16000
    assert usual_rate_hz(corpus_of(SpokenText("one"))) == 22050


def test_sentences_are_checked_as_such(files):
    short = Utterance(files[1], "far too much for a quarter of a second", "", "train")
    corpus = Corpus("small", (short, *corpus_of(*files[::2]).utterances))
    _, report = prepare(corpus, sentences=True)
    assert "text does not fit" in {each.kind for each in report.problems}
    assert "unknown label" not in {each.kind for each in report.problems}


def test_spoken_text_is_rendered_among_files(files):
    spoken = SpokenText("one")
    store, report = prepare(corpus_of(files[0], spoken, files[1]))
    seconds = len(spoken.render()[0]) / 22050
    assert store.sample_rate_hz == 8000
    assert store.lengths[1] == pytest.approx(seconds * 8000, abs=1)
    assert np.abs(store[1]).max() > 0.1
    assert not report.problems
    assert prepare(corpus_of(spoken))[0].sample_rate_hz == 16000


def test_overlong_audio_is_cut(files):
    store, report = prepare(corpus_of(*files), max_seconds=0.3)
    assert store.lengths.tolist() == [2400, 2000, 2400]
    assert [p.message for p in report.problems if p.kind == "overlong"] == [
        "0.5 s, of which the first 0.3 are used",
        "1.0 s, of which the first 0.3 are used",
    ]


def test_cache_is_used_again(files, monkeypatch):
    corpus = corpus_of(*files, SpokenText("one"))
    first, first_report = prepare(corpus)
    forbid_decoding(monkeypatch)
    second, second_report = prepare(corpus)
    assert second_report == first_report
    for index in range(4):
        np.testing.assert_array_equal(first[index], second[index])


@pytest.mark.slow
@pytest.mark.headline
@pytest.mark.parametrize("change", ["file", "rate", "cut", "order", "text"])
def test_cache_is_not_used_for_anything_else(files, monkeypatch, change):
    prepare(corpus_of(*files, SpokenText("one")))
    forbid_decoding(monkeypatch)
    if change == "file":
        soundfile.write(files[0], tone(0.6, 8000), 8000)
    order = files[::-1] if change == "order" else files
    spoken = SpokenText("two" if change == "text" else "one")
    options = {"rate": {"sample_rate_hz": 11025}, "cut": {"max_seconds": 1}}
    with pytest.raises(RuntimeError, match="decoded again"):
        prepare(corpus_of(*order, spoken), **options.get(change, {}))


def test_interrupted_run_leaves_nothing(files, cache, monkeypatch):
    with monkeypatch.context() as patch:
        forbid_decoding(patch)
        with pytest.raises(RuntimeError, match="decoded again"):
            prepare(corpus_of(*files))
    assert list(cache.iterdir()) == []
    assert len(prepare(corpus_of(*files))[0]) == 3


def test_what_a_killed_run_has_left_is_removed_after_a_day(files, cache, monkeypatch):
    old = cache / "partial-old"
    old.mkdir(parents=True)
    monkeypatch.setattr(cache_module, "_LEFTOVER_AGE_S", -1)
    prepare(corpus_of(*files))
    assert not old.exists()
    assert len(list(cache.iterdir())) == 1


def test_another_process_may_be_faster(files, cache, monkeypatch):
    corpus, fill = corpus_of(*files), store_module._fill

    def overtaken_fill(*arguments):
        monkeypatch.setattr(store_module, "_fill", fill)
        prepare(corpus)
        return fill(*arguments)

    monkeypatch.setattr(store_module, "_fill", overtaken_fill)
    store, _ = prepare(corpus)
    assert store.lengths.tolist() == [4000, 2000, 8000]
    assert len(list(cache.iterdir())) == 1


def test_samples_that_are_no_numbers_are_fatal(tmp_path):
    samples = tone(0.2, 8000)
    samples[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 8000, subtype="FLOAT")
    _, report = prepare(corpus_of(tmp_path / "nan.wav"))
    assert [each.kind for each in report.fatal] == ["not finite"]


def test_unreadable_audio_is_reported_and_not_cached(files, tmp_path, cache):
    contents = files[0].read_bytes()
    (tmp_path / "text.wav").write_text("hello, I am not audio")
    (tmp_path / "cut.wav").write_bytes(contents[:-1000])
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    names = ("gone.wav", "text.wav", "cut.wav", "empty.wav", "none.wav")
    corpus = corpus_of(*files, *(tmp_path / name for name in names))
    store, report = prepare(corpus)
    found = {(Path(each.path).name, each.kind) for each in report.fatal}
    assert found == {
        ("gone.wav", "missing"),
        ("text.wav", "unreadable"),
        ("cut.wav", "unreadable"),
        ("empty.wav", "empty"),
        ("none.wav", "empty"),
    }
    assert len(store) == 8
    np.testing.assert_allclose(store[0], tone(0.5, 8000), atol=1e-4)
    truncated = next(p for p in report.problems if p.path.endswith("cut.wav"))
    assert "truncated" in truncated.message
    assert truncated.path not in truncated.message
    assert list(cache.iterdir()) == []


def test_unknown_voice_is_one_clear_error():
    with pytest.raises(SpecError, match="no voice 'gibberish'"):
        prepare(corpus_of(SpokenText("one", "gibberish")))


def test_full_disk_is_one_clear_error(tmp_path, cache):
    soundfile.write(tmp_path / "long.wav", tone(20, 16000), 16000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(
            CorpusError, match=r"cannot write the cache in .*TFSPEECH_CACHE"
        ) as e:
            prepare(corpus_of(tmp_path / "long.wav"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(cache) in str(e.value)
    assert e.value.__cause__.errno == errno.EFBIG
    assert list(cache.iterdir()) == []


def test_cache_that_cannot_be_made_is_one_clear_error(files, tmp_path, monkeypatch):
    monkeypatch.setenv("TFSPEECH_CACHE", str(files[0] / "cache"))
    with pytest.raises(CorpusError, match=r"set \$TFSPEECH_CACHE to another folder"):
        prepare(corpus_of(*files))


def test_cache_folder_defaults_to_the_users_own(monkeypatch):
    monkeypatch.delenv("TFSPEECH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/tfspeech")


def test_real_fsdd_has_no_problems(speech_data):
    store, report = prepare(load_corpus(f"fsdd:{speech_data / 'fsdd'}"))
    assert store.sample_rate_hz == 8000
    assert report.problems == ()
    seven = speech_data / "fsdd" / "recordings" / "7_lucas_3.wav"
    expected, _ = soundfile.read(seven, dtype="float32")
    corpus = load_corpus(f"fsdd:{speech_data / 'fsdd'}")
    index = [each.audio for each in corpus.utterances].index(seven)
    np.testing.assert_array_equal(store[index], expected)
