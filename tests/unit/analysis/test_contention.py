"""Contention: told from the processor's time, in simulated cases."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_sdbatch.analysis.contention import blames_others, contended, row_note, waited_of, waited_share
from pytest_sdbatch.records import Round


def reading(wall_s: float, own_s: float, others_s: float | None = None, *, delay_s: float | None = None) -> Round:
    """Return a round in which this process and others used the processor for so long, and our threads waited."""
    machine_s = None if others_s is None else own_s + others_s
    return Round(wall_s=wall_s, cpu_s=own_s, call_s=(wall_s,), machine_cpu_s=machine_s, run_delay_s=delay_s)


def case(
    *, rounds: int = 10, wall_s: float = 0.2, used: float = 1.9, others: float | None = 0.02, seed: int = 0
) -> list[Round]:
    """Return rounds of a case that keeps *used* cores at work beside *others*, each give or take 3 % of a core."""
    random = np.random.default_rng(seed)
    noise = 0.03 * random.standard_normal((rounds, 2))
    return [
        reading(
            wall_s,
            (used + float(own)) * wall_s,
            None if others is None else max(0.0, others + float(foreign)) * wall_s,
        )
        for own, foreign in noise
    ]


def test_a_quiet_machine_is_not_marked() -> None:
    """Fewer than 5 % of cases; daemons take a percent or two."""
    marked = [contended(case(seed=seed), threads=2, cores=2) for seed in range(200)]

    assert sum(mark is not None for mark in marked) < 0.05 * 200


def test_a_loop_that_keeps_a_core_busy_marks_the_case() -> None:
    """At least 95 % of cases, and the words say how much was free."""
    marked = [contended(case(used=1.35, others=0.65, seed=seed), threads=2, cores=2) for seed in range(200)]

    assert sum(mark is not None for mark in marked) >= 0.95 * 200
    assert marked[0] is not None
    assert marked[0].startswith("2 threads had 1.3")


def test_a_neighbour_that_leaves_enough_cores_is_none_of_ours() -> None:
    """2 threads on 8 cores have theirs, whatever keeps 4 others busy."""
    assert contended(case(others=4.0), threads=2, cores=8) is None


def test_more_threads_than_cores_are_marked() -> None:
    """4 threads on 2 cores wait for each other, and nothing else is blamed unless it used the cores as well."""
    alone = contended(case(), threads=4, cores=2)
    beside = contended(case(used=1.1, others=0.9), threads=4, cores=2)

    assert alone == "4 threads share 2 cores, and wait for each other"
    assert not blames_others(alone)
    assert beside is not None
    assert beside.startswith("4 threads share 2 cores, of which others used 0.8")
    assert blames_others(beside)


def test_threads_that_waited_mark_a_case_that_ticks_tell_little_of() -> None:
    """Five rounds of 20 ms, a third of the core taken: the system's steps of 10 ms on 2 cores could be as much."""
    short = [reading(0.02, 0.0136, 0.02)] * 5
    mark = contended([reading(0.02, 0.0136, 0.02, delay_s=0.0064)] * 5, threads=1, cores=2)

    assert contended(short, threads=1, cores=2) is None
    assert mark == "for 32.0 ms of 100 ms a thread was ready and had no core: something else was running"


def test_what_was_waited_beside_the_work_does_not_count() -> None:
    """While the clocks are read a thread may lose its core for longer than the round takes; the round has all of it."""
    assert contended([reading(0.0003, 0.0003, delay_s=0.0012)] * 300, threads=1, cores=1) is None
    assert contended([reading(0.001, 0.0006, delay_s=0.004)] * 5, threads=1, cores=1) == (
        "for 2.00 ms of 5.00 ms a thread was ready and had no core: something else was running"
    )


def test_threads_that_are_in_each_others_way_blame_nothing_else() -> None:
    """A pool beside torch's, say: all of the cores' time was this process's."""
    assert contended([reading(1.0, 2.0, 0.0, delay_s=0.5)] * 5, threads=2, cores=2) is None


def test_a_case_of_a_millisecond_is_judged_by_what_its_threads_waited() -> None:
    """The scheduler counts in nanoseconds."""
    rounds = [reading(0.001, 0.0005, delay_s=0.0005)] * 3

    assert contended(rounds, threads=1, cores=2) is not None


def test_waiting_of_less_than_a_tenth_of_a_core_is_usual() -> None:
    """A daemon takes a core for some milliseconds now and then."""
    assert contended([reading(0.2, 0.19, 0.02, delay_s=0.019)] * 5, threads=1, cores=2) is None
    assert contended([reading(0.2, 0.18, 0.02, delay_s=0.021)] * 5, threads=1, cores=2) is not None


def test_rounds_that_lack_the_figure_are_left_out_of_it() -> None:
    """Of the others the waiting is told over their own time."""
    rounds = [reading(0.2, 0.19), reading(0.2, 0.17, delay_s=0.03)]

    assert contended(rounds, threads=1, cores=2) == (
        "for 30.0 ms of 200 ms a thread was ready and had no core: something else was running"
    )


def test_a_round_that_waited_stands_out_without_the_system_s_word() -> None:
    """Where nothing is known of others the ratio of CPU time to wall time still fell."""
    rounds = [*case(others=None), reading(0.3, 1.9 * 0.2)]

    assert contended(case(others=None), threads=2, cores=2) is None
    mark = contended(rounds, threads=2, cores=2)
    assert mark is not None
    assert "1.27 cores at work where 1.88" in mark


def test_a_round_that_idles_blames_nobody_where_waiting_and_others_are_known() -> None:
    """The scheduler says that no thread waited, and the system that nothing else ran: a disk, a lock or a sleep."""
    busy, idle = reading(0.2, 0.2, 0.0, delay_s=0.0), reading(0.5, 0.2, 0.0, delay_s=0.0)
    mark = contended([busy] * 6 + [idle] * 3, threads=1, cores=2)

    assert mark == "a round had 0.400 cores at work where 1.00 are usual: it waited for something"
    assert not blames_others(mark)
    assert row_note(mark) == "in some round it computed less than usual: it waited for something. Do not rely on it"


def test_a_round_that_fell_because_a_thread_had_no_core_blames_others() -> None:
    """Nine rounds were not disturbed, so that all of them together waited for less than a tenth."""
    rounds = [*[reading(0.2, 0.2, 0.0, delay_s=0.0)] * 9, reading(0.4, 0.2, 0.1, delay_s=0.2)]
    mark = contended(rounds, threads=1, cores=2)

    assert mark == "a round had 0.500 cores at work where 1.00 are usual: something else was running"


@pytest.mark.parametrize(
    ("where", "share"),
    [
        ({"threads": 1, "cores": 2}, 0.25),
        ({"threads": 2, "cores": 2}, 0.25),
        ({"threads": 4, "cores": 2}, None),  # they wait for each other
        ({"cores": 2}, None),
    ],
)
def test_waiting_is_known_where_the_threads_had_cores(where: dict[str, int], share: float | None) -> None:
    """Rounds that lack the figure are left out."""
    rounds = [reading(1.0, 0.75, delay_s=0.25), reading(1.0, 0.2)]

    assert waited_of(rounds, where) == share
    assert waited_of(rounds[1:], where) is None


@pytest.mark.parametrize(
    ("rounds", "share"),
    [
        ([(1.0, 0.9, 0.1), (1.0, 1.0, 0.0)], 0.05),
        ([(1.0, 1.0, 0.5)], 0.0),  # all of its time was its own
        ([(1.0, 0.2, 5.0)], 0.8),
        ([], 0.0),
    ],
)
def test_the_share_that_was_waited_is_no_more_than_was_not_run(
    rounds: list[tuple[float, float, float]], share: float
) -> None:
    """Of one thread; worked by hand."""
    assert waited_share(rounds, threads=1) == pytest.approx(share)


def test_a_process_that_waits_for_another_one_is_not_judged() -> None:
    """A server that does the work would pass for something else; how little its client uses may differ by much."""
    client = [*[reading(0.2, 0.002, 0.38)] * 9, reading(0.2, 0.0, 0.38)]

    assert contended(client, threads=2, cores=2) is None
    assert contended([reading(0.2, 0.002, delay_s=0.1)] * 9, threads=2, cores=2) is None


def test_a_case_too_short_for_the_clock_is_not_judged() -> None:
    """Time of the processor is counted in steps of 10 ms."""
    assert contended(case(wall_s=0.001, others=1.0), threads=2, cores=2) is None
    assert contended([], threads=2, cores=2) is None


@pytest.mark.parametrize(("threads", "cores"), [(0, 1), (1, 0)])
def test_no_threads_and_no_cores_are_refused(threads: int, cores: int) -> None:
    """They are read wrongly, not absent."""
    with pytest.raises(ValueError, match="1 or more"):
        contended(case(), threads=threads, cores=cores)


@pytest.mark.parametrize("wall_s", [0.0, -1.0, float("nan")])
def test_a_round_without_duration_is_refused(wall_s: float) -> None:
    """It has no ratio."""
    with pytest.raises(ValueError, match="longer than 0"):
        contended([reading(wall_s, 1.0)], threads=1, cores=1)
