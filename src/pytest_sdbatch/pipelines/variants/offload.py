"""Variants that keep the parameters in host memory and bring them to the device piece by piece."""

from __future__ import annotations

import functools
from typing import Any

from pytest_sdbatch.pipelines.variants.entry import Variant, cannot_run, kind, lacks


def check(device: str, *, variant: str) -> None:
    """Raise CannotRun where whole components or layers cannot leave the device, or nothing is there to move them."""
    if kind(device) == "cpu":
        raise cannot_run(
            variant,
            device,
            why="it moves parameters between host memory and an accelerator, and here there is none",
            fix="leave it out on a CPU; group-offload runs there",
        )


def check_group(device: str) -> None:
    """Raise CannotRun where diffusers cannot move layers without an accelerator: older ones fail in the first call."""
    if kind(device) != "cpu":
        return
    import torch
    from diffusers.hooks import apply_group_offloading

    layer = torch.nn.Sequential(torch.nn.Linear(1, 1))
    place = torch.device(device)
    try:
        apply_group_offloading(layer, onload_device=place, offload_device=place, offload_type="leaf_level")
        layer(torch.zeros(1, 1))
    except AttributeError as error:
        raise cannot_run(
            "group-offload",
            device,
            why="the installed diffusers moves layers to an accelerator only",
            fix="update diffusers: 0.42 runs it on a CPU",
        ) from error


def by_component(pipeline: Any, device: str) -> None:
    """Bring each component to *device* when it is called, and back when the next one is."""
    pipeline.enable_model_cpu_offload(device=device)


def by_layer(pipeline: Any, device: str) -> None:
    """Bring the parameters of each layer to *device* when it is called, and back at once."""
    pipeline.enable_sequential_cpu_offload(device=device)


def by_group(pipeline: Any, device: str) -> None:
    """Bring the parameters of each layer to *device* while the one before it computes."""
    import torch

    enable = getattr(pipeline, "enable_group_offload", None)
    if enable is None:
        raise lacks(pipeline, "group-offload", "the installed diffusers has no enable_group_offload() for it")
    try:
        # Streams are what makes it faster than moving by layer; a CPU has none.
        enable(onload_device=torch.device(device), offload_type="leaf_level", use_stream=kind(device) == "cuda")
    except ValueError as error:  # a component that says it does not support it
        raise lacks(pipeline, "group-offload", str(error).splitlines()[0]) from error


VARIANTS = (
    Variant(
        name="model-offload",
        what="components wait in host memory; needs a GPU",
        check=functools.partial(check, variant="model-offload"),
        on_host=True,
        place=by_component,
    ),
    Variant(
        name="sequential-offload",
        what="every layer waits in host memory; least memory, slowest; needs a GPU",
        check=functools.partial(check, variant="sequential-offload"),
        on_host=True,
        place=by_layer,
    ),
    Variant(
        name="group-offload",
        what="layers wait in host memory and are fetched ahead",
        check=check_group,
        on_host=True,
        place=by_group,
    ),
)
