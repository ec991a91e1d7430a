"""pytest-xdist: which worker gets which benchmark, and what its controller makes of their reports.

Workers measure; their records travel on the test reports. The controller collects nothing: it knows a benchmark by the
case in its node id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pytest_sdbatch import units
from pytest_sdbatch.bridges import gate, header, leasing, pytest_benchmark, refusals, resuming
from pytest_sdbatch.bridges.pytest_items import read_node_id
from pytest_sdbatch.errors import OptionError, SdbatchError

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

    from pytest_sdbatch.host import Host

_OUR_WAY = "load"  # what `-n` stands for
_ERROR = "sdbatch_error"  # key of xdist's workeroutput


def prepare(host: Host, workers: int) -> None:
    """Refuse what does not go with *workers*, and read what is resumed, before any of them starts.

    Raises:
        SdbatchError: for ``--sd-plan``, ``--sd-save``, a gate that several workers cannot pass, and a run that cannot
            be resumed.

    """
    from pytest_sdbatch.options import Origin

    host.workers = workers
    refusals.refuse_workers(host, workers)
    if host.options.switch("plan"):
        raise OptionError("--sd-plan lists what one process would run", fix="add -n0")
    if workers > 1 and host.options.origin("save") is Origin.COMMAND_LINE:
        raise OptionError(
            f"--sd-save={host.options.text('save')}: a run of {workers} workers is no baseline",
            why="they share the machine, so that each measures the others too",
            fix="add -n0, or keep the run with --sd-report=FILE",
        )
    if resuming.asked(host):
        resuming.take_over(host)


def begin(host: Host, node_ids: Sequence[str], reporter: pytest.TerminalReporter | None) -> None:
    """Say what will be measured, and begin the journal where there are benchmarks; only once: workers collect alike."""
    if host.announced or host.only_check:
        return
    host.announced = True
    benchmarks = [node_id for node_id in node_ids if scope_of(node_id) != node_id]
    if benchmarks:
        gate.prepare(host)
        _expect(host, benchmarks)
        if host.config.stash.get(leasing.NO_GPUS, False):
            host.hints.append(_of_auto(host, node_ids))
    if reporter is not None:
        for line in header.lines(host):
            reporter.write_line(line)
    if benchmarks:
        resuming.begin(host)


def _of_auto(host: Host, node_ids: Sequence[str]) -> str:
    """Return what ``-n auto`` came to without GPUs: workers for which there may be nothing to do."""
    pipelines = len({scope_of(node_id) for node_id in node_ids})
    said = f"no GPUs to share out: -n auto is xdist's own number, {units.count(host.workers, 'worker')}"
    return f"{said}; all cases are of one pipeline, so that one would do (-n0)" if pipelines == 1 else said


def _expect(host: Host, benchmarks: Sequence[str]) -> None:
    from pytest_sdbatch.devices.host import granted_cores

    host.grid = [case for _, case in filter(None, (read_node_id(id_, host.device.name) for id_ in benchmarks))]
    host.progress.expect(benchmarks)
    if host.workers > 1 and host.options.text("save") is not None:  # of a file: a typed one is refused
        host.hints.append(f"not saved as {host.options.text('save')}: a run of {host.workers} workers is no baseline")
    if host.workers > 1:
        host.hints.append(f"{host.workers} workers share the machine: the times are not for comparing with other runs")
        cores = granted_cores() or host.workers
        if host.device.kind == "cpu" and host.device.lease_name is None and cores < host.workers:
            host.hints.append(
                f"{host.workers} workers and {units.count(cores, 'core')}: some wait until others have ended"
            )
        way = host.config.getoption("dist")
        if way != _OUR_WAY:
            host.hints.append(f"--dist={way}: several workers may load the same pipeline; under --dist=load one does")
    off = pytest_benchmark.without_effect(host.config)
    if off:
        host.hints.append(
            f"{' '.join(off)}: pytest-benchmark is off under -n; --sd-report=FILE writes a file in its format"
        )


def hand_up(error: SdbatchError, host: Host, items: list[pytest.Item]) -> None:
    """In a worker, leave *error* for the controller and run nothing.

    Raised here it would be seen by nobody: xdist asserts that a worker ends with its tests done.
    """
    host.config.workeroutput[_ERROR] = str(error)  # type: ignore[attr-defined]
    items.clear()


def handed_up(node: WorkerController) -> str | None:
    """Return what a worker that has ended left; None where it did not, or died before it could."""
    output: dict[str, object] = getattr(node, "workeroutput", {})
    return str(output[_ERROR]) if _ERROR in output else None


def end_process(node: WorkerController, host: Host) -> None:
    """Let the process of a worker end that has done its benchmarks, while others are at work.

    Left to xdist it would live until all are done, and its context on a GPU, which torch cannot give back, with it. The
    last one is left to xdist, which waits for the processes of all of them only if it has one to end.
    """
    if host.grid and len(node.nodemanager.group) > 1:
        node.gateway.exit()


def attach_crash(host: Host, node_id: str, report: pytest.TestReport) -> None:
    """Let the report of a test whose worker died carry the record of its case, where it had none yet."""
    from pytest_sdbatch.records import Outcome
    from pytest_sdbatch.storage.codec import encode_record

    named = read_node_id(node_id, host.device.name)
    if named is None or host.only_check:
        return
    words = host.last_words.pop(node_id, None)
    if node_id in host.settled:  # it was measured, and counted: what went wrong is an error behind it, as pytest has it
        report.when = "teardown"
        why, text = (words["reason"], f"\n{words['text']}") if words is not None else ("its worker died", "")
        report.longrepr = f"measured, but then: {why}{text}"
        return
    outcome, reason = Outcome.CRASHED, "the worker that ran it died"
    if words is not None:
        outcome, reason = Outcome(words["outcome"]), words["reason"]
        report.longrepr = f"{words['text']}\n{outcome}: {reason}; its worker has ended"
    record = host.session.unmeasured(*named, reason, outcome)
    vars(report).update(sdbatch_record=encode_record(record), sdbatch_options={})


def scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Return the scheduler that keeps the cases of a pipeline in one worker; None where another way was asked for."""
    return PipelineScheduling(config, log) if config.getoption("dist") == _OUR_WAY else None


class PipelineScheduling:
    """xdist's own scheduler, until a worker has collected a benchmark."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        from xdist.scheduler import LoadScheduling

        self._config, self._log = config, log
        self._is_plain = True
        self._chosen: Scheduling = LoadScheduling(config, log)

    def __getattr__(self, name: str) -> Any:
        """Return what xdist asks of a scheduler."""
        return getattr(self._chosen, name)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """Take what *node* has collected."""
        if self._is_plain and any(scope_of(node_id) != node_id for node_id in collection):
            self._is_plain = False
            nodes = self._chosen.nodes
            self._chosen = _by_pipeline(self._config, self._log)
            for known in nodes:
                self._chosen.add_node(known)
        self._chosen.add_node_collection(node, collection)


def _by_pipeline(config: pytest.Config, log: Producer) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByPipeline(LoadScopeScheduling):  # type: ignore[misc]
        """Gives all cases of a pipeline to one worker, so that no two load it; other tests go where there is room."""

        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

        def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
            super().add_node_collection(node, collection)
            if node not in self.registered_collections:  # it collected other tests than those before it
                node.shutdown()

        def remove_node(self, node: WorkerController) -> str | None:
            # Its base would give the test that killed this worker to the next one, and so on; and units that are done,
            # of which no worker would ever tell that they have ended.
            work = self.assigned_work.get(node, {})
            left = [(scope, node_id) for scope, unit in work.items() for node_id, ended in unit.items() if not ended]
            for scope, node_id in left[:1]:
                work[scope][node_id] = True
            for scope in work.keys() - {scope for scope, _ in left[1:]}:
                del work[scope]
            super().remove_node(node)
            return left[0][1] if left else None

        def _reschedule(self, node: WorkerController) -> None:
            if node not in self.registered_collections:  # it replaces another, and collects: asked again after that
                return
            super()._reschedule(node)
            # A worker runs a test once it has the next one, or knows that there is none. Its base gives a unit whenever
            # a test has ended: a new worker with one test would wait, and so would we.
            while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
                self._assign_work_unit(node)
            if not self.workqueue and not node.shutting_down:
                node.shutdown()

    return ByPipeline(config, log)


def scope_of(node_id: str) -> str:
    """Return what the tests of one worker share: the pipeline, or for a test with its own pipeline the test."""
    named = read_node_id(node_id, "")
    if named is None:
        return node_id
    test, case = named
    return test if case.model is None else " ".join(map(str, case.pool_key))
