"""What a sweep on a cluster is asked for, as far as this machine knows before a node is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch.commands.sweep import ON
from pytest_sdbatch.errors import ModelError, OptionError, RunFileError
from pytest_sdbatch.options import Options, Origin

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.records import Run

# What stands for the whole of a run, of which a node has a part.
_OF_ONE_RUN = {
    "save": "keep the run by --sd-report=FILE.json: --sd-baseline takes that file",
    "baseline": "add --sd-report=FILE.json, then: sdbatch compare BASELINE.json --candidate FILE.json",
    "gate": "add --sd-report=FILE.json, then: sdbatch compare BASELINE.json --candidate FILE.json",
    "shard": "leave it out: the cluster shares the work out",
}
# Flags of other plugins that write files, each with the name of its option: a node writes what it knows, and keeps it.
_FILES_OF_OTHERS = {"--junitxml": "xmlpath", "--html": "htmlpath", "--cov": "cov_source"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be measured, and what becomes of it."""

    root: Path  # of the project, which is sent
    folder: str  # that pytest is called in, from there
    selection: str  # which tests are asked for, as text
    device: str  # auto, cpu or cuda
    resume: bool
    reports: tuple[Path, ...]
    options: Options
    stays: tuple[str, ...]  # flags of which the files stay on the nodes


def ask(host: Host) -> Asked:
    """Return what is asked for.

    Raises:
        SdbatchError: for what cannot be, or goes with one process on one machine alone.

    """
    from pytest_sdbatch.bridges import resuming
    from pytest_sdbatch.storage.report_file import check_reports, kind_of

    _refuse(host)
    # Of a file they are for a plain pytest; a shard is refused wherever it stands.
    host.options = options = host.options.without("save", "baseline", "gate")
    with contextlib.suppress(ModelError):  # a model may lie on the nodes alone: whether it does is asked there
        host.check()
    spelled = options.spelled("report")
    if options.switch("resume"):
        for path in host.report_paths:
            kind_of(path, option=spelled)
    else:
        check_reports(host.report_paths, option=spelled)
    here, root = Path.cwd().resolve(), host.config.rootpath.resolve()
    root = root if here.is_relative_to(root) else here
    return Asked(
        root=root,
        folder=here.relative_to(root).as_posix(),
        selection=resuming.selection(host),
        device=device_of(host),
        resume=options.switch("resume"),
        reports=host.report_paths,
        options=options,
        stays=tuple(flag for flag, name in _FILES_OF_OTHERS.items() if host.config.getoption(name, None)),
    )


def check_files(asked: Asked, left: Iterable[Run]) -> tuple[Path, ...]:
    """Refuse files that exist, but for those that hold nothing but the runs that an interrupted sweep *left*.

    Raises:
        SdbatchError: for the first of the others.

    """
    from pytest_sdbatch.storage.report_file import Kind, check_reports, kind_of

    spelled, known = asked.options.spelled("report"), {run.id for run in left}
    run_files = [path for path in asked.reports if kind_of(path, option=spelled) is Kind.JSON]
    over = tuple(path for path in run_files if _ids(path) <= known and path.exists())
    check_reports(asked.reports, option=spelled, over=over)
    return over


def _ids(path: Path) -> set[str]:
    from pytest_sdbatch.storage.run_file import read_run_file

    try:
        return {run.id for run in read_run_file(path)}
    except RunFileError:
        return {str(path)}  # none of ours


def device_of(host: Host) -> str:
    """Return the device that is asked for, wherever: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        OptionError: for one GPU by its number, which is another one on each node.

    """
    device = (host.options.text("device") or "auto").strip().lower()
    if device.startswith("cuda:"):
        raise OptionError(
            f"{host.options.spelled('device')}={device} with {ON}",
            why="the cluster gives a GPU, which is the only one that a process sees",
            fix="write cuda",
        )
    return device


def _refuse(host: Host) -> None:
    options, config = host.options, host.config
    for name, instead in _OF_ONE_RUN.items():
        if options.text(name) not in (None, "no") and (name == "shard" or options.origin(name) is Origin.COMMAND_LINE):
            raise OptionError(
                f"{options.spelled(name)} with {ON}", why="each node measures a part, in processes apart", fix=instead
            )
    workers = config.getoption("numprocesses", None)
    if workers or config.getoption("tx", None):
        raise OptionError(
            f"-n, or --tx, with {ON}", why="each group has a device for itself, and one process", fix="leave it out"
        )
    if config.getoption("maxfail", 0):
        raise OptionError(
            f"-x, or --maxfail, with {ON}", why="groups are measured apart from each other", fix="leave it out"
        )
    if config.getoption("lf", False) or config.getoption("failedfirst", False):
        raise OptionError(
            f"--lf, or --ff, with {ON}", why="no node knows what failed before", fix="name the tests, or choose by -k"
        )
    if config.getoption("usepdb", False) or config.getoption("trace", False):
        raise OptionError(f"--pdb, or --trace, with {ON}", why="nobody sits at a node", fix="run it here")
    if host.only_check:
        raise OptionError(f"--benchmark-disable with {ON}", why="nothing would be measured", fix="run it here")
