"""A variant becomes a pipeline: whether it can run here, where to load for it, and what is changed when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.variants.entry import Variant
from pytest_sdbatch.pipelines.variants.table import lookup
from pytest_sdbatch.pipelines.variants.words import NO_VARIANTS


def check(variant: str, *, device: str, weights: str) -> None:
    """Raise unless *variant*, a canonical text, can run; asked before a model is loaded for it.

    Args:
        variant: what is asked for. A project's own variants are not looked at: they can only fail.
        device: as torch names it.
        weights: ``random``, ``trained`` or ``own``.

    Raises:
        CannotRun: where this device, or what is installed, cannot.
        ModelError: where it says nothing with such weights.

    """
    for row in _rows(variant):
        if row.check is not None:
            row.check(device)
    check_weights(variant, weights=weights)


def check_weights(variant: str, *, weights: str) -> None:
    """Raise ModelError where *variant*, a canonical text, says nothing with *weights*, on whatever machine."""
    for row in _rows(variant):
        if row.trained_only and weights == "random":
            raise ModelError(
                f"variant {row.name} is not measured with random weights",
                why=row.trained_only,
                fix="name a folder or hub id with trained weights, or leave it out",
            )


def load_device(variant: str, *, device: str) -> str:
    """Return where a pipeline is to be loaded so that *variant* can bring it to *device*."""
    return "cpu" if any(row.on_host for row in _rows(variant)) else device


def apply(pipeline: Any, variant: str, *, device: str, extra: Mapping[str, Variant] = NO_VARIANTS) -> None:
    """Change *pipeline* in place to run as *variant*, a canonical text, on *device*.

    Args:
        pipeline: newly loaded, on :func:`load_device`.
        variant: what is asked for.
        device: where it is to run, as torch names it.
        extra: a project's own variants by name.

    Raises:
        CannotRun: where the pipeline lacks what the variant changes, or the device turns out not to be able to run it.

    """
    chosen = _rows(variant, extra)
    for row in chosen:
        if not row.compiles:
            row.apply(pipeline)
    for row in chosen:
        if row.place is not None:
            row.place(pipeline, device)
    if any(row.on_host for row in chosen) and not any(row.place for row in chosen):
        pipeline.to(device)
    for row in chosen:
        if row.compiles:
            row.apply(pipeline)


def is_compiled(variant: str) -> bool:
    """Return whether *variant* compiles; a project's own do not."""
    return any(row.compiles for row in _rows(variant))


def _rows(variant: str, extra: Mapping[str, Variant] = NO_VARIANTS) -> list[Variant]:
    """Return the variants that a canonical text names, in its order; those that are neither ours nor in *extra* not."""
    found = (lookup(name, extra) for name in variant.split("+"))
    return [row for row in found if row is not None]
