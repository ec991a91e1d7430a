"""What is said before a run measures."""

from __future__ import annotations

import pytest
from configured import host_with
from reported import run
from stores import URL, Scripted, raising

from pytest_sdbatch.bridges.header import _over_quota, recorded_seconds
from pytest_sdbatch.records import Fact


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"threads": 16, "cpu_quota_cores": 2.5}, "16 threads share a CPU quota of 2.50 cores"),
        ({"threads": 2, "cpu_quota_cores": 0.5}, "OMP_NUM_THREADS=1"),
    ],
)
def test_more_threads_than_there_is_time_for_are_said(facts: dict[str, Fact], said: str) -> None:
    """Torch counts cores: in a container with all of them and time for two it waits for the next period."""
    (line,) = _over_quota(facts)

    assert line.startswith("sdbatch: ")
    assert said in line


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"threads": 16},
        {"threads": 2, "cpu_quota_cores": 2.0},
        {"threads": 1, "cpu_quota_cores": 0.5},
        {"threads": None, "cpu_quota_cores": 0.5},
    ],
)
def test_else_nothing_is_said_of_a_quota(facts: dict[str, Fact]) -> None:
    """Without a quota, where it is enough, and where one thread is all there can be."""
    assert list(_over_quota(facts)) == []


def test_times_are_those_of_this_device_wherever_baselines_lie(
    pytester: pytest.Pytester, scripted: type[Scripted]
) -> None:
    """Of every name, from a store too; where that does not answer there are none, and a note says why."""
    host = host_with(pytester, "-o", f"sd_baselines={URL}")
    assert recorded_seconds(host) == {}
    host.baselines.write("main/other-device.json", [run()])
    assert recorded_seconds(host) == {}
    host.baselines.write(host.baseline_key("main"), [run()])
    assert recorded_seconds(host)
    assert host.notes == []

    scripted.before = raising(ConnectionError("no route"))
    assert recorded_seconds(host) == {}
    (note,) = host.notes
    assert note.startswith(f"not used for times: {URL}")
