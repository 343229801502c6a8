"""Flags of recognisers that train in seconds, and the pitches of their words."""

SMALL = [
    *("--features=log_mel", "--utterance-normalization=none", "--noise-share=0.2"),
    *("--units=8", "--conv-filters=8", "--dropout=0.1", "--synthetic-per-label=0"),
    *("--epochs=5", "--batch-size=8", "--warmup-steps=0", "--learning-rate=0.02"),
    "--ema-momentum=0.5",
]

SMALL_TRANSCRIBER = [
    *(
        "ctc_recognizer",
        "--features=log_mel",
        "--num-mels=16",
        "--utterance-normalization=none",
    ),
    *("--units=16", "--conv-filters=16", "--layers=1", "--dropout=0"),
    *("--time-masks=0", "--noise-share=0", "--room-share=0", "--speed=0"),
    *("--epochs=6", "--batch-size=8", "--warmup-steps=0", "--learning-rate=0.03"),
    *("--ema-momentum=0.5", "--synthetic-share=0"),
]

SMALL_HYBRID = [
    *("hybrid_recognizer", "--features=log_mel", "--num-mels=16"),
    *("--sample-rate-hz=8000", "--units=24", "--conv-filters=24", "--layers=1"),
    *("--time-masks=0", "--noise-share=0", "--room-share=0", "--dropout=0"),
    *("--epochs=10", "--batch-size=4", "--warmup-steps=0", "--learning-rate=0.02"),
    *("--ema-momentum=0.5", "--synthetic-share=0"),
]

SMALL_HMM = [
    *("hmm_recognizer", "--num-mels=16", "--sample-rate-hz=8000", "--gaussians=2"),
    *("--time-masks=0", "--noise-share=0", "--room-share=0", "--epochs=2"),
    *("--batch-size=4", "--warmup-steps=0", "--ema-momentum=0.5"),
    "--synthetic-share=0",
]

TONES_HZ = {"low": 300.0, "middle": 700.0, "high": 1500.0}
