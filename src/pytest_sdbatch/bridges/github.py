"""GitHub Actions: the summary of a job, and annotations of what went wrong. Nothing is sent: the runner reads both."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pytest_sdbatch import units
from pytest_sdbatch.report.bounded import SUMMARY_BYTES
from pytest_sdbatch.report.escape import plain, shortened

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison
    from pytest_sdbatch.errors import SdbatchError
    from pytest_sdbatch.records import Record

MOST = 9  # annotations beside the roll-up: of a step GitHub shows ten of a level, and drops the rest silently
_SUMMARY = "GITHUB_STEP_SUMMARY"
_LONGEST = 1000  # characters of a message
_LEAST_BYTES = 4_000  # of the summary that is left after other commands of the step: less says nothing
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


class Level(StrEnum):
    """How much an annotation weighs."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One line that GitHub shows at the top of a run, and beside the file where one is named."""

    level: Level
    title: str
    message: str
    file: str | None = None  # from the root of the repository, with forward slashes
    line: int | None = None  # from 1
    case: str | None = None  # that it is about, by the name that run files have


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the tests of cases, by the names of these."""

    root: Path = field(default_factory=Path.cwd)  # that the files in the names are seen from
    lines: Mapping[str, int] = field(default_factory=dict)  # on which a test begins, from 1
    failures: Mapping[str, str] = field(default_factory=dict)  # what failed it, in the words of who did


def is_there(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether a job of GitHub Actions, or of what speaks its commands, reads what is printed."""
    return environment.get("GITHUB_ACTIONS", "").lower() == "true"


def command(annotation: Annotation) -> str:
    """Return *annotation* as a workflow command: one line that the runner obeys, and nothing in it that it would."""
    properties = {"file": annotation.file, "line": annotation.line, "title": annotation.title}
    given = ",".join(
        f"{name}={_escaped(str(value), _PROPERTY)}" for name, value in properties.items() if value is not None
    )
    return f"::{annotation.level} {given}::{_escaped(annotation.message, _DATA)}"


def _escaped(text: str, signs: Mapping[str, str]) -> str:
    shown = "\n".join(shortened(plain(line), _LONGEST) for line in text.split("\n"))
    return "".join(signs.get(character, character) for character in shown)


def with_roll_up(found: Sequence[Annotation], *, said: str) -> list[Annotation]:
    """Return the first of *found*, errors before warnings, and before them one that says how it is in all.

    Args:
        found: the worst first.
        said: how many cases ended how.

    """
    order = list(Level)
    ranked = sorted(found, key=lambda one: order.index(one.level))
    worst = ranked[0].level if ranked else Level.NOTICE
    more = len(ranked) - MOST
    rest = f"; {units.count(more)} more to look at, in the summary of the job" if more > 0 else ""
    return [Annotation(level=worst, title="sdbatch", message=said + rest), *ranked[:MOST]]


def of_comparison(
    comparison: Comparison, *, red: bool = True, inconclusive: bool = False, known: Known | None = None
) -> list[Annotation]:
    """Return an annotation for each case that somebody has to look at, the worst first.

    Args:
        comparison: of both sides.
        red: whether what regressed fails the job; else it is a warning.
        inconclusive: whether a case fails it that is inconclusive; else only the roll-up counts those.
        known: of the tests.

    """
    from pytest_sdbatch.analysis.verdict import Verdict
    from pytest_sdbatch.report.comparison import note_of, rank_of, regression_texts

    failing = Level.ERROR if red else Level.WARNING
    levels = {Verdict.REGRESSED: failing, Verdict.INCOMPARABLE: failing, Verdict.MISSING: Level.WARNING}
    if inconclusive:
        levels[Verdict.INCONCLUSIVE] = failing
    made = []
    for case in sorted(comparison.cases, key=rank_of):
        if case.verdict in levels:
            texts = [text.strip() for text in regression_texts(case, comparison)]
            if case.verdict is not Verdict.REGRESSED:
                texts = [note_of(case, paired=comparison.pairs is not None)]
            made.append(_of_case(case.name, case.verdict.value, texts, levels[case.verdict], known))
    return made


def of_records(
    records: Iterable[Record], *, besides: Iterable[str] = (), known: Known | None = None
) -> list[Annotation]:
    """Return an annotation for each case whose test failed or whose figures nobody can use.

    Args:
        records: of one run.
        besides: names of cases of which something was said already.
        known: of the tests.

    """
    from pytest_sdbatch.records import Outcome, full_name

    said, made = set(besides), []
    for record in records:
        name = full_name(record.test, record.case)
        failed = record.test_outcome in ("failed", "regressed")
        if name in said or not (failed or record.outcome in (Outcome.THROTTLED, Outcome.SPILLED)):
            continue
        sound = record.outcome is Outcome.OK
        what = ("regressed" if record.counts else "test failed") if sound else record.outcome.value
        why = record.reason or ("it failed after measuring" if sound else "no reason was recorded")
        made.append(_of_case(name, what, [why], Level.ERROR if failed else Level.WARNING, known))
    return made


def _of_case(name: str, what: str, texts: Sequence[str], level: Level, known: Known | None) -> Annotation:
    found = known or Known()
    said = [line.strip() for line in found.failures.get(name, "").splitlines() if not line.endswith(f": {name}")]
    message = "\n".join([name, *(said or texts)])
    annotation = Annotation(level=level, title=f"sdbatch: {what}", message=message, case=name)
    file = _in_repository(found.root / name.partition("::")[0])
    return annotation if file is None else replace(annotation, file=file, line=found.lines.get(name))


def _in_repository(path: Path) -> str | None:
    """Return *path* as GitHub names it; None where it is no file of the checkout."""
    checkout = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
    try:
        there = path.resolve()
        inside = there.is_file() and there.is_relative_to(checkout.resolve())
    except (OSError, ValueError):  # the name is from outside: too long, or with a NUL
        return None
    return there.relative_to(checkout.resolve()).as_posix() if inside else None


def room() -> int:
    """Return the bytes that a summary of this step may have, beside what others wrote; 0: none is asked for."""
    target = os.environ.get(_SUMMARY)
    if not target:
        return 0
    try:
        written = Path(target).stat().st_size
    except OSError:
        written = 0
    left = SUMMARY_BYTES - written - 1
    return left if left >= _LEAST_BYTES else 0


def write_summary(text: str) -> str | None:
    """Add *text* to the summary of the step, and return why that could not be done."""
    target = Path(os.environ.get(_SUMMARY) or "")
    try:
        with target.open("ab") as file:
            file.write(("\n" if file.tell() else "").encode() + text.encode("utf-8"))
    except OSError as error:
        return f"the summary of the job cannot be written ({target}: {error.strerror})"
    return None


def tell(
    comparison: Comparison, *, lines: Sequence[str] = (), red: bool = True, inconclusive: bool = False, to: TextIO
) -> None:
    """Write the summary of the step and print annotations, each where somebody reads it.

    Args:
        comparison: of both sides.
        lines: what the reader should know besides.
        red: as :func:`of_comparison`.
        inconclusive: as :func:`of_comparison`.
        to: where annotations are printed: a stream of the step.

    """
    from pytest_sdbatch.report.comparison import summary_line
    from pytest_sdbatch.report.markdown import comparison_markdown

    most_bytes = room()
    if most_bytes:
        problem = write_summary(comparison_markdown(comparison, lines=lines, most_bytes=most_bytes))
        if problem is not None:
            print(f"sdbatch: {plain(problem)}", file=sys.stderr)
    if is_there():
        found = of_comparison(comparison, red=red, inconclusive=inconclusive)
        show(with_roll_up(found, said=summary_line(comparison)), to)


def tell_refusal(error: SdbatchError) -> None:
    """Annotate why there is no verdict at all."""
    if is_there():
        show([Annotation(level=Level.ERROR, title="sdbatch", message=str(error))], sys.stderr)


def show(annotations: Iterable[Annotation], to: TextIO) -> None:
    """Print *annotations* to a stream of the step, a line each; what its encoding lacks is replaced."""
    encoding = getattr(to, "encoding", None) or "utf-8"
    for annotation in annotations:
        print(command(annotation).encode(encoding, "replace").decode(encoding), file=to, flush=True)
