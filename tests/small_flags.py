"""Flags of a recogniser that trains in seconds, and the pitches of its words."""

SMALL = [
    *("--features=log_mel", "--utterance-normalization=none", "--noise-share=0.2"),
    *("--units=8", "--conv-filters=8", "--dropout=0.1", "--synthetic-per-label=0"),
    *("--epochs=5", "--batch-size=8", "--warmup-steps=0", "--learning-rate=0.02"),
    "--ema-momentum=0.5",
]

TONES_HZ = {"low": 300.0, "middle": 700.0, "high": 1500.0}
