"""Recordings in blocks, and where they are cut."""

import numpy as np
import pytest
import soundfile

from tfspeech.audio.blocks import cut_at_pauses, read_blocks
from tfspeech.audio.decode import read_audio
from tfspeech.errors import AudioError

RATE_HZ = 8000


def noise(seconds, seed=0):
    samples = np.random.default_rng(seed).normal(0.0, 0.1, int(RATE_HZ * seconds))
    return samples.astype(np.float32)


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_blocks_together_are_the_recording(name, tmp_path):
    stereo = np.stack([noise(23), noise(23, 1)], axis=1)
    soundfile.write(tmp_path / name, stereo, RATE_HZ)
    rate_hz, blocks = read_blocks(tmp_path / name)
    blocks = list(blocks)
    whole, wanted_hz = read_audio(tmp_path / name)
    assert rate_hz == wanted_hz == RATE_HZ
    assert [len(block) for block in blocks] == [80_000, 80_000, 24_000]
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


def test_what_is_no_audio_is_one_error(tmp_path):
    (tmp_path / "x.wav").write_text("no audio")
    soundfile.write(tmp_path / "slow.wav", noise(1), 2000)
    bad = noise(1)
    bad[17] = np.nan
    soundfile.write(tmp_path / "nan.wav", bad, RATE_HZ, subtype="FLOAT")
    for path, reason in (
        (tmp_path / "x.wav", r"x\.wav: Expected wav"),
        (tmp_path / "gone.wav", r"gone\.wav: cannot be read"),
        (tmp_path, "cannot be read: not a regular file"),
        (tmp_path / "slow.wav", "4000 to 192000 Hz. Received: 2000"),
        (tmp_path / "nan.wav", "sample 17 is not finite"),
    ):
        with pytest.raises(AudioError, match=reason):
            list(read_blocks(path)[1])


def pieces(samples, seconds, block=3000):
    blocks = [samples[at : at + block] for at in range(0, len(samples), block)]
    return list(cut_at_pauses(blocks, RATE_HZ, seconds))


def test_pieces_are_the_recording_and_end_in_its_pauses():
    pauses = [noise(0.4, seed) * 0.01 for seed in range(3)]
    words = [noise(3.0, seed) for seed in range(4)]
    turns = zip(words, pauses, strict=False)
    recording = np.concatenate([x for turn in turns for x in turn] + [words[3]])
    found = pieces(recording, 5.0)
    np.testing.assert_array_equal(np.concatenate([p.samples for p in found]), recording)
    ends = np.cumsum([len(p.samples) for p in found])
    assert [p.start for p in found] == [0, *ends[:-1]]
    middles = [RATE_HZ * (3.4 * n + 3.2) for n in range(3)]
    np.testing.assert_allclose(ends[:-1], middles, atol=0.06 * RATE_HZ)


def test_a_recording_without_pauses_is_cut_and_the_blocks_do_not_matter():
    recording = noise(31)
    found = pieces(recording, 5.0)
    assert all(len(p.samples) <= 5 * RATE_HZ for p in found)
    assert all(len(p.samples) >= 1.5 * RATE_HZ for p in found[:-1])
    others = pieces(recording, 5.0, block=100_000)
    assert [p.start for p in others] == [p.start for p in found]


def test_a_short_recording_is_one_piece_and_none_is_none():
    assert [len(p.samples) for p in pieces(noise(2), 5.0)] == [2 * RATE_HZ]
    assert pieces(noise(0), 5.0) == []
