# ruff: noqa: RUF001 -- IPA has letters that look like others.

from tfspeech.text.articulation import PHONES, PROPERTIES, at_end, at_start, base
from tfspeech.text.phonemes import CONSONANTS, PHONEMES, VOWELS


def described(values):
    return {name for name, value in zip(PROPERTIES, values, strict=True) if value}


def test_every_phoneme_has_a_place_among_the_phones():
    assert {base(phoneme) for phoneme in PHONEMES} == set(PHONES)


def test_phones_are_told_apart():
    pairs = {phone: (at_start(phone), at_end(phone)) for phone in PHONES}
    alike = [
        {one, other}
        for one in PHONES
        for other in PHONES
        if one < other and pairs[one] == pairs[other]
    ]
    # They differ in length alone.
    assert sorted(alike, key=min) == [{"i", "iː"}, {"ɔ", "ɔː"}]


def test_vowels_glide_and_consonants_do_not():
    assert all(at_start(phone) == at_end(phone) for phone in CONSONANTS)
    height, backness = (list(PROPERTIES).index(name) for name in ("height", "backness"))
    assert at_start("aɪ")[height] < 0 < at_end("aɪ")[height]
    assert at_end("aʊ")[backness] > 0 > at_end("aɪ")[backness]
    assert "rhotic" in described(at_end("ɑːɹ")) - described(at_start("ɑːɹ"))


def test_what_a_phone_is():
    assert described(at_start("p")) == {"stop", "labial"}
    assert described(at_end("z")) == {"voiced", "fricative", "sibilant", "alveolar"}
    assert described(at_start("n̩")) == {"vowel", "voiced", "nasal", "alveolar"}
    for vowel in VOWELS:
        assert {"vowel", "voiced"} <= described(at_start(vowel))
        assert "pause" not in described(at_end(vowel))
