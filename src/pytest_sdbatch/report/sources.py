"""What a report is made from: runs, grouped by where and of what they are, each group with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch.analysis.verdict_list import VerdictList
from pytest_sdbatch.records import Environment, Fact, Run
from pytest_sdbatch.report.escape import plain, shortened
from pytest_sdbatch.report.splits import Question

_LONGEST_NAME = 48
_SHORT_COMMIT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """The runs of one file."""

    name: str  # as the user wrote it
    runs: tuple[Run, ...]
    is_base: bool = False  # of the side that others are compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Runs that answer together: of one machine in one state, and one commit."""

    name: str  # harmless text of one line; tells it from the others of the report
    files: tuple[str, ...]
    runs: tuple[Run, ...]
    question: Question
    is_base: bool = False

    @property
    def environment(self) -> Environment:
        """Where its runs were made."""
        return self.runs[0].environment

    @property
    def facts(self) -> Mapping[str, Fact]:
        """All facts of it, those that must match first to be found."""
        where = self.environment
        return {**where.shown, **where.drift, **where.must_match}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """All that a report shows."""

    sources: tuple[Source, ...]
    verdicts: VerdictList | None = None
    memory_limit_bytes: float | None = None  # for which the largest batch is predicted, besides what there was

    @property
    def priced(self) -> bool:
        """Whether a price is known of any source."""
        return any(source.question.price_per_s is not None for source in self.sources)


def sources_of(files: Iterable[RunFile], question: Callable[[Run], Question]) -> tuple[Source, ...]:
    """Return the runs of *files*, those together that answer together.

    Runs do where all that must match or may drift is equal and the commit is known, clean and the same. Of others
    nobody knows whether the code is: each file stands for itself.

    Args:
        files: in the order in which they are shown.
        question: returns what the user wants to know of the place of a run.

    """
    found: dict[tuple[object, ...], Source] = {}
    for file in files:
        for run in file.runs:
            key = _identity(file, run)
            if key in found:
                known = found[key]
                files_of = tuple(dict.fromkeys((*known.files, file.name)))
                found[key] = replace(known, files=files_of, runs=(*known.runs, run))
            else:
                found[key] = Source(
                    name="", files=(file.name,), runs=(run,), question=question(run), is_base=file.is_base
                )
    return _named(list(found.values()))


def _identity(file: RunFile, run: Run) -> tuple[object, ...]:
    where = run.environment
    commit, dirty = where.shown.get("commit"), where.shown.get("dirty")
    own = None if commit and dirty is False else file.name
    return (file.is_base, commit, own, _items(where.must_match), _items(where.drift))


def _items(facts: Mapping[str, Fact]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, repr(value)) for key, value in facts.items()))


def _named(sources: Sequence[Source]) -> tuple[Source, ...]:
    """Return *sources* with names of what differs among them: device, commit, versions, file, time."""
    parts = [_parts(source) for source in sources]
    used = [key for key in parts[0] if key == "device" or len({part[key] for part in parts}) > 1] if parts else []
    # The least that tells them apart: what comes later is only said where what comes before does not do.
    names: list[str] = []
    for length in range(1, len(used) + 1):
        names = [", ".join(text for key in used[:length] if (text := part[key])) for part in parts]
        if len(set(names)) == len(names):
            break
    else:
        names = [f"{name} ({number})" for number, name in enumerate(names, start=1)]
    return tuple(
        replace(source, name=f"base: {name}" if source.is_base else name)
        for source, name in zip(sources, names, strict=True)
    )


def _parts(source: Source) -> dict[str, str]:
    facts = source.facts
    commit = str(facts.get("commit") or "")[:_SHORT_COMMIT]
    changed = "with changes" if commit and facts.get("dirty") else ""
    parts = {
        "device": str(facts.get("device_name") or facts.get("device_kind") or "device"),
        "commit": " ".join(filter(None, (commit, changed))),
        "torch": f"torch {facts['torch']}" if facts.get("torch") else "",
        "diffusers": f"diffusers {facts['diffusers']}" if facts.get("diffusers") else "",
        "file": " + ".join(source.files),
        "began": source.runs[0].started_at,
    }
    return {key: shortened(plain(text), _LONGEST_NAME) for key, text in parts.items()}
