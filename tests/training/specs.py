"""A spec of every strategy that acts on the toy model within a few steps."""

from tfspeech.strategies import CLIPPINGS, REGULARIZATIONS

CLIP = {
    "none": "none()",
    "value": "value(0.05)",
    "inverse_sqrt_dim": "inverse_sqrt_dim()",
    "norm": "norm(0.3)",
    "global_norm": "global_norm(0.5)",
    "block_rms": "block_rms(0.1)",
    "adaptive": "adaptive(0.1)",
    "percentile": "percentile(30)",
    "quantile": "quantile(0.5)",
    "zscore": "zscore(1.0, warmup=3)",
    "median": "median(0.5)",
    "skip_spikes": "skip_spikes(1.0, warmup=3)",
    "error_feedback": "error_feedback('value(0.05)')",
    "smooth": "smooth(1.0)",
    "centralize": "centralize()",
}
REGULARIZE = {
    "none": "none()",
    "l1": "l1(0.01)",
    "l2": "l2(0.01)",
    "l1_l2": "l1_l2(0.01, 0.01)",
    "kl_gaussian": "kl_gaussian(0.01)",
    "kl_sparsity": "kl_sparsity(0.1, 0.1)",
    "orthogonal": "orthogonal(0.01)",
    "weight_decay": "weight_decay(1.0)",
    "l1_prox": "l1_prox(0.5)",
    "group_lasso": "group_lasso(0.5)",
    "box": "box(-0.3, 0.3)",
    "max_norm": "max_norm(0.5)",
    "l2_ball": "l2_ball(0.7)",
    "l1_ball": "l1_ball(1.5)",
    "spectral": "spectral(0.6)",
    "prune": "prune(0.5, begin=0, end=6, every=2)",
    "kl_mean_field": "kl_mean_field(1.0)",
    "hard_concrete_l0": "hard_concrete_l0(0.01)",
    "budget": "budget(parameters=100)",
}

if set(CLIP) != set(CLIPPINGS) or set(REGULARIZE) != set(REGULARIZATIONS):
    raise AssertionError("a strategy has no spec here, or a spec no strategy")
