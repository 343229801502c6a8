"""A client of TF Serving, over REST or gRPC, that knows what our models take."""

from tfspeech.serving.client.answers import Speech, Text, Word
from tfspeech.serving.client.model import RemoteModel, wav_contents

__all__ = ["RemoteModel", "Speech", "Text", "Word", "wav_contents"]
