import hashlib

from tfspeech.data.corpora import spoken_digits
from tfspeech.data.spoken_words import DIGITS, VARIANTS, english_voices, spoken_words


def test_every_label_is_spoken_by_all_voices_in_turn():
    voices = ("en", "en-us", "en-us+f1")
    utterances = spoken_words(["7", "left"], voices, 6, seed=1, split="train")
    assert [each.text for each in utterances] == ["7"] * 6 + ["left"] * 6
    assert [each.audio.text for each in utterances] == ["seven"] * 6 + ["left"] * 6
    assert {each.split for each in utterances} == {"train"}
    for start in range(0, 12, 3):
        turn = utterances[start : start + 3]
        assert {each.speaker for each in turn} == set(voices)
    assert all(each.speaker == each.audio.voice for each in utterances)


def test_seed_and_split_decide():
    def speak(seed, split):
        return [u.audio for u in spoken_words(["go"], ["en"], 9, seed, split)]

    assert speak(1, "train") == speak(1, "train")
    assert speak(1, "train") != speak(2, "train")
    assert speak(1, "train") != speak(1, "test")


def test_noise_is_drawn_from_the_range():
    utterances = spoken_words(["go"], ["en"], 50, 0, "train", (10.0, 20.0))
    levels = [each.audio.snr_db for each in utterances]
    assert 10 <= min(levels) < 13
    assert 17 < max(levels) <= 20
    assert {each.audio.noise for each in utterances} == {"white", "pink"}
    clean = spoken_words(["go"], ["en"], 1, 0, "train")[0]
    assert clean.audio.snr_db == float("inf")


def test_no_variant_speaks_in_two_splits_and_all_are_known():
    variants = [variant for names in VARIANTS.values() for variant in names]
    assert len(set(variants)) == len(variants)
    for variant in variants:
        spoken = spoken_words(["go"], [f"en+{variant}"], 1, 0, "train")[0].audio
        assert spoken.render()[0].size
    assert len(english_voices()) == sum(
        len(english_voices(split)) for split in VARIANTS
    )


def test_spoken_digits_are_seeded_and_balanced():
    corpus = spoken_digits.load()
    sizes = {"train": 4000, "validation": 400, "test": 600}
    for split, size in sizes.items():
        labels = [each.text for each in corpus.split(split)]
        assert len(labels) == size
        assert {labels.count(digit) for digit in DIGITS} == {size // 10}
    assert corpus == spoken_digits.load(seed=0)
    assert corpus != spoken_digits.load(seed=1)
    speakers = [{u.speaker for u in corpus.split(split)} for split in sizes]
    assert len(set.union(*speakers)) == sum(map(len, speakers))


def test_spoken_digits_have_the_same_bytes_each_time():
    def digest(utterances):
        waveforms = [each.audio.render()[0].tobytes() for each in utterances]
        return [hashlib.sha256(waveform).hexdigest() for waveform in waveforms]

    chosen = spoken_digits.load().utterances[::150]
    again = spoken_digits.load().utterances[::150]
    assert digest(chosen) == digest(again[::-1])[::-1]
