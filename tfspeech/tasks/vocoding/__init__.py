"""Vocoders: networks that turn the acoustic frames of speech into waveforms."""
