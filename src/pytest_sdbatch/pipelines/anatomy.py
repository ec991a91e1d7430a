"""What a pipeline is made of, read from the object: its denoiser, its switches, its size."""

from __future__ import annotations

from typing import Any

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.pipelines.dtypes import torch_dtype
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


def hide_progress(pipeline: Any) -> None:
    """Switch the pipeline's progress bar off: it writes while rounds are timed."""
    if hasattr(pipeline, "set_progress_bar_config"):
        pipeline.set_progress_bar_config(disable=True)


def check_own(pipeline: Any, case: Case) -> None:
    """Refuse a pipeline of the user's own that is not what its case, and so its row, would say.

    Raises:
        ModelError: for another dtype or another kind of device than the case's.
    """
    dtype, device = getattr(pipeline, "dtype", None), getattr(pipeline, "device", None)
    if dtype is not None and dtype != torch_dtype(case.dtype):
        raise ModelError(
            f"the pipeline is {dtype} where the case says {case.dtype}",
            why="the row would be named after a dtype that was not measured",
            fix="convert it: pipeline.to(pytest_sdbatch.torch_dtype(sd_case.dtype)), or name its dtype: --sd-dtypes",
        )
    kind = case.device.partition(":")[0]
    if device is not None and kind in ("cpu", "cuda") and device.type != kind:
        raise ModelError(
            f"the pipeline is on {device} where the case says {case.device}",
            fix="move it there: pipeline.to(sd_case.device)",
        )


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
