"""What a pipeline is made of, read from the object: its denoiser, its switches, its size."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.records import Derived


def is_pipeline(target: object) -> bool:
    """Return whether *target* is to be called as a diffusers pipeline is."""
    return callable(target) and hasattr(target, "components")


def denoiser_name(pipeline: Any) -> str | None:
    """Return ``"unet"`` or ``"transformer"``, whichever *pipeline* has, or None."""
    for name in ("unet", "transformer"):
        if getattr(pipeline, name, None) is not None:
            return name
    return None


def count(pipeline: Any) -> int:
    """Return the number of parameters of all components; a shared one counts once."""
    parts = [part for part in pipeline.components.values() if callable(getattr(part, "parameters", None))]
    distinct = {id(parameter): parameter.numel() for part in parts for parameter in part.parameters()}
    return sum(distinct.values())


def describe(pipeline: Any) -> Derived:
    """Return what *pipeline* makes of a case; the denoiser's batch and calls are counted elsewhere, while it runs."""
    vae = getattr(pipeline, "vae", None)
    scheduler = getattr(pipeline, "scheduler", None)
    return Derived(
        parameters=count(pipeline),
        vae_slicing=_flag(vae, "use_slicing"),
        vae_tiling=_flag(vae, "use_tiling"),
        force_upcast=_flag(getattr(vae, "config", None), "force_upcast"),
        safety_checker=getattr(pipeline, "safety_checker", None) is not None,
        watermarker=getattr(pipeline, "watermark", None) is not None,
        scheduler=None if scheduler is None else type(scheduler).__name__,
        pipeline_class=type(pipeline).__name__,
    )


def _flag(owner: object, name: str) -> bool | None:
    value = getattr(owner, name, None)
    return None if value is None else bool(value)
