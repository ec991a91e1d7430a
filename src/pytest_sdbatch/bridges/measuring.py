"""What measures a case in a test, once it is called: a pipeline, a callable, steps of training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.bridges import pytest_benchmark, pytest_items
from pytest_sdbatch.bridges.pytest_items import RECORD
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.host import Host, host_of

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from pytest_sdbatch.grid.case import Case
    from pytest_sdbatch.measure.workload import Workload
    from pytest_sdbatch.options import Options
    from pytest_sdbatch.pipelines.generation import Batch
    from pytest_sdbatch.pipelines.pool import Loaded
    from pytest_sdbatch.records import Record


class _Measuring:
    """What measures one case; called once in a test."""

    def __init__(self, request: pytest.FixtureRequest, benchmark: BenchmarkFixture, case: Case) -> None:
        self.case = case
        self._request = request
        self._node = request.node
        self._benchmark = benchmark
        self._host = host_of(request.config)

    def _measure(self, workload: Workload, loaded: Loaded | None, options: Options) -> list[Any]:
        """Measure *workload*, and turn its outcome into that of the test."""
        __tracebackhide__ = True
        node, host, session = self._node, self._host, self._host.session
        test = pytest_items.name_of_test(node, self.case)
        if host.only_check:
            pytest_benchmark.leave_out(self._benchmark)
            outputs, verdict = session.run_once(workload)
            if verdict.problem is not None:
                pytest.fail(f"{verdict.outcome}: {verdict.problem}", pytrace=False)
            return outputs
        skip_what_cannot_fit(node, host, self.case)
        try:
            measured = session.measure(test, workload, options, loaded)
        except (pytest.skip.Exception, pytest.fail.Exception) as ended:
            outcome = pytest_items.outcome_of(ended)
            node.stash[RECORD] = session.unmeasured(test, self.case, str(ended), outcome)
            pytest_benchmark.leave_out(self._benchmark)
            raise
        except BaseException:  # Ctrl-C above all: pytest-benchmark's warning must not hide it
            pytest_benchmark.leave_out(self._benchmark)
            raise
        node.stash[RECORD] = measured.record
        pytest_benchmark.publish(self._benchmark, measured.record)
        if isinstance(measured.error, SdbatchError):
            pytest.fail(str(measured.error), pytrace=False)
        if measured.error is not None:
            raise measured.error
        act_on(measured.record)
        return measured.outputs


class SdBenchmark(_Measuring):
    """Measures one case of generation; called once in a test."""

    def __call__(self, target: Callable[[Batch], object] | Any, *, count_inside: bool = False) -> list[Any]:
        """Measure *target* at the case of this test and return the outputs of the last round.

        Args:
            target: a diffusers pipeline, or a callable that takes a Batch (prompts, generators, size, case) and
                makes ``batch.size`` images.
            count_inside: for an application that makes several batches in one call. It is called once a round, and
                makes ``batch.size`` x ``batch.count`` images.

        Returns:
            One entry per call of the round, batch-count entries in all (one where the count is inside): what the
            callable returned, or the images of the pipeline.

        Out of memory skips the test with the reason, a wrong output fails it, an exception of *target* is raised as
        it is. Under ``--benchmark-disable`` *target* makes its batches once and nothing is recorded.
        """
        from pytest_sdbatch.pipelines.generation import GenerationWorkload

        __tracebackhide__ = True
        if RECORD in self._node.stash:
            pytest.fail(
                "sd_benchmark measures once in a test: put the second call into a test of its own", pytrace=False
            )
        if self.case.training is not None:
            pytest.fail("sd_benchmark beside sd_training: put it into a test of its own", pytrace=False)
        options = pytest_items.options_of(self._node, self._host)
        loaded = self._node.stash.get(pytest_items.LOADED, None)
        workload = GenerationWorkload(
            target,
            self.case,
            self._host.prompts(options),
            seed=options.count("seed"),
            count_inside=count_inside,
            loaded=None if loaded is None else loaded.pipeline,
        )
        return self._measure(workload, loaded, options)


class SdTraining(_Measuring):
    """Measures training steps of one case; called once in a test."""

    def __call__(
        self,
        step: Callable[..., object] | Any = None,
        *,
        batches: Callable[[int], Any] | Iterable[Any] | None = None,
    ) -> list[Any]:
        """Measure optimizer steps at the case of this test and return the loss of the last one, in a list.

        Args:
            step: a function of a batch, which makes one optimizer step and returns its loss. Left out, or a diffusers
                pipeline: the plugin's own step on the model of the grid.
            batches: for a step of your own: a function of the batch size that returns a batch, or batches that are
                there (a list, a DataLoader), used in turn. Left out: the step is called without any.

        Out of memory skips the test with the reason, a loss that is not finite fails it (``diverged``), an exception
        of *step* is raised as it is. Under ``--benchmark-disable`` one step is made and nothing is recorded.
        """
        from pytest_sdbatch.grid.training import STEP
        from pytest_sdbatch.training.own_step import OwnStepWorkload
        from pytest_sdbatch.training.workload import TrainingWorkload

        __tracebackhide__ = True
        if RECORD in self._node.stash:
            pytest.fail(
                "sd_training measures once in a test: put the second call into a test of its own", pytrace=False
            )
        options = pytest_items.options_of(self._node, self._host)
        source = self._host.examples(options)
        how = self.case.training
        assert how is not None
        own = step is not None and not hasattr(step, "components")
        if own and how.method != STEP:
            pytest.fail(
                f"sd_training(step) in a test that trains {self.case.model}: give each a test of its own, and leave "
                "sd_pipeline out of that with the step",
                pytrace=False,
            )
        if not own and how.method == STEP:
            pytest.fail(
                "sd_training() trains the model of the grid: make sd_pipeline an argument of the test", pytrace=False
            )
        if own:
            return self._measure(OwnStepWorkload(step, batches, self.case, source, self._host.together), None, options)
        pipeline = self._request.getfixturevalue("sd_pipeline") if step is None else step
        loaded = self._node.stash.get(pytest_items.LOADED, None)
        workload = TrainingWorkload(
            pipeline,
            self.case,
            source,
            seed=options.count("seed"),
            rate=None if options.text("train_rate") is None else options.number("train_rate"),
            release=self._host.device.release_memory,
            together=self._host.together,
        )
        return self._measure(workload, loaded, options)


def leave_out(request: pytest.FixtureRequest) -> None:
    """Tell pytest-benchmark that the test of *request* has no row for it."""
    if "benchmark" in request.fixturenames:
        pytest_benchmark.leave_out(request.getfixturevalue("benchmark"))


def skip_what_cannot_fit(node: pytest.Function, host: Host, case: Case) -> None:
    """Skip a batch size above one that broke a limit, or that the memory did not do for unless the options say try.

    Where sizes grow as far as memory does, also one that is predicted not to fit.
    """
    from pytest_sdbatch.records import Outcome

    options = pytest_items.options_of(node, host)
    test = pytest_items.name_of_test(node, case)
    reason = host.session.larger_than_allowed(test, case, options.limit())
    if reason is None and options.choice("after_oom") == "skip":
        reason = host.session.larger_than_fits(test, case)
    if reason is None and options.grows:
        reason = host.session.larger_than_memory(test, case)
    if case.training is not None and host.together.agree(reason is not None, host.device.kind):
        reason = reason or "the first process left it out"
    elif case.training is not None:
        reason = None
    if reason is not None:
        node.stash[RECORD] = host.session.unmeasured(test, case, reason, Outcome.SKIPPED)
        pytest.skip(reason)


def act_on(record: Record, told: str = "") -> None:
    """Turn an outcome into what pytest shows: skipped for what does not fit, failed for what is wrong.

    Args:
        record: of the case.
        told: the error in its lines, where one ended the case: a failure has a section of its own to show it.
    """
    from pytest_sdbatch.records import Outcome

    __tracebackhide__ = True
    if record.outcome in (Outcome.OOM, Outcome.OVER_LIMIT, Outcome.SKIPPED):
        pytest.skip(f"{record.outcome}: {record.reason}")
    if record.outcome in (
        Outcome.INVALID_OUTPUT,
        Outcome.INVALID_ENVIRONMENT,
        Outcome.DIVERGED,
        Outcome.TIMEOUT,
        Outcome.CRASHED,
    ):
        pytest.fail(f"{record.outcome}: {told or record.reason}", pytrace=False)
