"""What training holds in memory at least: counted from the architecture, with nothing allocated.

Exact for what it counts. What activations take on top depends on kernels and checkpointing, and is left to a step that
runs: an operation on the meta device keeps no account of what it would free.
"""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.training import LORA
from pytest_sdbatch.pipelines.architectures import Architecture
from pytest_sdbatch.pipelines.build import make_component
from pytest_sdbatch.training.families import family_of
from pytest_sdbatch.training.trainer import Held

_FP32_BYTES = 4
_STATES = {"adamw": 2, "sgd": 0}  # values that an optimizer keeps of each parameter; of others it is not counted


def floor_of(case: Case, entry: Architecture) -> Held | None:
    """Return parameters, and the bytes of weights, gradients and optimizer of training the denoiser of *entry*.

    None for an optimizer whose state has no fixed size. The VAE and text encoders count where nothing is cached.
    """
    how = case.training
    if how is None or how.optimizer not in _STATES:
        return None
    family = family_of(entry.pipeline_class)
    lora = how.method == LORA
    denoiser = make_component(entry.components[family.denoiser], device="meta", dtype=case.dtype if lora else "fp32")
    sizes = _adapter_sizes(denoiser, family.adapted, how.rank or 1) if lora else _sizes(denoiser)
    trainable = sum(sizes)
    weights = _bytes(denoiser) + (trainable * _FP32_BYTES if lora else 0)
    if not how.cache:
        for name, component in entry.components.items():
            if component.parameters and name != family.denoiser:
                weights += _bytes(make_component(component, device="meta", dtype=case.dtype))
    states = _STATES[how.optimizer]
    counters = len(sizes) * _FP32_BYTES if states else 0  # one count of steps for each tensor
    return Held(
        trainable_parameters=trainable,
        weight_bytes=weights,
        gradient_bytes=trainable * _FP32_BYTES,
        optimizer_bytes=states * trainable * _FP32_BYTES + counters,
    )


def _adapter_sizes(denoiser: Any, layers: tuple[str, ...], rank: int) -> list[int]:
    """Return the sizes of the two matrices of each adapted layer, which peft finds by the ends of names."""
    sizes = []
    for name, module in denoiser.named_modules():
        if any(name == layer or name.endswith(f".{layer}") for layer in layers) and hasattr(module, "in_features"):
            sizes += [rank * module.in_features, rank * module.out_features]
    return sizes


def _sizes(denoiser: Any) -> list[int]:
    return [parameter.numel() for parameter in denoiser.parameters()]


def _bytes(module: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
