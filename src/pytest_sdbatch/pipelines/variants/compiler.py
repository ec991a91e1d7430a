"""Variants that compile the denoiser, and the state of the compiler in this process."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from pytest_sdbatch.pipelines.variants.entry import Variant, denoisers, lacks

COMPILE = "compile"


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


def whole(pipeline: Any, *, mode: str | None = None) -> None:
    """Compile the denoiser when it is first called."""
    for denoiser in denoisers(pipeline, variant=COMPILE if mode is None else f"{COMPILE}:{mode}"):
        # The module's own method: a wrapper of torch.compile() would rename every parameter and break save_pretrained.
        denoiser.compile(dynamic=False, mode=mode)


def regional(pipeline: Any) -> None:
    """Compile the blocks that the denoiser repeats: equal ones share their code, so that compiling is short."""
    variant = "compile-regional"
    for denoiser in denoisers(pipeline, variant=variant, method="compile_repeated_blocks"):
        try:
            denoiser.compile_repeated_blocks(dynamic=False)
        except ValueError as error:  # it names no blocks, or has none of those it names
            why = f"diffusers does not say which blocks {type(denoiser).__name__} repeats"
            raise lacks(pipeline, variant, why) from error


VARIANTS = (
    Variant(name=COMPILE, what="torch.compile of the denoiser, static shapes", apply=whole, compiles=True),
    Variant(
        name="compile:max-autotune",
        what="the same, with the fastest kernels searched for: minutes",
        apply=functools.partial(whole, mode="max-autotune"),
        compiles=True,
    ),
    Variant(
        name="compile-regional",
        what="torch.compile of the denoiser's repeated blocks only",
        apply=regional,
        compiles=True,
    ),
)
