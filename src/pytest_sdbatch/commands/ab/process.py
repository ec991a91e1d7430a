"""A process of a side: started, waited for, and what it handed in."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_sdbatch.analysis.sides import Place
from pytest_sdbatch.commands.ab.environment import GRACE_S, last_lines
from pytest_sdbatch.commands.ab.errors import NoComparison, WrongCommandLine
from pytest_sdbatch.commands.ab.proof import Code
from pytest_sdbatch.commands.children import run_child

_SILENT = ("--collect-only", "-q")
STEPS = "4"  # time is linear in them and the code is the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two things that are compared."""

    name: str  # base or candidate
    label: str  # what it is, for the reader
    python: Path
    called_in: Path  # the folder that pytest is called in
    variables: Mapping[str, str] | None  # None: those of this process
    folders: tuple[Path, ...] = ()  # whose modules prove what ran; none: all that are installed
    but_not: tuple[Path, ...] = ()
    watched: tuple[str, ...] = ()  # packages and modules of the repository that differ: told wherever they lie


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What pytest collected of the candidate."""

    cases: Mapping[str, float | None]  # by name, the seconds that a stored run of this device took; None: not known
    budgets: Mapping[str, Mapping[str, float]]  # by name, what a marker or an option allows, by metric
    places: Mapping[str, Place] = field(default_factory=dict)  # by name
    files: tuple[Path, ...]  # with benchmarks
    conftests: tuple[Path, ...]
    configuration: Path | None
    root: Path
    took_s: float = 0.0  # the process that collected; one that measures takes as long to come so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that came to its end, or was brought to it."""

    status: int
    stopped: bool
    seconds: float
    run_file: Path
    output: Path
    code: Code | None  # None: it ended before it could say
    collected: Mapping[str, Any]
    running: str | None = None  # the case that was, when the process was stopped
    died: bool = False  # the run file holds what it had finished, and the case that it died in as crashed

    @property
    def last_words(self) -> str:
        """The last lines of what it printed."""
        return last_lines(self.output.read_text(encoding="utf-8", errors="replace"))


class RunProcess(Protocol):
    """What runs a process of a side, as :func:`run_process` does."""

    def __call__(
        self,
        side: Side,
        arguments: Sequence[str],
        *,
        stem: Path,
        names: Sequence[str] | None,
        left_out: Collection[str],
        steps: str | None,
        until_s: float | None,
    ) -> Ended:
        """Run pytest on *side* and return how it ended."""


def run_process(
    side: Side,
    arguments: Sequence[str],
    *,
    stem: Path,
    names: Sequence[str] | None = None,
    left_out: Collection[str] = (),
    measures: bool = True,
    steps: str | None = STEPS,
    until_s: float | None = None,
) -> Ended:
    """Run pytest on *side* and return how it ended.

    Args:
        side: base or candidate.
        arguments: of pytest.
        stem: of the files that it writes: ``.json`` for the run, ``.log`` for its output.
        names: of the cases to run; None: all.
        left_out: names of cases that are not run.
        measures: whether it writes a run.
        steps: for cases that nobody gave a number; None: the usual ones of the model.
        until_s: ``time.monotonic()`` at which it is stopped.

    """
    run_file, request, said = (stem.with_suffix(suffix) for suffix in (".json", ".ask", ".said"))
    given = [*arguments, *(() if measures else _SILENT), "--continue-on-collection-errors"]
    asked = {
        "run_file": str(run_file),
        "names": None if names is None else list(names),
        "left_out": list(left_out),
        "steps": steps,
        "arguments": given,
    }
    request.write_text(json.dumps({**asked, **_proof_of(side)}), encoding="utf-8")
    command = [str(side.python), "-P", "-m", "pytest_sdbatch.commands.ab.one_side", str(request)]
    begun = time.monotonic()
    output = stem.with_suffix(".log")
    with output.open("wb") as into:
        status, stopped = run_child(
            command, env=side.variables, cwd=side.called_in, output=into, until_s=until_s, grace_s=GRACE_S, tied=True
        )
    seconds = time.monotonic() - begun
    found = json.loads(said.read_text(encoding="utf-8")) if said.exists() else None
    running = _running(died_file(run_file)) if stopped else None
    died = not stopped and not run_file.exists() and died_file(run_file).exists()
    if died:
        died_file(run_file).replace(run_file)
    for file in (request, said, died_file(run_file)):
        file.unlink(missing_ok=True)
    return Ended(
        status=status,
        stopped=stopped,
        seconds=seconds,
        run_file=run_file,
        output=output,
        code=None if found is None else _code_of(found),
        running=running,
        died=died,
        collected={} if found is None else found["collected"],
    )


def died_file(run_file: Path) -> Path:
    """Return where the run lies that counts if its process dies before it has written *run_file*."""
    return run_file.with_suffix(".died.json")


def _proof_of(side: Side) -> dict[str, list[str]]:
    """Return what a process is asked to say of the code that it imported."""
    return {
        "folders": [str(folder) for folder in side.folders],
        "but_not": [str(folder) for folder in side.but_not],
        "watched": list(side.watched),
    }


def _running(died: Path) -> str | None:
    """Return the case that a process was at, of the run that counts if it dies."""
    from pytest_sdbatch.errors import RunFileError
    from pytest_sdbatch.storage.sides import read_side_runs

    try:
        (run,) = read_side_runs(died)
    except RunFileError:
        return None
    return list(run.cases)[-1]


def _code_of(said: Mapping[str, Any]) -> Code:
    return Code(
        plugin_version=said["plugin_version"],
        plugin_hash=said["plugin_hash"],
        modules={name: (file, digest) for name, (file, digest) in said["modules"].items()},
        rest=said["rest"],
        elsewhere=said["elsewhere"],
    )


def collect(side: Side, arguments: Sequence[str], *, folder: Path, until_s: float | None = None) -> Collected:
    """Return the benchmarks of *side*, which are not run.

    Raises:
        NoComparison: with what pytest said, if it cannot collect them, or there are none.
        WrongCommandLine: if it does not understand its command line.
        KeyboardInterrupt: if this process was told to stop meanwhile.
    """
    ended = _collecting(side, arguments, folder, until_s)
    if ended.stopped:
        raise NoComparison(
            f"the {side.name}'s benchmarks were not collected within --minutes: does an import hang?",
            why=ended.last_words,
            fix="run them once by hand: pytest BENCHMARKS --sd-plan",
        )
    found = ended.collected
    if ended.status == pytest.ExitCode.USAGE_ERROR:
        raise WrongCommandLine("pytest cannot do what it is asked for", why=ended.last_words)
    if ended.status != 0 or not found.get("cases"):
        raise NoComparison(
            "the candidate's benchmarks cannot be collected" if ended.status not in (0, 5) else "there is no benchmark",
            why=ended.last_words,
            fix="run them once by hand: pytest BENCHMARKS --sd-plan",
        )
    return _collected_of(ended)


def collect_what_can_be(
    side: Side, arguments: Sequence[str], *, folder: Path, until_s: float | None = None
) -> Collected | None:
    """Return the benchmarks of *side*, as far as pytest can collect them; None: it can collect none.

    Raises:
        KeyboardInterrupt: if this process was told to stop meanwhile.
    """
    ended = _collecting(side, arguments, folder, until_s)
    return _collected_of(ended) if ended.collected.get("cases") else None


def _collecting(side: Side, arguments: Sequence[str], folder: Path, until_s: float | None) -> Ended:
    ended = run_process(side, arguments, stem=folder / f"collect-{side.name}", measures=False, until_s=until_s)
    if ended.stopped and (until_s is None or time.monotonic() < until_s):
        raise KeyboardInterrupt
    return ended


def _collected_of(ended: Ended) -> Collected:
    found = ended.collected
    return Collected(
        cases=found["cases"],
        budgets=found["budgets"],
        places={name: Place(**place) for name, place in found["places"].items()},
        files=tuple(map(Path, found["files"])),
        conftests=tuple(map(Path, found["conftests"])),
        configuration=None if found["configuration"] is None else Path(found["configuration"]),
        root=Path(found["root"]),
        took_s=ended.seconds,
    )
