"""Variants of the denoiser's attention: which back end computes it, and in how many matrix products."""

from __future__ import annotations

import difflib
import functools
import warnings
from typing import Any

from pytest_sdbatch.errors import CannotRun, OptionError
from pytest_sdbatch.pipelines.variants.entry import Variant, cannot_run, denoisers, lacks

PREFIX = "attn:"
LISTED = f"{PREFIX}BACKEND"  # how the table names all of them


def backend_variant(name: str) -> Variant:
    """Return the variant *name*, ``attn:`` and one of diffusers' names of attention back ends.

    Raises:
        OptionError: for a back end that the installed diffusers does not know.

    """
    backend = name.removeprefix(PREFIX)
    known = backends()
    if backend not in known:
        near = difflib.get_close_matches(backend.lower(), known, n=2, cutoff=0.5)
        words = [f"{PREFIX}{word}" for word in near or known]
        raise OptionError(
            f"unknown attention back end {backend!r} in {name!r}",
            why=f"diffusers {_version()} has no such name",
            fix=f"did you mean {' or '.join(words)}?" if near else f"use {', '.join(words)}",
        )
    return Variant(
        name=name,
        what=f"attention by diffusers' back end {backend}",
        apply=functools.partial(_set_backend, backend=backend),
    )


def backends() -> tuple[str, ...]:
    """Return the back ends that the installed diffusers knows by name; whether they run here is another question."""
    # Asked only where a variant names a back end: importing it takes seconds.
    from diffusers.models.attention_dispatch import AttentionBackendName

    return tuple(backend.value for backend in AttentionBackendName)


def fuse_qkv(pipeline: Any) -> None:
    """Compute query, key and value of the denoiser's attention in one matrix product."""
    for denoiser in denoisers(pipeline, variant="fuse-qkv", method="fuse_qkv_projections"):
        try:
            denoiser.fuse_qkv_projections()
        except ValueError as error:  # such as "not supported for models having added KV projections"
            raise lacks(pipeline, "fuse-qkv", str(error)) from error
        if not any(getattr(module, "fused_projections", False) for module in denoiser.modules()):
            raise lacks(pipeline, "fuse-qkv", "no attention of its denoiser has projections that could be fused")
        if any(_joint_alone(module) for module in denoiser.modules()):
            raise lacks(pipeline, "fuse-qkv", "diffusers cannot call the fused dual attention of its denoiser")


def _set_backend(pipeline: Any, *, backend: str) -> None:
    from diffusers import attention_backend

    variant = f"{PREFIX}{backend}"
    for denoiser in denoisers(pipeline, variant=variant, method="set_attention_backend"):
        routed = [
            module for module in denoiser.modules() if hasattr(getattr(module, "processor", None), "_attention_backend")
        ]
        if not routed:
            raise lacks(
                pipeline, variant, f"the attention of its {type(denoiser).__name__} does not go through these back ends"
            )
        try:
            # The method also makes the back end that of the whole process, for every pipeline to come: the context
            # manager, entered with the one that is always there, puts back what held before.
            with attention_backend("native"):
                denoiser.set_attention_backend(backend)
        except (RuntimeError, ImportError, OSError, ValueError) as error:  # a package that is missing or too old
            raise _refused(variant, denoiser, error) from error
        _try(variant, denoiser, routed[0], backend)


def _joint_alone(module: Any) -> bool:
    """Return whether *module* was given the fused joint processor but has no text to join, as in SD3.5 medium."""
    processor = type(getattr(module, "processor", None)).__name__
    return processor == "FusedJointAttnProcessor2_0" and getattr(module, "add_k_proj", None) is None


def _try(variant: str, denoiser: Any, attention: Any, backend: str) -> None:
    """Compute a small attention where the denoiser is, with its dtype and head size.

    Most back ends that cannot run on a device say so only when they are called.
    """
    import torch
    from diffusers.models.attention_dispatch import dispatch_attention_fn

    heads = getattr(attention, "heads", None)
    width = getattr(attention, "inner_dim", None)
    head_size = width // heads if heads and width else 64
    parameter = next(denoiser.parameters())
    dtype = getattr(denoiser, "dtype", parameter.dtype)
    query = torch.zeros(1, 128, heads or 1, head_size, device=parameter.device, dtype=dtype)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come again in the call that is measured
            dispatch_attention_fn(query, query, query, backend=backend)
    except Exception as error:
        # Of whatever type: each back end has its own way of failing, down to calling None.
        raise _refused(variant, denoiser, error) from error


def _refused(variant: str, denoiser: Any, error: Exception) -> CannotRun:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    device = next(denoiser.parameters()).device
    return cannot_run(variant, str(device), why=reason, fix="use attn:native, which every device has")


def _version() -> str:
    from importlib.metadata import version

    return version("diffusers")
