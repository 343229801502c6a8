"""Layers that models share. All of them leave padding without influence."""

from models.layers.convolution import MaskedConv1D
from models.layers.masking import mask_frames, sequence_mask
from models.layers.normalization import FeatureNormalization
from models.layers.pooling import AttentionPooling, LastPooling, MeanPooling
from models.layers.recurrent import Recurrent
from models.layers.tied import TiedConv1D, TiedEmbedding

__all__ = [
    "AttentionPooling",
    "FeatureNormalization",
    "LastPooling",
    "MaskedConv1D",
    "MeanPooling",
    "Recurrent",
    "TiedConv1D",
    "TiedEmbedding",
    "mask_frames",
    "sequence_mask",
]
