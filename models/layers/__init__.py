"""Layers that models share. All of them leave padding without influence."""

from models.layers.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    LocalAttention,
    LocationSensitiveAttention,
)
from models.layers.attention_decoder import AttentionDecoder
from models.layers.convolution import MaskedConv1D
from models.layers.dropout import Dropout
from models.layers.masking import mask_frames, sequence_mask
from models.layers.normalization import FeatureNormalization
from models.layers.pooling import AttentionPooling, LastPooling, MeanPooling
from models.layers.posterior import Posterior
from models.layers.postnet import Postnet
from models.layers.recurrent import Recurrent
from models.layers.residual import DepthwiseBlock, RecurrentBlock
from models.layers.self_attention import SelfAttentionBlock
from models.layers.text_encoder import TextEncoder
from models.layers.tied import TiedConv1D, TiedEmbedding

__all__ = [
    "AdditiveAttention",
    "Attention",
    "AttentionDecoder",
    "AttentionPooling",
    "DepthwiseBlock",
    "DotAttention",
    "Dropout",
    "FeatureNormalization",
    "LastPooling",
    "LocalAttention",
    "LocationSensitiveAttention",
    "MaskedConv1D",
    "MeanPooling",
    "Posterior",
    "Postnet",
    "Recurrent",
    "RecurrentBlock",
    "SelfAttentionBlock",
    "TextEncoder",
    "TiedConv1D",
    "TiedEmbedding",
    "mask_frames",
    "sequence_mask",
]
