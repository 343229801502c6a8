"""Panels of `plot_validation` for a duration-based synthesiser."""

LEARNING = (
    ("Loss", "squared error, normalised", ("loss",)),
    ("Mel-cepstral distortion, true durations", "dB", ("aligned_mcd_db",)),
    ("Duration RMSE", "frames", ("duration_rmse_frames",)),
)
