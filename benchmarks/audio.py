"""Features against librosa, and how fast the pipeline feeds the training step."""

from __future__ import annotations

import itertools
import statistics

import librosa
import numpy as np
import tensorflow as tf

from benchmarks.timing import interleaved, print_table, ratios
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.strategies import Run
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.tasks.training import build_step, describe_groups
from tfspeech.training.distribution import Distribution

SECONDS, BATCH, RATE_HZ = 4.0, 32, 16000
ROUNDS = 15
PIPELINE_BATCHES = 40


def benchmark_features() -> None:
    """Prints hours of audio per second of log-mel features, ours and librosa's."""
    config = FeatureConfig(
        sample_rate_hz=RATE_HZ,
        features="log_mel",
        num_mels=80,
        utterance_normalization="none",
        preemphasis=0.0,
        trim_db=0.0,
        dynamic_range_db=0.0,
        delta_order=0,
    )
    rng = np.random.default_rng(0)
    shape = (BATCH, int(SECONDS * RATE_HZ))
    waveforms = rng.normal(size=shape).astype(np.float32) * 0.1
    lengths = tf.fill([BATCH], shape[1])
    extract = tf.function(lambda w: extract_features(w, lengths, config)[0])

    def with_librosa() -> list[np.ndarray]:
        return [
            librosa.power_to_db(
                librosa.feature.melspectrogram(
                    y=waveform,
                    sr=RATE_HZ,
                    n_fft=config.fft_length,
                    win_length=config.frame_length,
                    hop_length=config.hop_length,
                    n_mels=80,
                ),
                top_db=None,
            )
            for waveform in waveforms
        ]

    seconds = interleaved(
        {"ours": lambda: extract(waveforms).numpy(), "librosa": with_librosa}, ROUNDS
    )
    hours = BATCH * SECONDS / 3600
    rows = {
        name: f"{hours / statistics.median(times):6.2f} hours of audio per second"
        for name, times in seconds.items()
    }
    ratio = ratios(seconds, "librosa")["ours"]
    rows["time of ours against librosa"] = f"{ratio:6.3f}"
    print_table(f"Log-mel features, {BATCH} utterances of {SECONDS:g} s", rows)


def benchmark_pipeline() -> None:
    """Prints how fast the default pipeline is, alone and together with its step."""
    config = default_config("rnn_recognizer")
    data = config.read_data()
    config = config.resolved(data)
    recognition = build_task(config)
    settings = config.training
    training = config.read_training(recognition, data)
    batches = training.batches(0)
    iterator = iter(batches)
    # One batch over and over costs the pipeline nothing, and the step as much.
    few = iter(batches.take(PIPELINE_BATCHES).cache().repeat())
    run = Run(10_000, training.examples)
    step = build_step(
        recognition, settings, run, Distribution(), describe_groups(recognition)
    )

    def read() -> None:
        for _ in itertools.islice(iterator, PIPELINE_BATCHES):
            pass

    seconds = interleaved(
        {
            "pipeline": read,
            "step": lambda: step.run(few, PIPELINE_BATCHES),
            "both": lambda: step.run(iterator, PIPELINE_BATCHES),
        },
        rounds=5,
    )
    mean_s = float(np.mean(data.store.facts["seconds"]))
    hours = PIPELINE_BATCHES * settings.batch_size * mean_s / 3600
    rate = hours / statistics.median(seconds["pipeline"])
    rows = {"alone": f"{rate:6.2f} hours of audio per second"}
    against_step = ratios(seconds, "step")
    rows["time of a batch against a step"] = f"{against_step['pipeline']:6.3f}"
    rows["step fed by it against step alone"] = f"{against_step['both']:6.3f}"
    print_table("Training pipeline: cached audio, augmentation, features", rows)
