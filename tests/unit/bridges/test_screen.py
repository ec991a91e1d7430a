"""What pytest's terminal shows of benchmarks."""

from __future__ import annotations

import io

import pytest
from configured import items_with, record_of, report_of, reporter_of, screen_of

from pytest_sdbatch.bridges import screen
from pytest_sdbatch.host import Host, host_of


@pytest.fixture
def items(pytester: pytest.Pytester) -> list[pytest.Item]:
    """Return a benchmark at two batch sizes."""
    return items_with(pytester, "--sd-batch-sizes=1,2")


@pytest.fixture
def item(items: list[pytest.Item]) -> pytest.Item:
    """Return the first one."""
    return items[0]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"sdbatch_record": {"outcome": "ok"}}, ("passed", "", "OK")),
        ({"sdbatch_record": {"outcome": "oom"}, "outcome": "skipped"}, ("skipped", "", "OOM")),
        ({"sdbatch_record": {"outcome": "ok"}, "outcome": "failed"}, ("failed", "", "FAILED")),
        ({screen.SECOND_REPORT: True, "outcome": "failed"}, ("failed", "", "FAILED")),
        ({}, None),
        ({"sdbatch_record": {"outcome": "ok"}, "when": "teardown", "outcome": "failed"}, None),
        ({"sdbatch_record": {"outcome": "crashed"}, "when": "setup", "outcome": "failed"}, None),
        ({"sdbatch_record": {"outcome": "ok"}, "wasxfail": "known"}, None),
        ({"sdbatch_record": {"outcome": "ok"}, "outcome": "rerun"}, None),
    ],
)
def test_a_benchmark_has_a_word_and_no_letter(
    item: pytest.Item, fields: dict[str, object], word: tuple[str, str, str] | None
) -> None:
    """Errors, expected failures and tests that are run again are counted as pytest and its plugins count them."""
    assert screen.status(report_of(item, **fields)) == word


def lines_of(item: pytest.Item, nodes: list[str], *, expected: int) -> str:
    """Return what is printed as the benchmarks *nodes*, of *expected*, end one after the other."""
    host = host_of(item.config)
    text = screen_of(host)
    host.grid = [record_of(item).case]
    host.progress.expect([f"{name}{number}" for number, name in enumerate([*nodes, *["later"] * 9][:expected])])
    for number, name in enumerate(nodes):
        host.progress.end(f"{name}{number}", 2.0)
        screen.write_line(reporter_of(host), record_of(item, *[1.0] * 5), f"{name}{number}", host)
    return text.getvalue()


def test_lines_stand_below_the_name_of_their_file(item: pytest.Item) -> None:
    """Pytest has printed it without an end: the first line of a file begins anew, the next ones follow."""
    text = lines_of(item, ["a.py::t", "a.py::t", "b.py::t"], expected=4)

    first, second, gap, third = text.removeprefix("\n").splitlines()
    assert gap == ""
    assert [line.split("]")[0].strip("[ ") for line in (first, second, third)] == ["1/4", "2/4", "3/4"]
    assert text.endswith("\n")


def test_the_last_line_leaves_room_for_a_percentage(item: pytest.Item) -> None:
    """Pytest writes it behind a line that is open."""
    text = lines_of(item, ["a.py::t"], expected=1)

    assert not text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 100 - len(" [100%]")


def summary(host: Host, text: io.StringIO, status: pytest.ExitCode = pytest.ExitCode.OK) -> str:
    """Return what the end of a run shows."""
    screen.summary(reporter_of(host), host, status)
    return text.getvalue()


def test_the_end_of_a_run_shows_table_answer_and_notes(items: list[pytest.Item]) -> None:
    """In this order: what was written where stands last."""
    host = host_of(items[0].config)
    for item in items:
        host.session.keep(record_of(item, *[1.0] * 5))
    host.notes.append("run file: run.json")

    said = summary(host, screen_of(host))

    table, answer, note = said.index("images/s"), said.index("fastest is batch size 2"), said.index("run file")
    assert table < answer < note


@pytest.mark.parametrize("refused", [True, False])
def test_a_run_that_was_refused_has_its_notes_alone(item: pytest.Item, refused: bool) -> None:
    """What was taken over from another one is no result; neither is there a table where nothing was measured."""
    host = host_of(item.config)
    if refused:
        host.session.keep(record_of(item, *[1.0] * 5))
    host.notes.append("ERROR: it cannot be")

    assert summary(host, screen_of(host), pytest.ExitCode.USAGE_ERROR) == "ERROR: it cannot be\n"
