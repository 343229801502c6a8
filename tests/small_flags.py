"""Flags of a recogniser that trains in seconds."""

SMALL = [
    *("--features=log_mel", "--utterance-normalization=none", "--noise-share=0.2"),
    *("--units=8", "--conv-filters=8", "--dropout=0.1", "--synthetic-per-label=0"),
    *("--epochs=5", "--batch-size=8", "--warmup-steps=0", "--learning-rate=0.02"),
    "--ema-momentum=0.5",
]
