"""Sides of a comparison, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_sdbatch.analysis.comparable import Facts
from pytest_sdbatch.analysis.sides import Measured, Place, SideRun

TEST = "benchmarks/test_x.py::test_it"
GROUP = "sd15-fp16-512x512-s20"
GIB = 2**30
QUIET = (0.001, -0.002, 0.0, 0.002, -0.001)  # what processes differ by, in ln s


def facts(**parts: Any) -> Facts:
    """Return facts of one machine, or what *parts* (must_match, drift, shown) make of them."""
    usual = {"must_match": {"device_name": "Card"}, "drift": {"driver": "580.1"}, "shown": {"commit": "abc"}}
    return Facts(**{part: {**values, **parts.get(part, {})} for part, values in usual.items()})


def measured(batch_size: int = 1, *, call_s: float = 1.0, **changes: Any) -> Measured:
    """Return a sound case of six rounds, or what *changes* make of it."""
    usual: dict[str, Any] = {
        "place": Place(test=TEST, group=GROUP, case=f"b{batch_size}x1", batch_size=batch_size),
        "seconds": [call_s * (1 + 0.001 * (k % 3)) for k in range(6)],
        "peak_bytes": [4 * GIB] * 6,
        "facts": facts(),
    }
    return Measured(**{**usual, **changes})


def ended(batch_size: int, state: str, reason: str | None = None, **changes: Any) -> Measured:
    """Return a case without numbers."""
    return measured(batch_size, state=state, reason=reason, **{"seconds": (), "peak_bytes": (), **changes})


def side(name: str, *runs: Sequence[Measured], **changes: Any) -> tuple[SideRun, ...]:
    """Return a side of the given runs, each a list of cases."""
    return tuple(
        SideRun(
            id=f"{name}{number}",
            file=f"{name}.json",
            started_at="2026-11-25T17:00:00+00:00",
            cases={f"{m.place.test}[{m.place.group}-{m.place.case}]": m for m in run},
            **changes,
        )
        for number, run in enumerate(runs)
    )


def quiet_side(name: str, runs: int, seconds: Mapping[int, float], **changes: Any) -> tuple[SideRun, ...]:
    """Return a side of several quiet processes: seconds per call by batch size."""
    return side(
        name,
        *(
            [measured(size, call_s=call_s * (1 + QUIET[number % 5]), **changes) for size, call_s in seconds.items()]
            for number in range(runs)
        ),
    )


def trained_side(name: str, runs: int, call_s: Mapping[int, float]) -> tuple[SideRun, ...]:
    """Return the side of :func:`quiet_side`, of steps of training."""
    found = quiet_side(name, runs, call_s)
    return tuple(
        replace(run, cases={key: replace(m, place=replace(m.place, trains=True)) for key, m in run.cases.items()})
        for run in found
    )
