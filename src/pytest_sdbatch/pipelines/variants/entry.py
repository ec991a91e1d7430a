"""What a variant is, and what all of them share: the parts of a pipeline they change, and how they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_sdbatch.errors import CannotRun

DENOISERS = ("unet", "transformer", "transformer_2")


def nothing(pipeline: Any) -> None:
    """Leave *pipeline* as it is."""
    del pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of running the same weights.

    ``apply`` is called once, with a newly loaded pipeline. It changes that in place and raises where it cannot,
    CannotRun where the pipeline lacks what it changes: a variant is never recorded for a pipeline that ignored it.
    """

    name: str
    what: str
    apply: Callable[[Any], None] = nothing
    check: Callable[[str], None] | None = None  # before loading: raises CannotRun where this device cannot run it
    on_host: bool = False  # the parameters are loaded into host memory, and put on the device once they are changed
    place: Callable[[Any, str], None] | None = None  # puts a pipeline on the device; None: all of it, at once
    compiles: bool = False  # applied last, to the pipeline in its place
    trained_only: str = ""  # why it means nothing with random weights


def part(pipeline: Any, name: str, *, variant: str, method: str | None = None) -> Any:
    """Return the component *name* of *pipeline*.

    Raises:
        CannotRun: where there is none, or it has no *method*.

    """
    found = getattr(pipeline, name, None)
    if found is None:
        raise lacks(pipeline, variant, f"the pipeline has no {name}")
    if method is not None and not hasattr(found, method):
        raise lacks(pipeline, variant, f"its {name}, a {type(found).__name__}, has no {method}()")
    return found


def denoisers(pipeline: Any, *, variant: str, method: str | None = None) -> list[Any]:
    """Return the denoisers of *pipeline*: some video models have two.

    Raises:
        CannotRun: where there is none, or one has no *method*.

    """
    names = [name for name in DENOISERS if getattr(pipeline, name, None) is not None]
    if not names:
        raise lacks(pipeline, variant, "the pipeline has no denoiser")
    return [part(pipeline, name, variant=variant, method=method) for name in names]


def lacks(pipeline: Any, variant: str, why: str) -> CannotRun:
    """Return the error for a pipeline that lacks what *variant* changes."""
    return CannotRun(
        f"variant {variant} cannot be applied to {type(pipeline).__name__}",
        why=why,
        fix=f"leave {variant} out for this model",
    )


def cannot_run(variant: str, device: str, *, why: str, fix: str = "") -> CannotRun:
    """Return the error for a machine that lacks what *variant* needs."""
    return CannotRun(f"variant {variant} cannot run on {device}", why=why, fix=fix or f"leave {variant} out here")


def kind(device: str) -> str:
    """Return ``cpu`` or ``cuda`` of a name like ``cuda:0``."""
    return device.partition(":")[0]
