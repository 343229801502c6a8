"""Normalisation of English, symbols, phonemes, and eSpeak NG."""
