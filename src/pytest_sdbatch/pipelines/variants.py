"""Variants: ways of running the same weights. One table; each is applied to a loaded pipeline in place."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pytest_sdbatch.errors import ModelError, OptionError
from pytest_sdbatch.pipelines.anatomy import denoiser_name

EAGER = "eager"
COMPILE = "compile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of the table."""

    name: str
    what: str
    apply: Callable[[Any], None]  # changes a pipeline in place; raises ModelError where it cannot


def canonical(text: str) -> str:
    """Return the names of *text*, joined by ``+``, in the order of the table.

    Raises:
        OptionError: for an unknown name, one given twice, or ``eager`` beside another.

    """
    names = text.split("+")
    for name in names:
        if name not in VARIANTS:
            near = difflib.get_close_matches(name, VARIANTS, n=2, cutoff=0.5)
            raise OptionError(
                f"unknown variant {name!r}" + (f" in {text!r}" if name != text else ""),
                fix=f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(VARIANTS)}, joined by +",
            )
        if names.count(name) > 1:
            raise OptionError(f"variant {text!r} names {name} twice", fix="give each name once")
    if EAGER in names and len(names) > 1:
        rest = "+".join(name for name in names if name != EAGER)
        raise OptionError(
            f"variant {text!r}: eager stands alone", why="it means that nothing is changed", fix=f"use {rest}"
        )
    return "+".join(name for name in VARIANTS if name in names)


def apply(pipeline: Any, variant: str) -> None:
    """Change *pipeline* in place to run as *variant*, a canonical text.

    Raises:
        ModelError: for a pipeline that lacks what the variant changes.

    """
    for name in variant.split("+"):
        VARIANTS[name].apply(pipeline)


def compiled_graphs() -> int:
    """Return how many graphs ``torch.compile`` has made in this process since the last reset.

    A difference over the timed rounds that is not 0 is a recompile. The counter is the one ``torch._dynamo`` keeps
    for its own profiler; torch has no public one.
    """
    import torch._dynamo.utils

    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def reset_compiler() -> None:
    """Forget every compiled graph of this process, and the count of them."""
    import torch
    import torch._dynamo.utils

    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()


@contextlib.contextmanager
def private_compiler_cache() -> Iterator[None]:
    """Compile anew inside: an empty cache folder of our own, gone afterwards, and no graph from before."""
    import torch._inductor.utils

    reset_compiler()
    fresh: AbstractContextManager[None] = torch._inductor.utils.fresh_inductor_cache()
    with fresh:
        yield


def is_compiled(variant: str) -> bool:
    """Return whether *variant* compiles."""
    return COMPILE in variant.split("+")


def _nothing(pipeline: Any) -> None:
    del pipeline


def _channels_last(pipeline: Any) -> None:
    import torch

    for name in ("unet", "vae"):
        _part(pipeline, name, variant="channels-last").to(memory_format=torch.channels_last)


def _vae_slicing(pipeline: Any) -> None:
    _part(pipeline, "vae", variant="vae-slicing", method="enable_slicing").enable_slicing()


def _vae_tiling(pipeline: Any) -> None:
    _part(pipeline, "vae", variant="vae-tiling", method="enable_tiling").enable_tiling()


def _attention_slicing(pipeline: Any) -> None:
    name = denoiser_name(pipeline) or "denoiser"
    part = _part(pipeline, name, variant="attention-slicing", method="set_attention_slice")
    part.set_attention_slice("auto")


def _compile(pipeline: Any) -> None:
    # The module's own method: a wrapper of torch.compile() would rename every parameter and break save_pretrained.
    part = _part(pipeline, denoiser_name(pipeline) or "denoiser", variant=COMPILE)
    part.compile(dynamic=False)


def _part(pipeline: Any, name: str, *, variant: str, method: str | None = None) -> Any:
    part = getattr(pipeline, name, None)
    if part is None or (method is not None and not hasattr(part, method)):
        lacks = f"has no {name}" if part is None else f"has a {name} without {method}()"
        raise ModelError(
            f"variant {variant} cannot be applied to {type(pipeline).__name__}",
            why=f"the pipeline {lacks}",
            fix=f"leave {variant} out for this model",
        )
    return part


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        row.name: row
        for row in (
            Variant(name=EAGER, what="the pipeline as it is", apply=_nothing),
            Variant(name="channels-last", what="UNet and VAE in channels-last memory format", apply=_channels_last),
            Variant(name="vae-slicing", what="the VAE decodes one image at a time", apply=_vae_slicing),
            Variant(name="vae-tiling", what="the VAE decodes large images in tiles", apply=_vae_tiling),
            Variant(name="attention-slicing", what="attention in two steps, less memory", apply=_attention_slicing),
            Variant(name=COMPILE, what="torch.compile of the denoiser, static shapes", apply=_compile),
        )
    }
)
