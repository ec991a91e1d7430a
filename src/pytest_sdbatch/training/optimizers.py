"""Optimizers by the words of ``train_optimizer``."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.training import LORA

_WEIGHT_DECAY = 1e-2
LARGEST_NORM = 1.0  # of a gradient, as the training scripts clip it


def default_rate(method: str) -> float:
    """Return the learning rate that diffusers' scripts have for LoRA, and for all weights."""
    return 1e-4 if method == LORA else 1e-5


def check_installed(optimizer: str) -> None:
    """Refuse an optimizer whose package is missing.

    Raises:
        ModelError: says how to get it.

    """
    import importlib.util

    if optimizer == "adamw8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "adamw8bit needs the package bitsandbytes", fix="pip install bitsandbytes, or -o sd_train_optimizer=adamw"
        )


def make(optimizer: str, parameters: list[Any], *, rate: float) -> Any:
    """Return a new optimizer of *parameters*; its state is made by its first step."""
    import torch

    if optimizer == "adamw8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
    if optimizer == "adafactor":
        return torch.optim.Adafactor(parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
    if optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=_WEIGHT_DECAY)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=_WEIGHT_DECAY)


def state_bytes(optimizer: Any) -> int:
    """Return the bytes that *optimizer* keeps beside the parameters, after its first step."""
    kept = [value for state in optimizer.state.values() for value in state.values()]
    return sum(value.numel() * value.element_size() for value in kept if hasattr(value, "element_size"))
