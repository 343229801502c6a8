"""Audio in, features out: decoding, resampling, features and augmentation."""
