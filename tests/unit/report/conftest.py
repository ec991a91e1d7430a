"""Records as they come out of a run, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import MemoryRound, Outcome, Reading, Record, Round, StopReason

GIB = 2**30
TEST = "benchmarks/test_generation.py::test_text_to_image"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes records of one group; ``changes`` are fields of Case for all of them."""

    changes: dict[str, Any]

    def group(self, **changes: Any) -> Maker:
        """Return a maker of another group."""
        return Maker({**self.changes, **changes})

    def case(self, batch_size: int, batch_count: int = 1) -> Case:
        """Return a case of the group."""
        return Case(**self.changes, batch_size=batch_size, batch_count=batch_count)

    def rounds(
        self, call_s: Sequence[float], batch_count: int = 1, *, peak_bytes: int | None = 4 * GIB
    ) -> tuple[Round, ...]:
        """Return one round per value of *call_s*, seconds of each of its calls."""
        return tuple(
            Round(
                wall_s=seconds * batch_count,
                cpu_s=seconds * batch_count,
                call_s=(seconds,) * batch_count,
                stage_s={
                    "text_encoder": 0.02 * seconds * batch_count,
                    "denoiser": 0.9 * seconds * batch_count,
                    "scheduler": 0.01 * seconds * batch_count,
                    "vae_decode": 0.06 * seconds * batch_count,
                },
                peak_allocated_bytes=peak_bytes,
            )
            for seconds in call_s
        )

    def record(self, batch_size: int, batch_count: int = 1, *, call_s: float = 1.0, **changes: Any) -> Record:
        """Return a sound record of five equal rounds, or what *changes* make of it."""
        fields: dict[str, Any] = {
            "test": TEST,
            "case": self.case(batch_size, batch_count),
            "outcome": Outcome.OK,
            "rounds": self.rounds([call_s] * 5, batch_count),
            "stopped": StopReason.PRECISION,
            "memory_source": "peak_allocated_bytes",
            "output_check": "checked",
        }
        return Record(**{**fields, **changes})

    def memory_round(self, **changes: Any) -> MemoryRound:
        """Return a memory round of which nothing is known but *changes*."""
        unknown = Reading(reason="not read here")
        known = ("before_context", "context", "before_load", "loaded", "peak", "after")
        return MemoryRound(**{"scope": "device", **dict.fromkeys(known, unknown), **changes})

    def ended(self, batch_size: int, outcome: Outcome, reason: str, **changes: Any) -> Record:
        """Return the record of a case without figures."""
        test_outcome = "failed" if outcome is Outcome.INVALID_OUTPUT else "skipped"
        fields: dict[str, Any] = {"rounds": (), "stopped": StopReason.FAILED, "test_outcome": test_outcome}
        return self.record(batch_size, outcome=outcome, reason=reason, **{**fields, **changes})


@pytest.fixture
def sd15() -> Maker:
    """Make records of a full-size model with random weights on a GPU."""
    return Maker(
        {
            "model": "sd15",
            "dtype": "bf16",
            "device": "cuda:0",
            "height": 512,
            "width": 512,
            "steps": 20,
        }
    )


@pytest.fixture
def curve(sd15: Maker) -> list[Record]:
    """Return a sweep with a flat end: batch size 8 is best, 4 is within 5 % of it, 16 does not fit."""
    reason = "out of memory in the VAE decoder: 4.00 GiB asked for, 2.31 GiB free"
    skipped = "batch size 16 ran out of memory"
    return [
        sd15.record(1, call_s=0.62),
        sd15.record(4, call_s=1.786),
        sd15.record(8, call_s=3.46),
        sd15.ended(16, Outcome.OOM, reason),
        sd15.ended(32, Outcome.SKIPPED, skipped),
        sd15.ended(64, Outcome.SKIPPED, skipped),
    ]
