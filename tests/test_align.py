import json
import shutil

import numpy as np
import pytest

from tfspeech import align
from tfspeech.data.corpora import load_corpus
from tfspeech.data.phoneme_times import read_segments, symbol_durations
from tfspeech.data.textgrid import read_textgrid
from tfspeech.errors import CorpusError, RunError
from tfspeech.tasks.alignment import run
from tfspeech.tasks.alignment.aligner import AlignmentConfig, default_features
from tfspeech.tasks.alignment.grids import grid_names
from tfspeech.tasks.alignment.run import align_corpus
from tfspeech.text.front_end import TextConfig, TextFrontEnd

SMALL = AlignmentConfig(gaussians=1, iterations=2)
FRONT_END = TextFrontEnd(TextConfig(symbols="phonemes"))


@pytest.fixture(scope="module")
def aligned(sentences, tmp_path_factory):
    """The sentences' manifest, and a folder with their alignments."""
    output = tmp_path_factory.mktemp("aligned") / "grids"
    results = align_corpus(f"manifest:{sentences}", output, SMALL)
    return f"manifest:{sentences}", output, results


def copy(output, tmp_path):
    return shutil.copytree(output, tmp_path / "copy")


def test_every_utterance_has_its_words_and_phones(aligned):
    spec, output, results = aligned
    utterances = load_corpus(spec).utterances
    assert results["utterances"] == results["aligned"] == len(utterances)
    assert results["left_out"] == []
    assert "boundaries" not in results
    assert results["times_real_time"] > 0
    assert len(results["log_likelihood_per_frame"]) == 2
    assert json.loads((output / "alignment.json").read_text()) == results
    assert len(list((output / "plots").glob("*.png"))) == 10
    for each in utterances:
        tiers = read_textgrid(output / f"{each.audio.stem}.TextGrid")
        said = [word.label for word in tiers["words"] if word.label]
        assert " ".join(said) == each.text.rstrip(".")
        segments, times = read_segments(each, FRONT_END, output)
        np.testing.assert_array_equal(segments[1:], FRONT_END.encode(each.text))
        names = [FRONT_END.symbols[symbol] for symbol in segments]
        frames = 1 + round(times[-1].end_s * 22050) // 256
        assert symbol_durations(names, times, 256, 22050, frames).sum() == frames


def test_what_is_finished_is_not_done_again(aligned, tmp_path, monkeypatch):
    spec, output, results = aligned
    output = copy(output, tmp_path)
    removed, *kept = sorted(output.glob("*.TextGrid"))
    content = removed.read_text()
    removed.unlink()
    times = [path.stat().st_mtime_ns for path in kept]
    monkeypatch.setattr(run, "_save_training", None)
    again = align_corpus(spec, output, SMALL)
    assert removed.read_text() == content
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert "times_real_time" not in again
    assert again == {name: results[name] for name in again}


@pytest.mark.slow
@pytest.mark.headline
def test_an_interrupted_training_goes_on(aligned, tmp_path, monkeypatch):
    spec, finished, results = aligned
    output = tmp_path / "grids"
    save = run._save_training

    def interrupt(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "_save_training", interrupt)
        with pytest.raises(KeyboardInterrupt):
            align_corpus(spec, output, SMALL)
    assert not list(output.glob("*.TextGrid"))
    saved = []
    monkeypatch.setattr(run, "_save_training", lambda *args: saved.append(save(*args)))
    again = align_corpus(spec, output, SMALL)
    assert len(saved) == SMALL.total_iterations - 1
    np.testing.assert_allclose(
        again["log_likelihood_per_frame"],
        results["log_likelihood_per_frame"],
        rtol=1e-5,
    )
    for path in output.glob("*.TextGrid"):
        assert path.read_text() == (finished / path.name).read_text()


def test_other_settings_need_another_folder(aligned, tmp_path):
    spec, output, _ = aligned
    with pytest.raises(RunError, match="another --output"):
        align_corpus(spec, output, AlignmentConfig(gaussians=1, iterations=3))
    output = copy(output, tmp_path)
    for damaged in (b"", b"PK"):
        (output / "models.npz").write_bytes(damaged)
        with pytest.raises(RunError, match=r"models\.npz is damaged"):
            align_corpus(spec, output, SMALL)
    (output / "models.npz").unlink()
    with pytest.raises(RunError, match="is not of this command; choose another"):
        align_corpus(spec, output, SMALL)


def test_recordings_of_one_name_are_told_apart_by_their_folder(tmp_path):
    rows = ["path\ttext"]
    for folder in ("ann", "bob"):
        (tmp_path / folder).mkdir()
        rows.append(f"{folder}/a.wav\tthe red box.")
    rows.append("ann/b.wav\tthe red box.")
    (tmp_path / "list.tsv").write_text("\n".join(rows))
    utterances = load_corpus(f"manifest:{tmp_path / 'list.tsv'}").utterances
    names = [str(name) for name in grid_names(utterances)]
    assert names == ["ann/a.TextGrid", "bob/a.TextGrid", "b.TextGrid"]


def test_recordings_that_would_share_a_textgrid_are_refused(tmp_path):
    rows = ["path\ttext"]
    for path in ("x/ann/a.wav", "y/ann/a.wav"):
        (tmp_path / path).parent.mkdir(parents=True)
        rows.append(f"{path}\tthe red box.")
    (tmp_path / "list.tsv").write_text("\n".join(rows))
    message = r"2 recordings would share the TextGrid ann/a.TextGrid.*x/ann/a.*y/ann/a"
    with pytest.raises(CorpusError, match=message):
        align_corpus(f"manifest:{tmp_path / 'list.tsv'}", tmp_path / "grids", SMALL)


def test_utterances_too_short_for_their_text_are_left_out(sentences, tmp_path):
    rows = sentences.read_text().splitlines()
    path = rows[1].split("\t")[0]
    rows[1] = f"{path}\t{'the blue bird and the old door ' * 5}\ttrain"
    (sentences.parent / "wrong.tsv").write_text("\n".join(rows))
    results = align_corpus(
        f"manifest:{sentences.parent / 'wrong.tsv'}", tmp_path / "grids", SMALL
    )
    assert results["left_out"] == [path.replace(".wav", ".TextGrid")]
    assert results["aligned"] == len(rows) - 2
    assert "too short for the text: " in align.describe(results, tmp_path)
    assert not (tmp_path / "grids" / results["left_out"][0]).exists()


def test_the_command_aligns_and_says_what_it_found(sentences, tmp_path, command):
    code, output, lines = command(
        align.main,
        f"manifest:{sentences}",
        *("--output", tmp_path / "grids", "--gaussians=1", "--iterations=1", "--json"),
    )
    assert code == 0
    assert json.loads(output)["aligned"] == 24
    assert any("24 of 24 utterances are aligned" in line for line in lines)
    assert any("times real time" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reader"], "error: the following arguments are required: --output"),
        (
            ["nowhere", "--output=x"],
            "error: unknown corpus 'nowhere'; the known ones",
        ),
        (["reader", "--output=x", "--gaussians=3"], "error: gaussians must be a power"),
        (["reader", "--output=x", "--num-cepstra=0"], "error: num_cepstra must be"),
    ],
)
def test_errors_are_one_line(arguments, message, command):
    code, _, lines = command(align.main, *arguments)
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith(message)


def test_an_interrupt_says_how_to_go_on(sentences, tmp_path, command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_save_training", interrupt)
    code, _, lines = command(
        align.main, f"manifest:{sentences}", "--output", tmp_path / "grids"
    )
    assert code == 2
    assert lines[-1] == "error: interrupted; the same command goes on where it was"


@pytest.mark.slow
def test_boundaries_of_the_reader_are_close_to_the_true_ones(tmp_path, monkeypatch):
    whole = load_corpus("reader")
    part = whole.utterances[:400]
    monkeypatch.setattr(run, "load_corpus", lambda _: type(whole)("reader", part))
    results = align_corpus("reader", tmp_path / "grids", features=default_features())
    assert results["boundaries"]["count"] > 5000
    assert results["boundaries"]["within_20_ms"] > 0.8
    assert results["boundaries"]["median_ms"] < 12
