"""The scheduler under xdist's own session, with workers that die: no test is lost, run twice, or waited for."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdist.dsession import DSession
from xdist.remote import Producer

from pytest_sdbatch.bridges import xdist

SHUTDOWN = -1
BENCHMARKS = tuple(f"test_a.py::test_{test}[fp32-64x64-s4-b{size}x1]" for test in ("one", "two") for size in (1, 2, 4))
PLAIN = tuple(f"test_b.py::test_plain[{number}]" for number in range(4))


class Hooks:
    """Takes every hook call of the session; keeps which tests were reported as crashed."""

    def __init__(self) -> None:
        self.crashed: list[str] = []

    def pytest_handlecrashitem(self, *, crashitem: str, **_: object) -> None:
        """Keep it."""
        self.crashed.append(crashitem)

    def pytest_xdist_make_scheduler(self, *, config: Any, log: Any) -> Any:
        """Give our scheduler."""
        return xdist.scheduler(config, log)

    def __getattr__(self, name: str) -> Any:
        """Answer any other hook."""
        return lambda **_: None


class Worker:
    """A worker as xdist has it: it runs a test only once it has the next one, or knows that there is none."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._todo: deque[int] = deque()
        self._said = 0  # of what a worker says before it runs tests
        self._shutdown_sent = self.down = False
        self.gateway = SimpleNamespace(id=f"gw{len(run.workers)}", spec=SimpleNamespace(id=None))
        self.workeroutput = {"exitstatus": 0, "shouldfail": False, "shouldstop": False}
        run.workers.append(self)

    @property
    def shutting_down(self) -> bool:
        """Whether it gets nothing more."""
        return self.down or self._shutdown_sent

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        """Take tests."""
        self._todo += indices

    def shutdown(self) -> None:
        """Take the word that there are no more."""
        self._todo.append(SHUTDOWN)
        self._shutdown_sent = True

    @property
    def can_go_on(self) -> bool:
        """Whether it does anything by itself."""
        return not self.down and (self._said < 2 or len(self._todo) > 1 or SHUTDOWN in self._todo)

    def go_on(self) -> None:
        """Do the next thing, and tell the session."""
        self._said += 1
        if self._said == 1:
            self._tell("workerready", workerinfo={})
        elif self._said == 2:
            self._tell("collectionfinish", ids=list(self._run.tests))
        elif (index := self._todo.popleft()) == SHUTDOWN:
            self.down = True
            self._tell("workerfinished")
        elif self._run.tests[index] in self._run.deadly:
            self.down = True
            self._tell("errordown", error="it died")
        else:
            self._run.done.append(self._run.tests[index])
            self._tell("runtest_protocol_complete", item_index=index, duration=0)

    def _tell(self, name: str, **said: object) -> None:
        self._run.session.queue.put((name, {"node": self, **said}))


class Run:
    """xdist's session over such workers; *seed* decides who is next, a worker or the session."""

    def __init__(self, tests: Sequence[str], deadly: set[str], workers: int, seed: int) -> None:
        self.tests, self.deadly = tests, deadly
        self.workers: list[Worker] = []
        self.done: list[str] = []
        self.hooks = Hooks()
        option = SimpleNamespace(
            debug=False, maxworkerrestart=None, numprocesses=workers, verbose=0, loadscopereorder=True
        )
        values = {"dist": "load", "tx": ["popen"] * workers, "maxfail": 0, "maxschedchunk": None}
        self._config: Any = SimpleNamespace(
            option=option,
            getvalue=values.get,
            getoption=values.get,
            hook=self.hooks,
            pluginmanager=SimpleNamespace(getplugin=lambda _name: None),
        )
        self.session = DSession(self._config)
        self.session._session = SimpleNamespace()
        group = SimpleNamespace(allocate_id=lambda _spec: None)
        self.session.nodemanager = SimpleNamespace(group=group, setup_node=lambda _spec, _queue: Worker(self))
        self.session.sched = self.hooks.pytest_xdist_make_scheduler(
            config=self._config, log=Producer("test", enabled=False)
        )
        self.session._active_nodes.update([Worker(self) for _ in range(workers)])
        self._random = random.Random(seed)

    def to_its_end(self) -> None:
        """Go on until the session is over; fail where nobody does anything any more."""
        while not self.session.session_finished:
            able: list[Any] = [worker.go_on for worker in self.workers if worker.can_go_on]
            if not (self.session.queue.empty() and self.session._active_nodes):
                able.append(self.session.loop_once)
            assert able, f"waits for ever; done: {self.done}, crashed: {self.hooks.crashed}"
            self._random.choice(able)()


def runs() -> Iterator[tuple[tuple[str, ...], set[str], int]]:
    """Give every order of benchmarks and plain tests, with a death in the first, a middle and the last of them."""
    for tests in (BENCHMARKS + PLAIN, PLAIN + BENCHMARKS, PLAIN[:1] + BENCHMARKS + PLAIN[1:], BENCHMARKS + PLAIN[:1]):
        for deadly in (0, len(tests) // 2, len(tests) - 1):
            for workers in (1, 2, 3):
                yield tests, {tests[deadly]}, workers


def check(tests: Sequence[str], deadly: set[str], workers: int, seed: int) -> None:
    """Every test ran, or was reported as crashed, once; and the session ended."""
    run = Run(tests, deadly, workers, seed)
    run.to_its_end()
    assert Counter(run.done + run.hooks.crashed) == Counter(tests)
    assert set(run.hooks.crashed) == deadly


def test_a_worker_that_dies_anywhere_costs_one_test() -> None:
    """Benchmarks before, behind and between plain tests; one, two and three workers; several orders of events."""
    for tests, deadly, workers in runs():
        for seed in range(5):
            check(tests, deadly, workers, seed)


@settings(max_examples=300)
@given(
    tests=st.lists(st.sampled_from(BENCHMARKS + PLAIN), min_size=1, unique=True),
    data=st.data(),
    workers=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_workers_that_die_one_after_another_cost_one_test_each(
    tests: list[str], data: st.DataObject, workers: int, seed: int
) -> None:
    """Whichever tests are there, and as many die as xdist replaces: also while a new worker still collects."""
    deadly = data.draw(st.sets(st.sampled_from(tests), max_size=4))
    check(tests, deadly, workers, seed)


def test_a_new_worker_that_collects_other_tests_is_sent_home() -> None:
    """It gets nothing to run; the session ends with an error of xdist rather than never."""
    run = Run(BENCHMARKS[:3], {BENCHMARKS[0]}, 1, seed=0)
    while len(run.workers) < 2:
        run.workers[0].go_on() if run.workers[0].can_go_on else run.session.loop_once()
    run.tests = BENCHMARKS[3:]

    with pytest.raises(RuntimeError, match="no active workers"):
        run.to_its_end()

    assert not run.done


@pytest.mark.parametrize(
    ("tests", "rest"),
    [
        (BENCHMARKS[:3], "; all cases are of one pipeline, so that one would do (-n0)"),
        (BENCHMARKS, ""),
        (BENCHMARKS[:3] + PLAIN[:1], ""),
    ],
)
def test_auto_without_gpus_says_what_it_came_to(tests: tuple[str, ...], rest: str) -> None:
    """And that one worker would do, where it would: other pipelines, and plain tests, are work for a second one."""
    host: Any = SimpleNamespace(workers=2)

    assert xdist._of_auto(host, tests) == f"no GPUs to share out: -n auto is xdist's own number, 2 workers{rest}"
