"""Telling this process from others: the corners that need no driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pytest_sdbatch.devices.gpu import GpuMemory, GpuProcess, ProcessList
from pytest_sdbatch.devices.process_memory import (
    PROBE_BYTES,
    Footing,
    OwnRow,
    Probe,
    ProcessMemory,
    Step,
    find_own,
    memory_of,
    others,
)
from pytest_sdbatch.records import Reading

OWN = 77


def listed(*rows: tuple[int, int | None]) -> ProcessList:
    """Return a list of processes."""
    return ProcessList(processes=tuple(GpuProcess(pid=pid, used_bytes=used) for pid, used in rows))


def holding(used: int | None) -> GpuMemory:
    """Return a GPU's memory."""
    reading = Reading(value=used, reason=None if used is not None else "not told")
    return GpuMemory(total_bytes=reading, used_bytes=reading, free_bytes=reading)


def before(*rows: tuple[int, int | None], used: int | None = 0) -> Footing:
    """Return what was on the GPU before CUDA started."""
    return Footing(processes=listed(*rows), memory=holding(used))


def find(footing: Footing | None, *lists: ProcessList, probe: Probe | None = contextlib.nullcontext) -> OwnRow:
    """Find the process in the lists that the driver gives one after the other."""
    given = iter(lists)
    return find_own(OWN, footing, lambda: next(given), probe=probe)


def test_our_number_on_another_process_of_the_host_is_not_ours() -> None:
    """A container's number 77 may be anyone's on the host: it was there before, and another appeared."""
    own = find(before((OWN, 5)), listed((OWN, 5), (4242, 9)))

    assert (own.step, own.pid) == (Step.APPEARED, 4242)


def test_a_process_that_had_started_cuda_before_finds_itself() -> None:
    """A test suite may have used the GPU before anyone looked: nothing appears, and our number is ours."""
    assert find(before((OWN, 5)), listed((OWN, 6))).step is Step.OWN_PID
    assert find(None, listed((OWN, 6), (900, 1))).step is Step.OWN_PID


def test_without_a_look_before_only_the_probe_tells() -> None:
    """Who appeared is not known then; a known allocation still tells, and without one nothing does."""
    lists = listed((900, 1), (901, 1)), listed((900, 1), (901, 1 + PROBE_BYTES))
    found, blind = find(None, *lists), find(None, *lists, probe=None)

    assert (found.step, found.pid) == (Step.PROBE, 901)
    assert blind.step is Step.DEVICE_DELTA
    assert memory_of(blind, listed(), holding(9)).used_bytes.value is None


@pytest.mark.parametrize(
    "during",
    [
        listed((900, PROBE_BYTES), (901, PROBE_BYTES)),
        listed((900, PROBE_BYTES - 1), (901, 0)),
        listed((900, 2 * PROBE_BYTES), (901, 0)),
        listed((900, None), (901, 0)),
        listed((902, PROBE_BYTES)),
        ProcessList(reason="lost"),
    ],
)
def test_a_growth_that_is_not_clearly_ours_is_not_taken(during: ProcessList) -> None:
    """Two that grew, too little, too much, no bytes, a newcomer, no list: the device's difference it is."""
    assert find(None, listed((900, 0), (901, 0)), during).step is Step.DEVICE_DELTA


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError()])
def test_a_probe_that_does_not_fit_is_a_step_that_failed(error: Exception) -> None:
    """On a full GPU the probe raises; finding out who we are ends no run."""

    @contextlib.contextmanager
    def full(size: int) -> Iterator[None]:
        raise error
        yield

    own = find(None, listed((900, 0), (901, 0)), probe=full)

    assert own.step is Step.DEVICE_DELTA
    assert type(error).__name__ in (own.reason or "")


def test_a_row_that_is_gone_is_unknown() -> None:
    """After a context was lost, or where bytes go missing, there is a reason and no 0."""
    own = OwnRow(step=Step.OWN_PID, pid=OWN)

    def reason(processes: ProcessList) -> str | None:
        memory = memory_of(own, processes, holding(5))
        assert memory == ProcessMemory(used_bytes=Reading(reason=memory.used_bytes.reason), step=Step.OWN_PID)
        return memory.used_bytes.reason

    assert "no longer there" in (reason(listed((900, 5))) or "")
    assert "bytes are missing" in (reason(listed((OWN, None))) or "")
    assert reason(ProcessList(reason="the GPU is lost")) == "the GPU is lost"


@pytest.mark.parametrize(
    ("start", "now", "words"), [(None, 5, "not told"), (5, None, "not told"), (9, 5, "another process freed")]
)
def test_a_difference_that_means_nothing_is_unknown(start: int | None, now: int | None, words: str) -> None:
    """A side that was not told, or a GPU that holds less than before, gives no figure."""
    own = OwnRow(step=Step.DEVICE_DELTA, before=before(used=start))
    used = memory_of(own, listed(), holding(now)).used_bytes

    assert used.value is None
    assert words in (used.reason or "")


def test_others_are_counted_where_they_cannot_be_named() -> None:
    """Three listed and one of them ours: at least two others, whoever they are; none listed: none."""
    blind = OwnRow(step=Step.DEVICE_DELTA)

    assert others(blind, listed((1, 1), (2, 2), (3, 3))).at_least == 2
    assert others(blind, listed()).at_least == 0
    assert others(blind, listed()).reason is None
