"""Decoding against libsndfile, and what happens to files that are not right."""

import functools
import io
import struct

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from tfspeech.audio import decode as decode_module
from tfspeech.audio.codecs import Libsndfile, TensorFlowIO, load_codecs
from tfspeech.audio.decode import decode_audio, decode_by, decode_wav, read_audio
from tfspeech.audio.framing import _ogg_crc
from tfspeech.errors import AudioError

RATE_HZ = 16000
WAV_SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def stereo(seconds=0.25):
    rng = np.random.default_rng(1)
    samples = rng.standard_normal((int(seconds * RATE_HZ), 2)) * [0.2, 0.1]
    return np.clip(samples, -1, 1).astype(np.float32)


def encode(samples, container="WAV", subtype="PCM_16", rate_hz=RATE_HZ):
    contents = io.BytesIO()
    soundfile.write(contents, samples, rate_hz, format=container, subtype=subtype)
    return contents.getvalue()


def reference(contents):
    samples, rate_hz = soundfile.read(
        io.BytesIO(contents), dtype="float32", always_2d=True
    )
    return samples.mean(axis=1), rate_hz


CODECS = [TensorFlowIO(), Libsndfile()] if TensorFlowIO.loads() else [Libsndfile()]


@functools.cache
def decoder(codecs):
    return tf.function(
        functools.partial(decode_by, codecs),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


@pytest.fixture(params=CODECS, ids=[codecs.name for codecs in CODECS])
def decode_audio_by(request, monkeypatch):
    """`decode_audio` by each of the decoders that load, in `read_audio` as well."""
    monkeypatch.setattr(decode_module, "decode_audio", decoder(request.param))
    return decode_module.decode_audio


def test_tensorflow_io_decodes_where_it_loads():
    assert load_codecs().name == CODECS[0].name
    assert TensorFlowIO.loads() == tf.__version__.startswith("2.16.")


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def wav(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def pcm_format(channels=1, bits=16, tag=1, rate_hz=RATE_HZ):
    frame_bytes = channels * ((bits + 7) // 8)
    return chunk(
        b"fmt ",
        struct.pack(
            "<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits
        ),
    )


PCM = struct.pack("<4h", 0, 16384, -16384, -32768)
FOUR_SAMPLES = [0, 0.5, -0.5, -1]
ID3V2 = b"ID3\x04\0\0" + bytes([0, 0, 1, 5]) + bytes(128 + 5)
ID3V1 = b"TAG" + b"x" * 125


@pytest.mark.parametrize("subtype", WAV_SUBTYPES)
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_every_kind_of_wav_equals_libsndfile(container, subtype):
    contents = encode(stereo(), container, subtype)
    expected, _ = reference(contents)
    for decode in (decode_wav, decode_audio):
        waveform, rate_hz = decode(contents)
        assert waveform.dtype == tf.float32
        assert rate_hz.numpy() == RATE_HZ
        np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("FLAC", "PCM_S8"),
        ("FLAC", "PCM_16"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
def test_compressed_formats_equal_libsndfile(
    container, subtype, rate_hz, decode_audio_by
):
    contents = encode(stereo(), container, subtype, rate_hz)
    expected, _ = reference(contents)
    waveform, decoded_rate_hz = decode_audio_by(contents)
    assert decoded_rate_hz.numpy() == rate_hz
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("before", "container", "subtype", "after"),
    [
        (ID3V2, "MP3", "MPEG_LAYER_III", ID3V1),
        (ID3V2, "FLAC", "PCM_16", b""),
    ],
)
def test_tags_around_the_audio_are_skipped(
    before, container, subtype, after, decode_audio_by
):
    contents = encode(stereo(), container, subtype)
    expected, _ = reference(contents)
    waveform, rate_hz = decode_audio_by(before + contents + after)
    assert rate_hz.numpy() == RATE_HZ
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-5)


def test_other_chunks_and_their_padding_are_skipped():
    contents = wav(
        *(chunk(b"LIST", b"odd"), pcm_format(), chunk(b"fact", b"1234")),
        *(chunk(b"data", PCM), chunk(b"LIST", b"no samples")),
    )
    np.testing.assert_array_equal(decode_wav(contents)[0], FOUR_SAMPLES)


@pytest.mark.parametrize("announced", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_streaming_headers_mean_everything_that_follows(announced):
    header = wav(pcm_format(), chunk(b"data", b""))[:-4]
    contents = header + struct.pack("<I", announced) + PCM
    np.testing.assert_array_equal(decode_wav(contents)[0], FOUR_SAMPLES)
    np.testing.assert_array_equal(decode_wav(contents + b"1")[0], FOUR_SAMPLES)


def test_a_complete_wav_without_samples_is_no_streaming_header():
    contents = wav(pcm_format(), chunk(b"data", b""), chunk(b"LIST", b"no samples"))
    assert decode_wav(contents)[0].shape == [0]


def test_bits_that_do_not_fill_their_bytes_are_the_high_ones():
    contents = wav(pcm_format(bits=12), chunk(b"data", PCM))
    np.testing.assert_array_equal(decode_wav(contents)[0], FOUR_SAMPLES)


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        (b"", "do not start as one"),
        (b"RIFF", "do not start as one"),
        (b"an essay of some length about wav files", "do not start as one"),
        (wav(pcm_format()), "no format and data chunks"),
        (wav(chunk(b"data", PCM)), "no format and data chunks"),
        (wav(*[chunk(b"junk", b"")] * 1000), "no format and data chunks"),
        (wav(pcm_format(tag=7, bits=8), chunk(b"data", PCM)), "tag 7"),
        (wav(pcm_format(channels=0), chunk(b"data", PCM)), "0 channels"),
        (wav(pcm_format(rate_hz=0), chunk(b"data", PCM)), "rate is 0 Hz"),
        (wav(pcm_format(), chunk(b"data", PCM))[:-1], "7 of 8 bytes"),
    ],
)
def test_malformed_wav_says_what_was_expected(contents, problem):
    with pytest.raises(tf.errors.InvalidArgumentError, match="RIFF/WAVE") as error:
        decode_wav(contents)
    assert problem in error.value.message


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_no_prefix_of_a_wav_is_taken_for_a_wav(subtype):
    contents = encode(stereo(0.01), "WAVEX", subtype)
    for size in range(0, len(contents), 13):
        with pytest.raises(tf.errors.InvalidArgumentError, match="RIFF/WAVE"):
            decode_wav(contents[:size])


def test_decode_wav_exports_without_tensorflow_io(tmp_path):
    contents = [encode(stereo(), "WAV", subtype) for subtype in WAV_SUBTYPES]
    module = tf.Module()
    module.rates = tf.function(
        lambda batch: tf.map_fn(
            lambda one: decode_wav(one)[1], batch, fn_output_signature=tf.int32
        ),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    module.decode = decode_wav
    tf.saved_model.save(module, str(tmp_path))
    restored = tf.saved_model.load(str(tmp_path))

    np.testing.assert_array_equal(restored.rates(contents), [RATE_HZ] * len(contents))
    for one in contents:
        np.testing.assert_array_equal(restored.decode(one)[0], decode_wav(one)[0])
    assert b"IO>" not in (tmp_path / "saved_model.pb").read_bytes()


def test_decodes_in_parallel_in_tf_data(decode_audio_by):
    kinds = [
        ("WAV", "PCM_24"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ]
    files = [encode(stereo(), *kinds[i % 4], 16000 + 8000 * (i % 2)) for i in range(32)]
    dataset = tf.data.Dataset.from_tensor_slices(files)
    decoded = list(dataset.map(decode_audio_by, num_parallel_calls=4))
    assert len(decoded) == len(files)
    for contents, (waveform, rate_hz) in zip(files, decoded, strict=True):
        expected, expected_hz = reference(contents)
        assert rate_hz.numpy() == expected_hz
        np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-5)


def test_read_audio_goes_by_the_contents_not_by_the_name(tmp_path):
    contents = encode(stereo(), "FLAC")
    (tmp_path / "speech.wav").write_bytes(contents)
    waveform, rate_hz = read_audio(tmp_path / "speech.wav")
    assert (waveform.dtype, rate_hz) == (np.float32, RATE_HZ)
    np.testing.assert_allclose(waveform, reference(contents)[0], rtol=0, atol=1e-7)


def with_length(flac, samples):
    return flac[:21] + bytes([flac[21] & 0xF0]) + struct.pack(">I", samples) + flac[26:]


@pytest.mark.parametrize("samples", [1, 191, 4096, 4097, 9000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_flac_of_any_length_and_channels_is_complete(
    samples, channels, decode_audio_by
):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (samples, channels))
    contents = encode(noise, "FLAC", "PCM_24")
    expected, _ = reference(contents)
    np.testing.assert_allclose(
        decode_audio_by(contents)[0], expected, rtol=0, atol=1e-6
    )


def test_flac_that_ends_too_early_is_an_error_wherever_it_ends(decode_audio_by):
    # tensorflow-io alone never returns from a stream that ends between two frames.
    contents = encode(stereo(1), "FLAC")
    frame_header = contents[86:90]
    assert frame_header[:2] == b"\xff\xf8"
    between_frames = contents[: contents.rindex(frame_header)]
    assert len(between_frames) > 90
    broken = [contents[:-missing] for missing in range(1, 50)]
    for each in (*broken, between_frames, with_length(contents, RATE_HZ + 1)):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_audio_by(each)


COMPRESSED = [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]


def spoil(contents, kind, rng):
    """Cuts the file, takes a piece out of it, or overwrites one."""
    first, last = np.sort(rng.integers(len(contents) // 8, len(contents) - 1, 2))
    if kind == "cut":
        return contents[:last]
    piece = b"" if kind == "gap" else bytes(last - first)
    return contents[:first] + piece + contents[last:]


@pytest.mark.parametrize("kind", ["cut", "gap", "zeros"])
@pytest.mark.parametrize(("container", "subtype"), COMPRESSED)
def test_spoilt_files_are_errors(container, subtype, kind, decode_audio_by):
    contents = encode(stereo(2), container, subtype)
    for seed in range(10):
        broken = spoil(contents, kind, np.random.default_rng(seed))
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_audio_by(broken)


def test_a_flac_frame_that_was_altered_is_an_error(decode_audio_by):
    contents = bytearray(encode(stereo(), "FLAC"))
    contents[len(contents) // 2] ^= 1
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_audio_by(bytes(contents))


def test_flac_samples_have_the_digest_of_the_header(decode_audio_by):
    contents = encode(stereo(), "FLAC")
    unknown = contents[:26] + bytes(16) + contents[42:]
    np.testing.assert_array_equal(
        decode_audio_by(unknown)[0], decode_audio(contents)[0]
    )
    other = contents[:26] + b"x" + contents[27:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not those"):
        decode_audio_by(other)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_without_its_length_equals_mp3_with_it(channels, rate_hz, decode_audio_by):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * rate_hz, channels))
    contents = encode(samples, "MP3", "MPEG_LAYER_III", rate_hz)
    waveform, _ = decode_audio_by(contents)
    # The second frame: what the first one, with the length, holds as audio is silence.
    second = contents.index(contents[:2], 4)
    whole, found_hz = decode_audio_by(contents[second:])
    assert found_hz.numpy() == rate_hz
    delay = 576  # of the encoder, LAME
    np.testing.assert_allclose(
        whole[delay:][: len(waveform)], waveform[: len(whole) - delay], atol=1e-5
    )
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_audio_by(contents[second:-1])


def with_granule(ogg, samples):
    """An Ogg file whose last page says that a channel has so many samples."""
    last = ogg.rindex(b"OggS")
    page = ogg[last : last + 6] + struct.pack("<q", samples) + ogg[last + 14 :]
    return ogg[:last] + page[:22] + _ogg_crc(page) + page[26:]


def test_a_second_stream_in_an_ogg_file_is_not_decoded(decode_audio_by):
    ogg = encode(stereo(1), "OGG", "VORBIS")
    alone, _ = decode_audio_by(ogg)
    both, _ = decode_audio_by(ogg + with_granule(ogg, 2**26 + 1))
    np.testing.assert_array_equal(both, alone)


def test_mp3_is_no_longer_than_memory_allows(decode_audio_by, monkeypatch):
    mp3 = encode(stereo(1), "MP3", "MPEG_LAYER_III")
    monkeypatch.setattr(decode_module, "count_mp3_frames", lambda _: 58_255)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Received: 134219520\."):
        decode_audio_by(mp3)


def test_read_audio_explains_in_one_line(tmp_path, decode_audio_by):
    samples = stereo(4)
    ogg = encode(samples, "OGG", "VORBIS")
    mp3 = encode(samples, "MP3", "MPEG_LAYER_III")
    bad = np.where(np.arange(len(samples))[:, None] == 7, np.nan, samples)
    cases = {
        "empty": (b"", "empty"),
        "text": (b"This is no audio at all.", "Expected wav, flac, ogg"),
        "cut.wav": (encode(samples)[:-100], "truncated"),
        "header.wav": (encode(samples)[:30], "RIFF/WAVE"),
        "silent.wav": (encode(samples[:0]), "no samples"),
        "nan.wav": (encode(bad, "WAV", "FLOAT"), "not finite"),
        "cut.flac": (encode(samples, "FLAC")[:-9000], "truncated or damaged"),
        "header.flac": (b"fLaC", "FLAC of 8, 16 or 24 bits"),
        "stream.flac": (with_length(encode(samples, "FLAC"), 0), "0 samples"),
        "bomb.flac": (with_length(encode(samples, "FLAC"), 2**26 + 1), "134217730."),
        "bomb.ogg": (with_granule(ogg, 2**26 + 1), "up to 134217728 samples in comp"),
        "endless.ogg": (with_granule(ogg, -1), "compressed audio. Received: -2."),
        "cut.ogg": (ogg[: len(ogg) // 2], "truncated"),
        "almost.ogg": (ogg[:-1], "truncated"),
        "opus.ogg": (encode(samples, "OGG", "OPUS"), "Vorbis"),
        "cut.mp3": (mp3[: len(mp3) // 2], "truncated or damaged"),
    }
    for name, (contents, reason) in cases.items():
        path = tmp_path / name
        path.write_bytes(contents)
        with pytest.raises(AudioError) as error:
            read_audio(path)
        message = str(error.value)
        assert message.startswith(f"{path}: "), name
        assert reason in message, name
        assert "\n" not in message, name


def test_read_audio_names_paths_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.wav", tmp_path):
        with pytest.raises(AudioError, match=f"{path}: cannot be read"):
            read_audio(path)
