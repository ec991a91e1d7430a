"""A case and something to call in, a record out; the records are kept and saved. Needs no pytest."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pytest_sdbatch.analysis.limits import GROWING, broken_limits
from pytest_sdbatch.errors import CannotRun, DoesNotFit, SdbatchError
from pytest_sdbatch.measure import validity
from pytest_sdbatch.measure.attempt import Attempt
from pytest_sdbatch.measure.environment import read_environment
from pytest_sdbatch.measure.loop import Measurement
from pytest_sdbatch.measure.phases import stage_clock
from pytest_sdbatch.measure.recording import Surroundings, record_of, with_surroundings
from pytest_sdbatch.measure.room import too_large
from pytest_sdbatch.measure.stopping import Rules
from pytest_sdbatch.measure.workload import Workload
from pytest_sdbatch.options import Options
from pytest_sdbatch.pipelines import variants
from pytest_sdbatch.pipelines.output import OutputVerdict
from pytest_sdbatch.pipelines.pool import Loaded, PipelinePool
from pytest_sdbatch.records import (
    OTHER_BENCHMARKS,
    RAN_OUT,
    SPILLED,
    Environment,
    Fact,
    MemoryRound,
    Outcome,
    Record,
    Run,
    Weights,
)
from pytest_sdbatch.storage.baselines import Baselines, save_baseline
from pytest_sdbatch.storage.run_file import write_run

if TYPE_CHECKING:
    from pytest_sdbatch.devices.device import Device
    from pytest_sdbatch.grid.case import Case
    from pytest_sdbatch.pipelines.catalog import ModelCatalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one measurement gave: the record to keep, and for the caller what the target returned or raised."""

    record: Record
    outputs: list[object]
    error: Exception | None = None


def run_id(started_at: datetime) -> str:
    """Return a new id for a run that began at *started_at*, in UTC: ids sort as the runs began."""
    return f"{started_at:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"


class BenchSession:
    """The measurements of one process."""

    def __init__(self, *, options: Options, device: Device, catalog: ModelCatalog, parallel: int = 1) -> None:
        self.options = options
        self.device = device
        self.parallel = parallel
        self.pool = PipelinePool(device, catalog)
        self.started_at = datetime.now(UTC)
        self.id = run_id(self.started_at)
        self.resumed_from: str | None = None
        self.shard_plan: str | None = None  # what shards that were planned alike have in common; None: no shard
        self.tell: Callable[[str], None] = _tell_nobody  # what is being done, in words, outside timed regions
        self.beside = 0  # other benchmarks that were seen on this machine meanwhile
        self.own_facts: Mapping[str, Fact] = {}  # of this process, where several of one run have different ones
        self._records: dict[tuple[str, str], Record] = {}
        # Tests with the shapes that they ran, by the pipeline that ran them: loaded again it is cold.
        self._warm: WeakKeyDictionary[object, set[tuple[str, Case]]] = WeakKeyDictionary()

    @cached_property
    def environment(self) -> Environment:
        """Where this process measures."""
        return read_environment(self.device, parallel=self.parallel)

    @property
    def records(self) -> tuple[Record, ...]:
        """What was kept, in the order of measuring."""
        return tuple(self._records.values())

    def load(self, case: Case) -> Loaded:
        """Return the pipeline of *case*, loaded once for all cases with its pool key.

        Raises:
            ModelError: where it cannot be loaded.
        """
        self.tell(f"loading, {case.id}")
        self.device.start()
        return self.pool.acquire(case)

    @staticmethod
    def outcome_of_loading(error: SdbatchError) -> Outcome:
        """Return how a case ends whose pipeline could not be loaded."""
        if isinstance(error, DoesNotFit):
            return Outcome.OOM
        return Outcome.SKIPPED if isinstance(error, CannotRun) else Outcome.CRASHED

    def measure(self, test: str, workload: Workload, options: Options, loaded: Loaded | None) -> Measured:
        """Measure *workload* at its case.

        Args:
            test: name of the test, without our parameters.
            workload: what is run.
            options: in force for this test.
            loaded: the pipeline that the plugin loaded for this test, if it did.
        """
        __tracebackhide__ = True
        case = workload.case
        try:
            workload.check()
        except SdbatchError as error:
            return Measured(record=self.unmeasured(test, case, error.line, Outcome.CRASHED), outputs=[], error=error)
        self.device.start()
        before, policy = self.device.processes(), options.choice("foreign_processes")
        doubt = validity.crowded(validity.foreign_processes(before)) if policy == "fail" else None
        if doubt is not None:
            return Measured(record=self.unmeasured(test, case, doubt.reason, doubt.outcome), outputs=[])
        attempt = self._attempt(workload, options)
        try:
            result, memory = self._run(attempt, test, workload, options, loaded)
            record = record_of(workload, attempt, result, loaded, test=test, device=self.device)
        finally:
            workload.close()
        compile_cache = options.choice("compile_cache") if attempt.compiled else None
        record = replace(
            record,
            parallel=self.parallel,
            must_match={**self.own_facts, **workload.must_match, "compile_cache": compile_cache},
            memory_round=memory[0],
            memory_round_reason=memory[1],
        )
        around = Surroundings(
            device=self.device,
            environment=self.environment,
            before=before,
            policy=policy,
            limits=options.limit(),
            measured=self._records.values(),
        )
        record = with_surroundings(record, around)
        return Measured(record=record, outputs=list(result.outputs), error=attempt.error)

    def _attempt(self, workload: Workload, options: Options) -> Attempt:
        case = workload.case
        return Attempt(
            self.device,
            workload,
            Rules.from_options(options),
            compiled=variants.is_compiled(case.variant),
            tell=lambda doing: self.tell(f"{doing}, {case.id}"),
        )

    def _run(
        self, attempt: Attempt, test: str, workload: Workload, options: Options, loaded: Loaded | None
    ) -> tuple[Measurement, tuple[MemoryRound | None, str | None]]:
        """Make the rounds and the memory round; where memory does not do beside other pipelines, again without them."""
        __tracebackhide__ = True
        case = workload.case
        shape = (test, replace(case, batch_count=1))  # another test may call another code path
        ran = self._warm.setdefault(loaded.pipeline if loaded else self, set())
        # A compiled case starts from an empty compiler.
        warm = shape in ran and workload.keeps_warm and not attempt.compiled
        with self._compiler(case, options), stage_clock(workload, self.device) as stages:
            result = attempt.run(stages, warm=warm)
            if result.failure is not None and self.pool.evict_others(case.pool_key):
                result = attempt.run(stages, warm=warm)
            memory = attempt.memory_round(result, loaded, stages, wanted=options.switch("memory_round"))
        if result.failure is None and attempt.error is None:
            ran.add(shape)
        return result, memory

    def run_once(self, workload: Workload) -> tuple[list[object], OutputVerdict]:
        """Make the calls of one round without measuring; return what they gave, and what that is worth."""
        __tracebackhide__ = True
        try:
            workload.check()
            outputs = [call() for call in workload.prepare()]
            return outputs, workload.judge(outputs)
        finally:
            workload.close()

    def unmeasured(self, test: str, case: Case, reason: str, outcome: Outcome) -> Record:
        """Return the record of a case that was not measured, or not to its end."""
        seed = case.weights_seed if case.weights == "random" else None
        return Record(
            test=test,
            case=case,
            outcome=outcome,
            reason=reason,
            test_outcome="failed",
            parallel=self.parallel,
            weights=Weights(kind=case.weights, seed=seed),
        )

    def larger_than_fits(self, test: str, case: Case) -> str | None:
        """Return the reason why *case* need not be tried: the memory did not do for a smaller size of its group."""
        ended = [
            record
            for record in self._records.values()
            if record.outcome.did_not_fit and record.test == test and record.case.group_id == case.group_id
        ]
        first = min(ended, key=lambda record: record.case.batch_size, default=None)
        if first is None or case.batch_size <= first.case.batch_size:
            return None
        how = RAN_OUT if first.outcome is Outcome.OOM else SPILLED
        return f"batch size {first.case.batch_size} {how}"

    def larger_than_allowed(self, test: str, case: Case, limits: Mapping[str, float]) -> str | None:
        """Return the reason why *case* need not be tried: a smaller size of its group broke one of *limits*.

        Only those count that a larger batch breaks by more; images per second may rise with it.
        """
        growing = {name: value for name, value in limits.items() if name in GROWING}
        smaller = sorted(
            (
                record
                for record in self._records.values()
                if record.outcome is Outcome.OVER_LIMIT
                and record.test == test
                and record.case.group_id == case.group_id
                and record.case.batch_size < case.batch_size
            ),
            key=lambda record: record.case.batch_size,
        )
        broken = ((record, broken_limits(record, growing)) for record in smaller)
        return next((f"batch size {record.case.batch_size} took {said[0]}" for record, said in broken if said), None)

    def larger_than_memory(self, test: str, case: Case) -> str | None:
        """Return the reason why *case*, of sizes that grow as far as memory does, need not be tried."""
        group = [one for one in self._records.values() if one.test == test and one.case.group_id == case.group_id]
        if any(one.outcome is Outcome.OK and one.case.batch_size > case.batch_size for one in group):
            return "a larger batch size fits"
        self.device.start()
        return too_large(group, case.batch_size, self.device)

    def keep(self, record: Record) -> None:
        """Keep *record*; one of the same test and case replaces the earlier one."""
        self._records[record.key] = record

    def take_over(self, run_id: str, records: Iterable[Record]) -> None:
        """Keep *records* of the interrupted run *run_id*, with which this one goes on."""
        self.resumed_from = run_id
        for record in records:
            self.keep(record)

    def _environment_seen(self) -> Environment:
        """Return where this process measured, with what else was seen there."""
        if not self.beside:
            return self.environment
        return replace(self.environment, shown={**self.environment.shown, OTHER_BENCHMARKS: self.beside})

    def run(self, *, interrupted: bool) -> Run:
        """Return what was measured so far as a run."""
        return Run(
            id=self.id,
            started_at=self.started_at.isoformat(timespec="seconds"),
            environment=self._environment_seen(),
            options={**self.options.given(), **({} if self.shard_plan is None else {"shard_plan": self.shard_plan})},
            records=self.records,
            interrupted=interrupted,
            resumed_from=self.resumed_from,
            plugin_version=metadata.version("pytest-sdbatch"),
        )

    def save(self, path: Path, *, interrupted: bool, over: bool = False) -> str:
        """Write the run to *path* and return a line that says so.

        Args:
            path: a file that does not exist.
            interrupted: whether cases are missing.
            over: whether it is there, and is what an interrupted run left that this one went on with.

        Raises:
            RunFileError: where the file cannot be written.
        """
        return f"run file: {write_run(path, [self.run(interrupted=interrupted)], over=over)}"

    def save_baseline(self, baselines: Baselines, key: str, *, interrupted: bool, doubt: str | None = None) -> str:
        """Store the run under *key* and return a line that says so; only a sound run may be one, unless forced.

        Args:
            baselines: where later runs look for it.
            key: of the name and this device.
            interrupted: whether cases are missing.
            doubt: why the run is no baseline, besides what its records say.

        Raises:
            RunFileError: where it cannot be written, or the run is no baseline.
        """
        run, anyway = self.run(interrupted=interrupted), self.options.switch("save_anyway")
        return save_baseline(baselines, key, [run], anyway=anyway, doubt=doubt)

    @contextmanager
    def _compiler(self, case: Case, options: Options) -> Iterator[None]:
        """Give a compiled case an empty compiler cache, so that neither order nor resuming changes it."""
        if not variants.is_compiled(case.variant):
            yield
        elif options.choice("compile_cache") == "keep":
            variants.reset_compiler()
            yield
        else:
            with variants.private_compiler_cache():
                yield


def _tell_nobody(doing: str) -> None:
    del doing
