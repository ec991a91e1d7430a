"""What came of a sweep on a cluster: a table for each kind of device, what it answers, and the files."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.commands.cluster.asked import Asked
from pytest_sdbatch.commands.cluster.kept import Kept
from pytest_sdbatch.commands.screen import screen
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.plain_text import plain
from pytest_sdbatch.records import Environment, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a sweep left."""

    runs: tuple[Run, ...]  # of groups that have their outcome
    order: Mapping[tuple[str, str], int]  # of the cases, as they were planned, by Record.key
    kept_from: Mapping[tuple[str, str], str]  # of cases that an earlier sweep measured, in words
    left: int  # cases without an outcome
    stopped: bool  # by who had begun it
    status: int  # the first bad one that pytest ended with on a node
    kept: Kept  # what lies on the disk of it
    over: tuple[Path, ...]  # of the files to write, those that may be replaced


def show(results: Results, asked: Asked) -> int:
    """Print the tables and the answers, write the files, and return the exit status.

    The sweep is whole once all of that is done: until then there is something to go on with.
    """
    status = int(pytest.ExitCode.INTERRUPTED) if results.stopped else results.status
    if results.left and not status:
        status = int(pytest.ExitCode.TESTS_FAILED)
    for line in _tables(results, asked):
        print(line)
    is_written = True
    try:
        for line in _files(results, asked):
            print(f"sdbatch: {line}", flush=True)
    except (SdbatchError, KeyboardInterrupt) as error:
        is_written, is_stopped = False, isinstance(error, KeyboardInterrupt)
        print(f"ERROR: {'stopped before all was written' if is_stopped else error}", file=sys.stderr)
        status = status or int(pytest.ExitCode.INTERRUPTED if is_stopped else pytest.ExitCode.TESTS_FAILED)
    results.kept.end(whole=is_written and not results.left)
    folder = results.kept.folder
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    print(f"sdbatch: runs and last lines of each process: {plain(str(folder))}")
    if not is_written:
        print("sdbatch: nothing is lost: the same command with --sd-resume writes what could not be written")
    if results.left:
        to_go = units.count(results.left, "case")
        print(f"sdbatch: interrupted with {to_go} to go: the same command with --sd-resume runs only the rest")
    sys.stdout.flush()
    return status


def _tables(results: Results, asked: Asked) -> Iterator[str]:
    from pytest_sdbatch.report import answer, terminal
    from pytest_sdbatch.report.question import question_of

    seen = screen()
    kinds: dict[str, list[Run]] = {}
    for run in results.runs:
        kinds.setdefault(_kind(run), []).append(run)
    for kind, runs in kinds.items():
        records = sorted((record for run in runs for record in run.records), key=lambda one: results.order[one.key])
        question = question_of(asked.options, partial(_where, runs[0]))
        if len(kinds) > 1:
            yield f"\non {plain(kind)}:"
        yield terminal.render_table(records, **seen, kept=results.kept_from)
        yield from filter(None, [answer.plan_table(records, question, **seen)])
        for sentence in answer.answer_sentences(records, question):
            yield textwrap.fill(sentence, seen["width"], subsequent_indent="    ")


def _where(run: Run) -> Environment:
    return run.environment


def _kind(run: Run) -> str:
    facts = run.environment.must_match
    return str(facts.get("device_name") or facts.get("device_kind") or "a device that tells no name")


def _files(results: Results, asked: Asked) -> Iterator[str]:
    """Write the files that were asked for; yield what was done."""
    from pytest_sdbatch.bridges import github_run, reports
    from pytest_sdbatch.storage.merging import merge
    from pytest_sdbatch.storage.report_file import Kind, kind_of
    from pytest_sdbatch.storage.run_file import write_run

    runs = merge([("this sweep", results.runs)]).runs
    if not runs:
        return
    yield from github_run.tell_runs(runs, asked.options)
    spelled = asked.options.spelled("report")
    run_files = [path for path in asked.reports if kind_of(path, option=spelled) is Kind.JSON]
    cases = units.count(sum(len(run.records) for run in runs), "case")
    for path in run_files:
        write_run(path, runs, over=path in results.over)
        yield f"run file: {path}: {units.count(len(runs), 'run')}, {cases}"
    made = reports.reported_of(runs, asked.options, name=run_files[0].name if run_files else "this sweep")
    for path in asked.reports:
        if path not in run_files:
            yield f"report: {reports.write(path, made, option=spelled)}"
