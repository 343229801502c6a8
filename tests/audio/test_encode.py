import io

import numpy as np
import pytest
import soundfile

from tfspeech.audio.encode import encode_wav, write_wav


def test_a_wav_file_holds_the_waveform_in_16_bits(tmp_path):
    waveform = np.random.default_rng(0).uniform(-1, 1, 500).astype(np.float32)
    write_wav(tmp_path / "x.wav", waveform, 11025)
    found, rate_hz = soundfile.read(tmp_path / "x.wav", dtype="float32")
    info = soundfile.info(tmp_path / "x.wav")
    assert (rate_hz, info.subtype, info.channels) == (11025, "PCM_16", 1)
    np.testing.assert_allclose(found, waveform, atol=1e-4)


def test_what_is_too_loud_is_cut_off_and_does_not_wrap_around():
    found, _ = soundfile.read(io.BytesIO(encode_wav(np.array([3.0, -3.0]), 8000)))
    np.testing.assert_allclose(found, [1, -1], atol=1e-4)


def test_no_samples_make_a_wav_file(tmp_path):
    found, rate_hz = soundfile.read(io.BytesIO(encode_wav(np.zeros(0), 8000)))
    assert (found.size, rate_hz) == (0, 8000)


def test_a_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(OSError, match="no_folder"):
        write_wav(tmp_path / "no_folder" / "x.wav", np.zeros(3), 8000)
