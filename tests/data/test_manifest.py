import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfspeech.data.manifest import Utterance, hold_out


def utterances(speakers, labels, takes, folder="a"):
    return tuple(
        Utterance(
            Path(f"{folder}/{speaker}/{label}{take}.wav"), label, speaker, "train"
        )
        for speaker in speakers
        for label in labels
        for take in range(takes)
    )


def test_many_speakers_are_held_out_as_a_whole():
    all_speakers = [f"s{number}" for number in range(20)]
    result = hold_out(utterances(all_speakers, "ab", 3), "test", 0.1)
    held_out = {each.speaker for each in result if each.split == "test"}
    assert len(held_out) == 2
    assert not held_out & {each.speaker for each in result if each.split == "train"}


def test_few_speakers_lose_a_share_of_each_label():
    result = hold_out(utterances(["s"], "abcde", 20), "validation", 0.1)
    held_out = [each.text for each in result if each.split == "validation"]
    assert sorted(held_out) == list("aabbccddee")


@settings(max_examples=50, deadline=None)
@given(speakers=st.integers(0, 14), takes=st.integers(1, 4), share=st.floats(0.05, 0.5))
def test_hold_out_changes_nothing_but_the_split(speakers, takes, share):
    names = [f"s{number}" for number in range(speakers)] or [""]
    before = utterances(names, "xy", takes)
    after = hold_out(before, "test", share)
    assert any(each.split == "test" for each in after)
    assert before == tuple(dataclasses.replace(each, split="train") for each in after)


@pytest.mark.parametrize("count", [3, 12])
def test_the_choice_depends_neither_on_order_nor_on_the_place(count):
    speakers = [f"s{number}" for number in range(count)]
    here = hold_out(utterances(speakers, "ab", 5), "test", 0.2)
    there = hold_out(utterances(speakers, "ab", 5, "/b/c")[::-1], "test", 0.2)
    assert [each.split for each in here] == [each.split for each in there[::-1]]


def test_other_splits_stay():
    before = tuple(
        dataclasses.replace(each, split="test")
        for each in utterances(["s"], "ab", 5)[:5]
    ) + utterances(["s"], "ab", 5)
    after = hold_out(before, "validation", 0.2)
    assert after[:5] == before[:5]
