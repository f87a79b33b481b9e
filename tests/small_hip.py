"""A small model of HIP's real classes with random weights, as a checkpoint holds it."""

import os
from pathlib import Path

import pytest
import torch

from gadlib.calculators.hip import source as hip_source

SMALL = {
    "name": "EquiformerV2",
    "num_layers": 1,
    "num_layers_hessian": 1,
    "sphere_channels": 16,
    "attn_hidden_channels": 8,
    "num_heads": 2,
    "attn_alpha_channels": 8,
    "attn_value_channels": 4,
    "ffn_hidden_channels": 16,
    "edge_channels": 16,
    "lmax_list": [2],
    "mmax_list": [2],
    "max_radius": 5.0,
    "max_neighbors": 32,
    "hessian_no_attn_weights": True,
}


def source_or_skip() -> Path:
    absent = hip_source.missing_packages()
    if absent:
        pytest.skip(f"HIP needs {', '.join(absent)}")
    if not os.environ.get("HIP_SOURCE"):
        pytest.skip("HIP_SOURCE names no checkout of HIP")
    return hip_source.find_source(None)


def small_content(source: Path) -> dict:
    """What a checkpoint of a small model holds."""
    yaml, omegaconf = pytest.importorskip("yaml"), pytest.importorskip("omegaconf")
    defaults = yaml.safe_load((source / "configs/equiformer_v2.yaml").read_text())["model"]
    with torch.random.fork_rng(), hip_source.quiet():
        torch.manual_seed(0)
        model = hip_source.model_class(source)(**{**defaults, **SMALL})
    return {
        "state_dict": {f"potential.{key}": value for key, value in model.state_dict().items()},
        "hyper_parameters": {
            "model_config": omegaconf.OmegaConf.create(SMALL),
            "optimizer_config": omegaconf.OmegaConf.create({"lr": 3e-4, "betas": [0.9, 0.95]}),
            "training_config": omegaconf.OmegaConf.create({"bz": 128, "clip_grad": True}),
        },
        "epoch": 3,
        "global_step": 7,
    }


def small_checkpoint(path: Path) -> Path:
    """The path of such a checkpoint, now written; skips the test where HIP has no source."""
    torch.save(small_content(source_or_skip()), path)
    return path
