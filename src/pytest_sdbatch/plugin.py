"""Every pytest hook of the plugin. It calls, it never computes; every pytest run imports it, so it stays light.

A run that has nothing to do with us (:attr:`Host.is_idle`) imports none of what the hooks would call.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.errors import BaselineError, SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host

HOST: pytest.StashKey[Host] = pytest.StashKey()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare what a project may add."""
    from pytest_sdbatch import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    from pytest_sdbatch.bridges import pytest_options

    pytest_options.add_options(parser)


@pytest.hookimpl(wrapper=True)  # once the conftest files have declared options of their own
def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> Generator[None, object, object]:
    """Say what was meant by a mistyped flag, before pytest refuses it."""
    result = yield
    if any(word.startswith("--sd-") for word in args):
        from pytest_sdbatch.bridges import pytest_options

        try:
            unknown = parser.parse_known_and_unknown_args(args)[1]
            pytest_options.check_words(args, unknown)
        except SdbatchError as error:
            raise pytest.UsageError(str(error)) from None
    return result


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """End here where what was typed has nothing to be compared with: nothing is set up for it."""
    from pytest_sdbatch.bridges import pytest_options

    if not any(pytest_options.is_typed(config, name) for name in ("baseline", "gate")):
        return None
    from pytest_sdbatch.bridges import refusals

    return refusals.end_early(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the options, refuse what cannot work, and offer the fixtures."""
    from pytest_sdbatch import fixtures, host
    from pytest_sdbatch.bridges import pytest_benchmark, pytest_options

    config.addinivalue_line("markers", "sdbatch(option=value, ...): options of pytest-sdbatch for one test")
    config.pluginmanager.register(fixtures, "sdbatch-fixtures")
    pytest_benchmark.offer_stand_in(config)
    if config.option.help or getattr(config.option, "version", 0):
        return
    try:
        config.stash[HOST] = host.Host(config, pytest_options.read_options(config))
        config.pluginmanager.register(Recorder(config.stash[HOST]), "sdbatch-recorder")
        config.stash[HOST].check()
    except SdbatchError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)  # so that an id begins with the case
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each benchmark the grid."""
    if "sd_case" not in metafunc.fixturenames:
        return
    from pytest_sdbatch.bridges import pytest_items

    pytest_items.parametrize(metafunc, metafunc.config.stash[HOST])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the benchmarks so that each pipeline is loaded once; end here where the grid was wrong."""
    host = config.stash[HOST]
    if host.is_idle:
        return
    from pytest_sdbatch.bridges import gate, pytest_items, refusals, resuming, sharding, xdist

    try:
        pytest_items.accept(items, host)
        sharding.leave_others(items, host)
        gate.collected(items, host)
        resuming.leave_out_kept(items, host)
    except BaselineError as error:
        refusals.refuse(error, host, items)
    except SdbatchError as error:
        if not host.is_worker:
            raise pytest.UsageError(str(error)) from None
        xdist.hand_up(error, host, items)


@pytest.hookimpl(tryfirst=True)  # before the terminal asks for the header
def pytest_collection_finish(session: pytest.Session) -> None:
    """Take note of what will run."""
    host = session.config.stash[HOST]
    if host.is_idle:
        return
    from pytest_sdbatch.bridges import pytest_items

    pytest_items.expect(session.items, host)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say where and what will be measured: device, versions, defaults, cases; under --sd-plan the cases."""
    host = config.stash[HOST]
    if host.is_idle and not host.hints:
        return []
    from pytest_sdbatch.bridges import header

    return header.lines(host)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run nothing under --sd-plan; else begin the journal."""
    host = session.config.stash[HOST]
    if host.options.switch("plan"):
        return True
    if host.grid:
        from pytest_sdbatch.bridges import live, resuming

        resuming.begin(host)
        live.begin(host)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let nobody else use the device, watch the time, and free what a benchmark used once pytest holds none of it."""
    host = item.config.stash[HOST]
    if host.is_idle:
        return (yield)
    from pytest_sdbatch.bridges import faults, leasing, pytest_items

    leasing.hold(item, host)
    with faults.watched(item, host):
        try:
            result = yield
        except BaseException:  # Ctrl-C above all, which makes no report
            pytest_items.leave_out(item)
            raise
    pytest_items.leave(item, host)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a benchmark that breaks by itself what the run is held to."""
    host = item.config.stash[HOST]
    if host.gate is None:
        return (yield)
    from pytest_sdbatch.bridges import gate

    with gate.held(item, host):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a benchmark that measured nothing, or breaks by itself what the run is held to."""
    host = item.config.stash[HOST]
    if host.is_idle:
        return (yield)
    from pytest_sdbatch.bridges import gate, pytest_items

    with gate.held(item, host):
        result = yield
    pytest_items.refuse_idle(item, host)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)  # the outermost: other plugins may still change the outcome inside
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a benchmark carry its record, as plain builtins."""
    report = yield
    host = item.config.stash[HOST]
    if host.is_idle:
        return report
    from pytest_sdbatch.bridges import carrying, faults, gate, live

    live.clear(host)
    gate.insist(item, report)
    carrying.attach(item, call, report)
    faults.look_at_device(item, report)
    return report


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """Print no letter for a benchmark: it gets a line of its own."""
    if config.stash[HOST].is_idle:
        return None
    from pytest_sdbatch.bridges import screen

    return screen.status(report)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Put our records into pytest-benchmark's own file."""
    from pytest_sdbatch.bridges import pytest_benchmark

    pytest_benchmark.update_json(config.stash[HOST].records, output_json)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_benchmark_group_stats(config: pytest.Config, benchmarks: list[dict[str, Any]]) -> list[Any] | None:
    """Leave pytest-benchmark's table out where it would only repeat ours."""
    from pytest_sdbatch.bridges import pytest_benchmark

    return [] if pytest_benchmark.hides_table(config, benchmarks) else None


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Mean one worker per GPU by ``-n auto``, where benchmarks were asked for."""
    from pytest_sdbatch.bridges import leasing, pytest_options

    try:
        return leasing.workers_for_gpus(pytest_options.read_options(config), config)
    except SdbatchError:
        return None  # said when the plugin is configured


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Refuse what does not go with workers before they start."""
    from pytest_sdbatch.bridges import leasing, refusals, xdist

    leasing.share_gpus(config.stash[HOST], specs)
    try:
        xdist.prepare(config.stash[HOST], len(specs))
    except BaselineError as error:
        refusals.end_run(error, config)
    except SdbatchError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker what becomes of its run."""
    from pytest_sdbatch.bridges import resuming

    resuming.pass_on(node.config.stash[HOST], node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let no two workers load the same pipeline."""
    from pytest_sdbatch.bridges import xdist

    return xdist.scheduler(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Take note of what the workers will run."""
    from pytest_sdbatch.bridges import refusals, xdist

    reporter = node.config.pluginmanager.get_plugin("terminalreporter")
    try:
        xdist.begin(node.config.stash[HOST], ids, reporter)
    except BaselineError as error:
        refusals.end_run(error, node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """End the run where a worker found its benchmarks wrong; else the process of the worker, where it has measured."""
    from pytest_sdbatch.bridges import sharding, xdist

    sharding.hear(node, node.config.stash[HOST])
    said = xdist.handed_up(node)
    if said is not None:
        raise pytest.UsageError(said)
    if not error:
        xdist.end_process(node, node.config.stash[HOST])


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport) -> None:
    """Record a case whose worker died."""
    from pytest_sdbatch.bridges import xdist

    xdist.attach_crash(report.node.config.stash[HOST], crashitem, report)


class Recorder:
    """The hooks that take records in and judge them. A class, because pytest gives some of them no config."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ended = False  # whether something was measured, and what it came to is known

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Fail a benchmark whose device is in use elsewhere; inside what pytest puts around every set-up."""
        if self._host.no_lease is None:
            return
        from pytest_sdbatch.bridges import leasing

        leasing.refuse(item, self._host)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # the outermost: first it is decided whether the case hung
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        """Keep the record that a report carries, and print its line."""
        if self._host.is_idle:
            return (yield)
        from pytest_sdbatch.bridges import carrying, faults, gate

        with faults.told(report, self._host):
            result = yield
            faults.hear(report, self._host)
            gate.hear(report, self._host)
            carrying.keep(report, self._host)
        return result

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Take note of what was not asked for."""
        if self._host.is_idle:
            return
        from pytest_sdbatch.bridges import gate

        gate.leave_out(items, self._host)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Judge the run once all tests ran to their end."""
        result = yield
        if self._host.gate is not None:
            from pytest_sdbatch.bridges import verdict

            verdict.reach(self._host)
        return result

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write run files and the summary of a job, end the journal, make the exit status, give the device back."""
        if self._host.is_idle:
            return
        from pytest_sdbatch.bridges import leasing, live, run_files

        live.end(self._host)
        run_files.finish(session, self._host)
        if self._host.is_gated:
            from pytest_sdbatch.bridges import verdict

            verdict.finish(session, self._host)
        if self._host.records and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            from pytest_sdbatch.bridges import github_run

            github_run.finish(self._host)
            self._ended = True
        leasing.give_back(self._host)
        if "together" in vars(self._host):
            self._host.together.end()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode) -> None:
        """Show the table, the answer and the comparison."""
        if self._host.is_idle and not self._host.notes:
            return
        from pytest_sdbatch.bridges import screen

        screen.summary(terminalreporter, self._host, exitstatus)
        if self._host.is_gated:
            from pytest_sdbatch.bridges import verdict

            verdict.summary(terminalreporter, self._host)

    def pytest_unconfigure(self) -> None:
        """Annotate what went wrong, and say the gate's last word."""
        if self._ended:
            from pytest_sdbatch.bridges import github_run

            github_run.annotate(self._host)
        if self._host.gate is not None:
            from pytest_sdbatch.bridges import verdict

            verdict.say_last(self._host)
