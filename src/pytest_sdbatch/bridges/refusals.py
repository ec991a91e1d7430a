"""What ends a run with a gate before it measures: options that contradict it, nothing to be compared with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_sdbatch.bridges import baseline
from pytest_sdbatch.errors import BaselineError, OptionError, SdbatchError
from pytest_sdbatch.options import Origin

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host


def check(host: Host) -> None:
    """Refuse, when pytest is configured, options that contradict the gate.

    Raises:
        OptionError: for the first of them.

    """
    options, typed = host.options, Origin.COMMAND_LINE
    if options.switch("gate") and host.config.getoption("benchmark_compare_fail", None):
        raise OptionError(
            "--benchmark-compare-fail with --sd-gate: two gates",
            why="a threshold on one run's mean fails a third of the runs in which nothing changed",
            fix="leave --benchmark-compare-fail out",
        )
    if options.switch("gate") and options.switch("resume"):
        raise OptionError(
            "--sd-gate with --sd-resume",
            why="a verdict is on runs of one process, and a resumed run has cases of two",
            fix="run it anew, or finish it without --sd-gate and use: sdbatch compare",
        )
    if options.origin("gate") is typed and options.switch("gate") and host.only_check:
        raise OptionError("--sd-gate with --benchmark-disable", why="nothing is measured", fix="leave one of them out")


def end_early(config: pytest.Config) -> int | None:
    """Return the exit status where what was typed has nothing to be compared with, and say why; None: go on.

    As far as that is known before pytest is configured; mistakes of other kinds are said when it is.
    """
    from pytest_sdbatch.bridges import pytest_options
    from pytest_sdbatch.host import Host

    if config.option.help or getattr(config.option, "version", 0) or hasattr(config, "workerinput"):
        return None
    if not any(pytest_options.is_typed(config, name) for name in ("baseline", "gate")):
        return None
    try:
        host = Host(config, pytest_options.read_options(config))
        workers = config.getoption("numprocesses", None)
        refuse_workers(host, workers if isinstance(workers, int) else 1)
        baseline.look_for(host)
    except BaselineError as error:
        from pytest_sdbatch.analysis.exit_status import ExitStatus

        print(f"ERROR: {error}", file=sys.stderr)
        return int(ExitStatus.NOT_COMPARED)
    except SdbatchError:
        return None
    return None


def refuse_workers(host: Host, workers: int) -> None:
    """Refuse to gate times that *workers* take from each other, before any of them starts.

    Raises:
        BaselineError: where the gate and a baseline were asked for, one of them typed.

    """
    options = host.options
    if workers < 2 or host.only_check or options.text("baseline") is None or not options.switch("gate"):
        return
    if Origin.COMMAND_LINE in (options.origin("baseline"), options.origin("gate")):
        raise BaselineError(
            f"a run of {workers} workers cannot be compared with the baseline {options.text('baseline')}",
            why="they share the machine; the baseline was recorded by one process alone",
            fix="add -n0",
        )


def refuse(error: BaselineError, host: Host, items: list[pytest.Item]) -> None:
    """Run nothing: *error* is said at the end, and is the exit status."""
    items.clear()
    host.refused = True
    host.notes.append(f"ERROR: {error}")


def end_run(error: BaselineError, config: pytest.Config) -> NoReturn:
    """End pytest, whose workers have started, with the exit status of a missing baseline."""
    from pytest_sdbatch.analysis.exit_status import ExitStatus

    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        for line in f"ERROR: {error}".splitlines():
            reporter.write_line(line, red=True)
    said = str(error) if reporter is None else "the error is said above"
    pytest.exit(said, returncode=int(ExitStatus.NOT_COMPARED))
