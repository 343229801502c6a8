"""Panels of `plot_validation` for a synthesiser with attention."""

LEARNING = (
    ("Loss under teacher forcing", "loss", ("loss",)),
    ("Mel-cepstral distortion, free-running", "dB", ("mcd_db",)),
    (
        "Attention",
        "share",
        ("focus", "diagonality", "monotonic_coverage", "stopped"),
    ),
    ("Words lost", "share of the words", ("skipped_words", "repeated_words")),
)
