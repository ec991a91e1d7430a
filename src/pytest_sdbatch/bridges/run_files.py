"""What a run leaves behind when it ends: run files, baselines, reports, and the journal's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch.errors import SdbatchError, UnfitError
from pytest_sdbatch.options import Origin

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host

# How pytest ends that was neither stopped nor refused.
_ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def finish(session: pytest.Session, host: Host) -> None:
    """Write the run files, and end the journal."""
    from pytest_sdbatch.bridges import resuming

    if host.refused and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        from pytest_sdbatch.analysis.exit_status import ExitStatus

        session.exitstatus = int(ExitStatus.NOT_COMPARED)
    # Refused; what was taken over from another run is no result.
    if host.refused or session.exitstatus == pytest.ExitCode.USAGE_ERROR:
        return
    whole = session.exitstatus in _ENDED and host.progress.complete
    if (host.kept or host.shard_is_empty) and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK  # every benchmark had been measured before, or is measured elsewhere
    saved = _save(session, host, whole=whole)
    resuming.end(host, whole=whole, saved=saved)


def _save(session: pytest.Session, host: Host, *, whole: bool) -> bool | None:
    """Write the run files; a file that cannot be written turns the run red and is said at the end.

    Return whether nothing is left that a second attempt could write, for a run that is no baseline stays none; None:
    there was nothing to write.
    """
    origins = [host.options.origin(name) for name in ("report", "save") if host.options.text(name) is not None]
    idle = host.is_worker or host.only_check or host.options.switch("plan")
    if idle or not (origins or host.hand_in is not None):
        return None
    if not host.records and not host.shard_is_empty:  # whoever collects the shards counts on a file of each
        # A file that was typed for is missed; one that the project's configuration names is not, by its unit tests.
        if max(origins, default=None) is Origin.COMMAND_LINE and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            _fail(session, host, "no benchmark was measured, so no run file was written")
        return None
    saved = True
    for write in _writers(host, interrupted=not whole):
        try:
            said = write()
            if host.hand_in is None:
                host.notes.append(said)
        except SdbatchError as error:
            _fail(session, host, str(error))
            saved = saved and isinstance(error, UnfitError)
    return saved


def _writers(host: Host, *, interrupted: bool) -> Iterator[Callable[[], str]]:
    """Yield what writes each file, and says so: run files first, then what is made of them."""
    from pytest_sdbatch.bridges import reports, verdict
    from pytest_sdbatch.storage.report_file import Kind, kind_of

    spelled = host.options.spelled("report")
    paths = host.report_paths if host.hand_in is None else (host.hand_in,)
    run_files = [path for path in paths if kind_of(path, option=spelled) is Kind.JSON]
    key = host.saves_as if host.hand_in is None else None

    def save(path: Path) -> str:
        return host.session.save(path, interrupted=interrupted, over=path in host.over_reports)

    def report(path: Path) -> str:
        run = host.session.run(interrupted=interrupted)
        comparison = host.gate.comparison if host.gate is not None else None
        made = reports.reported_of(
            [run], host.options, name=run_files[0].name if run_files else "this run", comparison=comparison
        )
        return f"report: {reports.write(path, made, option=spelled)}"

    yield from (partial(save, path) for path in run_files)
    if not host.records:
        return
    if key is not None:
        doubt = verdict.unfit(host)
        yield partial(host.session.save_baseline, host.baselines, key, interrupted=interrupted, doubt=doubt)
    yield from (partial(report, path) for path in paths if path not in run_files)


def _fail(session: pytest.Session, host: Host, why: str) -> None:
    host.notes.append(f"ERROR: {why}")
    if session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
