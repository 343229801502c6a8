"""Functions about files that the layouts of corpora share."""

from __future__ import annotations

from pathlib import Path

AUDIO_SUFFIXES = (".flac", ".mp3", ".ogg", ".wav")


def audio_files(folder: Path) -> list[Path]:
    """Returns the audio files directly in a folder, sorted by name."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES
    )
