"""Of a run file is kept what its reader asks for, once it was seen to be whole."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Record, Run, full_name
from pytest_sdbatch.storage.plain import parse
from pytest_sdbatch.storage.run_file import text_of
from pytest_sdbatch.storage.stored_runs import kept_as_written, kept_of


def sizes(run: Run, name: str, record: Record) -> tuple[str, str, int]:
    """Keep of a record its run, its name and its batch size."""
    assert run.records == ()
    return run.id, name, record.case.batch_size


def test_of_each_record_is_kept_what_is_asked_for(two_runs: tuple[Run, Run]) -> None:
    """Whatever the order of the cases in the file, it is in the order of the run; both ways of reading agree."""
    text = bytes(text_of(two_runs, "run.json"))

    found = kept_as_written(text, sizes)

    assert found == kept_of(parse(text), sizes)
    assert found is not None
    assert [kept for _, kept in found] == [
        tuple((run.id, full_name(r.test, r.case), r.case.batch_size) for r in run.records) for run in two_runs
    ]


def test_a_run_without_numbers_is_read_in_one_go(two_runs: tuple[Run, Run]) -> None:
    """Such a file has no line of a case that pytest-benchmark would know."""
    failed = replace(two_runs[1], records=two_runs[1].records[1:])
    text = bytes(text_of([failed], "run.json"))

    assert b'"benchmarks":[],' in text
    assert kept_as_written(text, sizes) == kept_of(parse(text), sizes)


def test_a_place_that_is_taken_twice_is_refused(two_runs: tuple[Run, Run]) -> None:
    """Within an entry as in two of them: one record would hide the other."""
    document = json.loads(text_of(two_runs, "run.json"))
    stored = document["benchmarks"][0]["sdbatch"]["runs"]
    stored.append(stored[0])
    document["benchmarks"][0]["stats"]["data"] += document["benchmarks"][0]["stats"]["data"][:3]

    with pytest.raises(RunFileError, match=r"benchmarks\[0\]\.sdbatch\.runs\[2\]\.order: 0 appears twice"):
        kept_of(document, sizes)
