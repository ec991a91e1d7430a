"""The same cases on several devices of one kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.fleet import fleets
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run

COMMIT = "abc"


def run(uuid: str | None, times: dict[int, float], *, name: str = "Card", commit: str = COMMIT) -> Run:
    """Return a run on a device: seconds by batch size."""
    records = []
    for size, seconds in times.items():
        case = Case(
            model="m", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=size, batch_count=1
        )
        rounds = tuple(Round(wall_s=seconds, cpu_s=0.0, call_s=(seconds,)) for _ in range(3))
        records.append(Record(test="test_x.py::test_it", case=case, outcome=Outcome.OK, rounds=rounds))
    where = Environment(must_match={"device_name": name, "device_uuid": uuid}, drift={}, shown={"commit": commit})
    return Run(
        id=f"{uuid}-{len(times)}-{sum(times.values())}",
        started_at="2026-11-28",
        environment=where,
        options={},
        records=tuple(records),
    )


def test_devices_of_one_kind_are_set_side_by_side() -> None:
    """Worked by hand: 3 % apart at size 1, 10 % at size 4; size 8 was measured once only."""
    (fleet,) = fleets([run("a", {1: 1.0, 4: 2.0, 8: 3.0}), run("b", {1: 1.03, 4: 2.2}), run("c", {1: 1.01, 4: 2.1})])

    assert (fleet.device_name, fleet.devices, fleet.cases) == ("Card", 3, 2)
    assert fleet.median_spread == pytest.approx(0.065)
    assert fleet.worst_spread == pytest.approx(0.10)
    assert fleet.worst_case.endswith("-b4x1")


@pytest.mark.parametrize(
    "other",
    [
        run("a", {1: 1.5}),  # the same device
        run("b", {1: 1.5}, name="Other card"),
        run("b", {1: 1.5}, commit="def"),
        run("b", {4: 1.5}),  # another case
        run(None, {1: 1.5}),  # nobody knows which
    ],
)
def test_nothing_else_is_a_fleet(other: Run) -> None:
    """One device twice, other kinds, other code, other cases and unknown devices say nothing of it."""
    assert fleets([run("a", {1: 1.0}), other]) == ()


@given(st.lists(st.floats(0.01, 100.0), min_size=2, max_size=6), st.floats(0.1, 10.0))
def test_a_spread_is_a_ratio(times: list[float], scale: float) -> None:
    """All devices slower by one factor lie as far apart as before, and none is nearer than itself."""
    (fleet,) = fleets([run(str(number), {1: seconds}) for number, seconds in enumerate(times)])
    (scaled,) = fleets([run(str(number), {1: seconds * scale}) for number, seconds in enumerate(times)])

    assert fleet.worst_spread == pytest.approx(max(times) / min(times) - 1, abs=1e-9)
    assert scaled.worst_spread == pytest.approx(fleet.worst_spread, abs=1e-9)
