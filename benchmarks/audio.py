"""Features against librosa, and how fast the pipeline feeds the training step."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator

import librosa
import numpy as np
import tensorflow as tf

from benchmarks.timing import interleaved, print_table, ratios
from tfspeech.audio.augment import AugmentConfig
from tfspeech.audio.features import FeatureConfig, extract_features
from tfspeech.data.batches import BatchPlan
from tfspeech.data.corpora import load_corpus
from tfspeech.data.pipeline import augmented_words, planned_batches
from tfspeech.data.store import prepare
from tfspeech.strategies import Run
from tfspeech.tasks.groups import build_step, describe_groups
from tfspeech.tasks.registry import build_task, default_config
from tfspeech.training.config import TrainingConfig
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
    mean_s = float(np.mean(data.store.measurements["seconds"]))
    hours = PIPELINE_BATCHES * settings.batch_size * mean_s / 3600
    rate = hours / statistics.median(seconds["pipeline"])
    rows = {"alone": f"{rate:6.2f} hours of audio per second"}
    against_step = ratios(seconds, "step")
    rows["time of a batch against a step"] = f"{against_step['pipeline']:6.3f}"
    rows["step fed by it against step alone"] = f"{against_step['both']:6.3f}"
    print_table("Training pipeline: cached audio, augmentation, features", rows)


def benchmark_workers(corpus_spec: str = "spoken_digits") -> None:
    """Prints the CPU time of one of four workers against that of the whole pipeline.

    Args:
        corpus_spec: A corpus of words, all of which are read.
    """
    corpus = load_corpus(corpus_spec)
    store, _ = prepare(corpus)
    config = FeatureConfig(sample_rate_hz=store.sample_rate_hz)
    utterances = np.arange(len(store))
    load = augmented_words(store, utterances, 0 * utterances, config, AugmentConfig())
    batch_size = TrainingConfig().batch_size
    plan = BatchPlan(store.lengths, batch_size)

    def cpu_s(batches: Iterator[object]) -> float:
        started = time.process_time()
        for _ in itertools.islice(batches, PIPELINE_BATCHES):
            pass
        time.sleep(0.5)  # What is read ahead belongs to this time, not to the next.
        return time.process_time() - started

    shards = {"whole": (0, 1), "one of four": (0, 4)}
    iterators = {
        name: iter(planned_batches(plan, load, seed=0, shard=shard))
        for name, shard in shards.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in shards}
    for number in range(ROUNDS + 1):
        for name, batches in iterators.items():
            spent = cpu_s(batches)
            if number:  # The first round traces.
                seconds[name].append(spent)
    rows = {}
    for name, times in seconds.items():
        batch_ms = 1000 * statistics.median(times) / PIPELINE_BATCHES
        rows[f"{name}: CPU time of a batch"] = f"{batch_ms:6.2f} ms"
    ratio = ratios(seconds, "whole")["one of four"]
    rows["one of four against whole"] = f"{ratio:6.3f}"
    print_table(f"Rows of a worker: {corpus.name}, batches of {batch_size}", rows)
