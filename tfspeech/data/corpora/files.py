"""Functions about files that the layouts of corpora share."""

from __future__ import annotations

from pathlib import Path

AUDIO_SUFFIXES = (".flac", ".mp3", ".ogg", ".wav")


def audio_files(folder: Path, pattern: str = "*") -> list[Path]:
    """Returns the audio files in a folder, with `"**/*"` at any depth, sorted."""
    return sorted(
        path for path in folder.glob(pattern) if path.suffix.lower() in AUDIO_SUFFIXES
    )
