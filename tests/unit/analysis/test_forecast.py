"""What a larger batch will take, from records: stages, what the allocator cannot give back, and the known limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.forecast import ADDRESS_SPACE, MEMORY, growths, largest_that_fits
from pytest_sdbatch.analysis.memory_fit import Largest
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import MemoryRound, Outcome, Reading, Record, Round

GIB = 2**30
LIMITS = Path(__file__).parents[3] / "docs" / "results" / "limits"


def record(batch_size: int, peak_bytes: float, *, batch_count: int = 1, **memory: Any) -> Record:
    """Return a sound record; *memory* are fields of its memory round."""
    unknown = Reading(reason="not read here")
    made = MemoryRound(
        scope="device",
        before_context=unknown,
        context=unknown,
        before_load=unknown,
        loaded=unknown,
        peak=unknown,
        after=unknown,
        **memory,
    )
    case = Case(
        model="sd15",
        dtype="bf16",
        device="cuda:0",
        height=512,
        width=512,
        steps=20,
        batch_size=batch_size,
        batch_count=batch_count,
    )
    return Record(
        test="t",
        case=case,
        outcome=Outcome.OK,
        rounds=(Round(wall_s=1, cpu_s=1, call_s=(1,), peak_allocated_bytes=round(peak_bytes)),),
        memory_source="peak_allocated_bytes",
        memory_round=made,
    )


def staged(*sizes: int, **memory: Any) -> list[Record]:
    """Return records of a pipeline whose VAE overtakes its denoiser at batch size 3."""
    found = []
    for size in sizes:
        peaks = {"denoiser": (250 + 50 * size) * 2**20, "vae_decode": (100 + 100 * size) * 2**20}
        found.append(record(size, max(peaks.values()), stage_peak_bytes=peaks, **memory))
    return found


def test_a_stage_that_overtakes_later_is_foreseen() -> None:
    """From 1 and 2, where the denoiser is highest still, the VAE's peak at 16 is predicted exactly."""
    (growth,) = growths(staged(1, 2))

    assert growth.measure == MEMORY
    assert growth.needs(16).estimate == pytest.approx((100 + 100 * 16) * 2**20)
    assert growth.fit.highest_stage(2) == "denoiser"
    assert growth.fit.highest_stage(16) == "vae_decode"


def test_without_stages_of_every_case_the_whole_is_fitted() -> None:
    """A split that one record lacks would be no split of all."""
    records = [*staged(1, 2, 4), record(8, 900 * 2**20)]

    (growth,) = growths(records)

    assert set(growth.fit.stages) == {"all"}
    assert growth.needs(8).estimate == pytest.approx(900 * 2**20)


def test_what_lies_unused_between_tensors_makes_fewer_fit_surely() -> None:
    """By its share at the largest size; what else the allocator held is given back when it is asked.

    No upper limit is told then: libraries make do with less workspace once it is refused them.
    """
    records = staged(1, 2, 4, limit_bytes=10 * GIB, reserved_bytes=900 * 2**20, unreleasable_bytes=125 * 2**20)

    (growth,) = growths(records)

    assert growth.margin == pytest.approx(0.25)  # 125 MiB for the 500 of the VAE at 4
    assert growth.needs(8).estimate == pytest.approx(900 * 2**20)
    assert growth.needs_at_most(8) == pytest.approx(1.25 * 905 * 2**20, rel=0.01)
    assert growth.largest_batch(900 * 2**20) == Largest(estimate=8, low=6)


def test_without_stages_the_share_is_that_of_the_whole() -> None:
    """A function of one's own: its allocator is torch's all the same."""
    records = [record(size, (1 + size) * GIB, limit_bytes=9 * GIB, unreleasable_bytes=size * GIB) for size in (1, 2, 4)]

    (growth,) = growths(records)

    # 4 GiB for the 5 of 4 images: of 8.9 GiB not quite 5 are for tensors.
    assert growth.largest_batch(8.9 * GIB) == Largest(estimate=7, low=3)


def test_of_an_allocator_that_does_not_tell_nothing_fits_surely() -> None:
    """An older file, another allocator, no memory round: neither limit is known."""
    plain = [replace(one, memory_round=None) for one in staged(1, 2, 4)]

    for records in (staged(1, 2, 4, limit_bytes=10 * GIB), plain):
        (growth,) = growths(records)
        largest = growth.largest_batch(900 * 2**20)

        assert largest.estimate
        assert (largest.low, largest.high) == (None, None)


def test_what_ran_in_no_more_memory_fits_surely() -> None:
    """Whatever is left over between tensors; in less than there was it may not."""
    records = staged(1, 2, 4, 8, limit_bytes=1000 * 2**20, unreleasable_bytes=450 * 2**20)

    (growth,) = growths(records)

    assert growth.largest_batch(1000 * 2**20) == Largest(estimate=9, low=8)
    assert growth.largest_batch(950 * 2**20) == Largest(estimate=8, low=5)


def test_a_record_without_rounds_tells_no_share() -> None:
    """Files may hold one that ended well and lost them."""
    *rest, last = [record(size, size * GIB, limit_bytes=9 * GIB, unreleasable_bytes=GIB) for size in (1, 2, 4, 8)]

    (growth,) = growths([*rest, replace(last, rounds=())])

    assert growth.margin is None


def test_memory_of_a_host_has_both_limits() -> None:
    """Nobody below makes do with less of it, and nothing is held back."""
    records = [replace(one, memory_source="host_peak_bytes") for one in staged(1, 2, 4, limit_bytes=10 * GIB)]

    (growth,) = growths(records)

    assert growth.largest_batch(900 * 2**20) == Largest(estimate=8, low=7, high=8)


def limits_that_were_tried() -> Iterator[tuple[list[Record], int, int]]:
    """Yield records of the probes, a limit, and the largest size that ran within it, of cards that were measured."""
    for path in sorted(LIMITS.glob("*.json")):
        calls = json.loads(path.read_text(encoding="utf-8"))["calls"]
        probes = [one for one in calls if one["granted_bytes"] is None and one["batch_size"] in (1, 2, 4, 8)]
        for limit in sorted({one["granted_bytes"] for one in calls} - {None}):
            records = [
                record(
                    one["batch_size"],
                    one["allocated_bytes"],
                    limit_bytes=limit,
                    reserved_bytes=one["reserved_bytes"],
                    unreleasable_bytes=one["unreleasable_bytes"],
                    stage_peak_bytes={"vae_decode": one["allocated_bytes"]},
                )
                for one in probes
            ]
            ran = [one["batch_size"] for one in calls if one["granted_bytes"] == limit and one["ran"]]
            yield records, limit, max(ran)


@pytest.mark.parametrize(("records", "limit", "ran"), list(limits_that_were_tried()))
def test_what_is_predicted_of_a_real_card_ran_there(records: list[Record], limit: int, ran: int) -> None:
    """From sizes 1 to 8, under what torch granted the process; nor is much of the memory left unused."""
    largest = largest_that_fits(growths(records))

    assert largest is not None
    assert largest.estimate is not None
    assert largest.low is not None
    assert largest.low <= largest.estimate <= ran < 1.5 * largest.estimate


def test_there_are_cards_that_were_measured() -> None:
    """Else the test above would test nothing."""
    assert len(list(limits_that_were_tried())) >= 7


def test_a_limit_is_predicted_in_its_own_measure() -> None:
    """Address space ends at 6 images, memory at 8: 6 fit."""
    records = [
        record(
            size,
            (4 + size) * GIB,
            limit_bytes=12 * GIB,
            address_space_bytes=(10 + 2 * size) * GIB,
            address_space_limit_bytes=22 * GIB + 2**20,
        )
        for size in (1, 2, 4)
    ]

    found = growths(records)
    ends = {growth.measure: growth.largest_batch(growth.limit_bytes or 0).estimate for growth in found}

    assert ends == {MEMORY: 8, ADDRESS_SPACE: 6}
    assert (largest_that_fits(found) or Largest(estimate=None)).estimate == 6


def test_nothing_is_said_of_a_slope_that_was_seen_once() -> None:
    """Two sizes give a figure to skip a hopeless size by, and no answer."""
    found = growths(staged(1, 2, limit_bytes=GIB))

    assert found[0].needs(16).high is None
    assert largest_that_fits(found) is None
    assert largest_that_fits(growths(staged(1, 2, 4, limit_bytes=GIB))) is not None


def test_without_a_limit_there_is_no_end() -> None:
    """A device that does not tell what is free."""
    assert largest_that_fits(growths(staged(1, 2, 4))) is None


@pytest.mark.parametrize("outcome", [Outcome.OOM, Outcome.SPILLED, Outcome.CRASHED])
def test_only_cases_that_ended_well_count(outcome: Outcome) -> None:
    """The peak of a case that ran out of memory is that of the limit, and not its own."""
    records = staged(1, 2, 4)

    spoiled = growths([*records, replace(records[-1], case=replace(records[-1].case, batch_size=8), outcome=outcome)])

    assert spoiled == growths(records)
    assert growths(records[:1]) == ()
    assert growths([]) == ()


def test_a_memory_round_that_ended_early_tells_nothing() -> None:
    """Its peaks are of what ran until then; the rounds before it are whole."""
    records = staged(1, 2, 4)
    broken = [*records[:2], replace(records[2], memory_round_reason="in the memory round: OutOfMemoryError")]

    (growth,) = growths(broken)

    assert set(growth.fit.stages) == {"all"}


@given(
    st.lists(st.tuples(st.integers(2**20, 2**34), st.integers(2**20, 2**31)), min_size=1, max_size=4),
    st.integers(2**30, 2**40),
)
def test_the_largest_batch_is_within_the_limit_and_the_next_is_not(lines: list[tuple[int, int]], limit: int) -> None:
    """Whatever the stages, the size that is named needs no more than there is."""
    records = [
        record(size, 0, stage_peak_bytes={str(k): f + g * size for k, (f, g) in enumerate(lines)}, limit_bytes=limit)
        for size in (1, 2, 4)
    ]
    found = growths(records)

    largest = largest_that_fits(found)

    assert largest is not None
    assert largest.estimate is not None
    assert largest.estimate == 0 or found[0].needs(largest.estimate).estimate <= limit
    assert found[0].needs(largest.estimate + 1).estimate > limit
