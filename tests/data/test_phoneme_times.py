# ruff: noqa: RUF001 -- IPA has letters that look like others.

from pathlib import Path

import numpy as np
import pytest

from tfspeech.data.corpora import load_corpus
from tfspeech.data.espeak import PhonemeTime, SpokenText
from tfspeech.data.manifest import Utterance
from tfspeech.data.phoneme_times import read_segments, symbol_durations
from tfspeech.data.textgrid import Interval, write_textgrid
from tfspeech.errors import CorpusError, TextError
from tfspeech.text.front_end import END, TextConfig, TextFrontEnd
from tfspeech.text.phonemes import PAUSE, PHONEMES

FRONT_END = TextFrontEnd(TextConfig(symbols="phonemes"))
RATE_HZ, HOP = 1000, 10  # 10 ms a frame.


def times(*entries):
    return tuple(PhonemeTime(*entry) for entry in entries)


def durations(segments, spoken, frames):
    return symbol_durations(segments, spoken, HOP, RATE_HZ, frames).tolist()


def test_a_frame_belongs_to_what_is_spoken_in_its_middle():
    spoken = times(("s", 0.0, 0.04), ("ˈiː", 0.04, 0.101))
    assert durations([" ", "s", "ˈiː", END], spoken, 12) == [0, 4, 7, 1]


def test_pauses_go_to_the_ends_and_to_the_mark_between_words():
    spoken = times(
        (PAUSE, 0.0, 0.02),
        ("s", 0.02, 0.05),
        (PAUSE, 0.05, 0.06),
        (PAUSE, 0.06, 0.09),
        ("n", 0.09, 0.12),
        ("f", 0.12, 0.13),
        (PAUSE, 0.13, 0.2),
        ("z", 0.2, 0.25),
        (PAUSE, 0.25, 0.3),
    )
    segments = [" ", "s", ",", " ", "n", " ", "f", " ", "z", ".", END]
    assert durations(segments, spoken, 30) == [2, 3, 4, 0, 3, 0, 1, 7, 5, 0, 5]


def test_a_pause_without_a_mark_goes_to_the_phoneme_before_it():
    spoken = times(("s", 0.0, 0.03), (PAUSE, 0.03, 0.05), ("n", 0.05, 0.08))
    assert durations([" ", "s", "n", END], spoken, 8) == [0, 5, 3, 0]


def test_a_gap_in_the_times_is_a_pause():
    spoken = times(("s", 0.01, 0.03), ("n", 0.05, 0.08))
    assert durations([" ", "s", " ", "n", END], spoken, 10) == [1, 2, 2, 3, 2]


def test_short_phonemes_borrow_from_their_neighbours():
    spoken = times(
        ("s", 0.0, 0.031),
        ("n", 0.031, 0.033),
        ("f", 0.033, 0.035),
        ("z", 0.035, 0.055),
    )
    assert durations([" ", "s", "n", "f", "z", END], spoken, 6) == [0, 3, 1, 1, 1, 0]
    at_the_end = times(("s", 0.0, 0.038), ("n", 0.038, 0.0385), ("f", 0.0385, 0.039))
    assert durations([" ", "s", "n", "f", END], at_the_end, 4) == [0, 2, 1, 1, 0]


def test_as_many_frames_as_phonemes_are_enough():
    spoken = times(("s", 0.0, 0.002), ("n", 0.002, 0.003), ("f", 0.003, 0.02))
    assert durations([" ", "s", " ", "n", "f", END], spoken, 3) == [0, 1, 0, 1, 1, 0]
    with pytest.raises(CorpusError, match=r"x\.wav has 3 phonemes in 2 frames"):
        symbol_durations(["s", "n", "f"], spoken, HOP, RATE_HZ, 2, "x.wav")


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (["s", "ˈiː", END], "phoneme 2 of the text is 'ˈiː', of the times 'n'"),
        (["s", END], "phoneme 2 of the text is none, of the times 'n'"),
        (["s", "n", "z", END], "phoneme 3 of the text is 'z', of the times none"),
    ],
)
def test_phonemes_must_be_those_of_the_text(segments, message):
    spoken = times(("s", 0.0, 0.03), (PAUSE, 0.03, 0.05), ("n", 0.05, 0.08))
    with pytest.raises(CorpusError, match=f"an utterance: {message}"):
        durations(segments, spoken, 8)


def test_times_of_longer_audio_are_refused():
    spoken = times(("s", 0.0, 0.5), ("n", 0.5, 1.0))
    with pytest.raises(CorpusError, match=r"ends after 0\.90 s, but its phonemes"):
        durations(["s", "n", END], spoken, 90)


def test_durations_of_the_reader_are_its_true_times():
    for utterance in load_corpus("reader").split("test")[:20]:
        segments, spoken = read_segments(utterance, FRONT_END)
        names = [FRONT_END.symbols[each] for each in segments]
        assert names[0] == " "
        np.testing.assert_array_equal(segments[1:], FRONT_END.encode(utterance.text))
        rate_hz, hop = 22050, 256
        samples = len(utterance.audio.render()[0])
        frames = 1 + samples // hop
        found = symbol_durations(names, spoken, hop, rate_hz, frames)
        assert found.dtype == np.int32
        assert found.sum() == frames
        is_phoneme = np.isin(names, PHONEMES)
        assert found[is_phoneme].min() >= 1
        starts_s = (np.cumsum(found) - found)[is_phoneme] * hop / rate_hz
        true_s = [each.start_s for each in spoken if each.phoneme != PAUSE]
        assert np.abs(starts_s - true_s).max() < 1.01 * hop / rate_hz


MFA_WORDS = (
    Interval(0.2, 0.6, "the"),
    Interval(0.6, 1.0, "twenty"),
    Interval(1.0, 1.3, "five"),
    Interval(1.5, 2.0, "dogs'"),
)
MFA_PHONES = (
    Interval(0.2, 0.3, "DH"),
    Interval(0.3, 0.6, "AH0"),
    Interval(0.6, 0.7, "T"),
    Interval(0.7, 0.75, "W"),
    Interval(0.75, 0.8, "EH1"),
    Interval(0.8, 0.85, "N"),
    Interval(0.85, 0.9, "T"),
    Interval(0.9, 1.0, "IY0"),
    Interval(1.0, 1.1, "F"),
    Interval(1.1, 1.2, "AY2"),
    Interval(1.2, 1.3, "V"),
    Interval(1.3, 1.5, "sp"),
    Interval(1.5, 1.6, "D"),
    Interval(1.6, 1.7, "AO1"),
    Interval(1.7, 1.8, "G"),
    Interval(1.8, 2.0, "Z"),
)
TEXT = "The 25, dogs'."


def recording(folder, text=TEXT, words=MFA_WORDS, phones=MFA_PHONES, name="a"):
    tiers = {"ann - words": words, "ann - phones": phones}
    write_textgrid(folder / f"{name}.TextGrid", tiers, 2.5)
    return Utterance(folder / "a.wav", text, "ann", "train")


def names_of(segments):
    return " ".join(FRONT_END.symbols[each] for each in segments)


def test_a_grid_says_how_the_words_of_the_text_are_pronounced(tmp_path):
    segments, spoken = read_segments(recording(tmp_path), FRONT_END)
    assert names_of(segments) == ("  ð ə   t w ˈɛ n t i f ˌaɪ v ,   d ˈɔː ɡ z . <end>")
    assert spoken[0] == PhonemeTime(PAUSE, 0.0, 0.2)
    assert spoken[-2] == PhonemeTime("z", 1.8, 2.0)
    names = [FRONT_END.symbols[each] for each in segments]
    found = symbol_durations(names, spoken, HOP, RATE_HZ, 251)
    assert found[names.index(",")] == 20
    assert found[0] == 20
    assert found[-1] == 51


def test_words_that_the_aligner_joined_or_did_not_know(tmp_path):
    text = "in the zyx, no"
    words = (
        Interval(0.1, 0.5, "in the"),
        Interval(0.5, 0.8, "<unk>"),
        Interval(0.8, 1.2, "NO"),
    )
    phones = (
        Interval(0.1, 0.2, "ɪ"),
        Interval(0.2, 0.3, "n"),
        Interval(0.3, 0.4, "ð"),
        Interval(0.4, 0.5, "ə"),
        Interval(0.5, 0.8, "spn"),
        Interval(0.8, 1.0, "n"),
        Interval(1.0, 1.2, "ˈoʊ"),
    )
    segments, spoken = read_segments(
        recording(tmp_path, text, words, phones), FRONT_END
    )
    assert names_of(segments) == "  ɪ n ð ə ,   n ˈoʊ <end>"
    names = [FRONT_END.symbols[each] for each in segments]
    found = symbol_durations(names, spoken, HOP, RATE_HZ, 251)
    assert found[names.index(",")] == 30


def test_grids_are_found_beside_the_recordings_or_in_their_folder(tmp_path):
    audio, grids = tmp_path / "ann", tmp_path / "grids"
    (grids / "ann").mkdir(parents=True)
    audio.mkdir()
    utterance = Utterance(audio / "a.wav", TEXT, "ann", "train")
    advice = r"ann/a\.wav has no .* no .*a\.TextGrid; .*tfspeech\.align.*--alignments"
    for folder in (None, grids):
        with pytest.raises(CorpusError, match=advice):
            read_segments(utterance, FRONT_END, folder)
    recording(grids)
    assert len(read_segments(utterance, FRONT_END, grids)[0]) == 21
    # Below the name of the folder, it is found first.
    recording(grids / "ann", words=MFA_WORDS[:3], phones=MFA_PHONES[:11])
    with pytest.raises(CorpusError, match="grids/ann/a"):
        read_segments(utterance, FRONT_END, grids)
    recording(audio)
    assert len(read_segments(utterance, FRONT_END)[0]) == 21


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("the 26 dogs'", "word 3 is 'five', where the text goes on with 'twenty-six'"),
        ("the 25 dogs' too", "its words end before 'too', the last of the text"),
        ("the 25", "word 4 is \"dogs'\", where the text goes on with 'twenty-five'"),
        ("the 25 dogs' bones", "its words end before 'bones'"),
    ],
)
def test_words_that_are_not_those_of_the_text_are_named(tmp_path, text, message):
    with pytest.raises(CorpusError, match=rf"a\.TextGrid: .*{message}"):
        read_segments(recording(tmp_path, text), FRONT_END)


def test_other_grids_are_refused(tmp_path):
    phones = (*MFA_PHONES[:-1], Interval(1.8, 2.0, "ZZ"))
    with pytest.raises(CorpusError, match=r"a\.TextGrid: unknown phone 'ZZ' at 1\.8 s"):
        read_segments(recording(tmp_path, phones=phones), FRONT_END)
    phones = (*MFA_PHONES[:-1], Interval(2.0, 2.2, "Z"))
    with pytest.raises(CorpusError, match="phone 'Z' at 2 s is in no word"):
        read_segments(recording(tmp_path, phones=phones), FRONT_END)
    write_textgrid(tmp_path / "a.TextGrid", {"words": MFA_WORDS}, 2.5)
    utterance = Utterance(tmp_path / "a.wav", TEXT, "ann", "train")
    with pytest.raises(CorpusError, match="one tier of phones; its tiers are: words"):
        read_segments(utterance, FRONT_END)


def test_a_text_without_words_is_refused(tmp_path):
    with pytest.raises(TextError, match="nothing to say"):
        read_segments(recording(tmp_path, "...", (), ()), FRONT_END)
    with pytest.raises(CorpusError, match="word 1 is 'the'"):
        read_segments(recording(tmp_path, "..."), FRONT_END)


def test_another_voice_says_other_phonemes():
    text = "The water is hot."
    utterance = Utterance(SpokenText(text, "en"), text, "", "train")
    segments, spoken = read_segments(utterance, FRONT_END)
    names = [FRONT_END.symbols[each] for each in segments]
    with pytest.raises(CorpusError, match="of the text is 'ɾ', of the times 't'"):
        symbol_durations(names, spoken, 256, 22050, 400)


def test_a_path_is_not_needed_for_what_espeak_speaks():
    utterance = load_corpus("reader").utterances[0]
    with_folder = read_segments(utterance, FRONT_END, Path("nowhere"))
    assert with_folder[1] == read_segments(utterance, FRONT_END)[1]
