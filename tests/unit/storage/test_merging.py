"""Runs of several files as one set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.storage.merging import merge

WHERE = Environment(must_match={"device_name": "Card"}, drift={}, shown={})


def record(size: int, seconds: float = 1.0) -> Record:
    """Return a case of one round."""
    case = Case(model="m", dtype="fp32", device="cpu", height=8, width=8, steps=1, batch_size=size, batch_count=1)
    rounds = (Round(wall_s=seconds, cpu_s=0.0, call_s=(seconds,)),)
    return Record(test="test_x.py::test_it", case=case, outcome=Outcome.OK, rounds=rounds)


def run(
    name: str, *sizes: int, shard: str | None = None, plan: str = "p", began: str = "2026-11-28T10:00:00+00:00"
) -> Run:
    """Return a run of these batch sizes."""
    options = {} if shard is None else {"shard": shard, "shard_plan": plan}
    return Run(
        id=name, started_at=began, environment=WHERE, options=options, records=tuple(record(size) for size in sizes)
    )


def test_runs_stand_in_the_order_in_which_they_began() -> None:
    """However the files were named on the command line."""
    early, late = run("2", 1, began="2026-11-28T10:00:00+00:00"), run("1", 4, began="2026-11-28T11:00:00+00:00")

    assert merge([("late.json", [late]), ("early.json", [early])]).runs == (early, late)


def test_the_same_run_twice_counts_once() -> None:
    """A file that is named twice, or lies in a merged one already, changes nothing."""
    one, other = run("1", 1), run("2", 4)
    merged = merge([("all.json", [one, other]), ("one.json", [one])])

    assert merged.runs == (one, other)
    assert merged.twice == 1


def test_a_run_of_two_contents_is_refused_with_the_case_that_differs() -> None:
    """Nobody can say which of them was measured."""
    one = run("1", 1, 4)
    changed = replace(one, records=(one.records[0], record(4, 2.0)))

    with pytest.raises(
        RunFileError, match=r"a\.json and b\.json disagree on the run 1: test_x\.py::test_it at .*-b4x1"
    ):
        merge([("a.json", [one]), ("b.json", [changed])])


@pytest.mark.parametrize(
    ("other", "said"),
    [(run("1", 1, 4, shard="1/2"), "its header"), (run("1", 4, 1), "the order of its cases"), (run("1", 1), "-b4x1")],
)
def test_whatever_differs_is_named(other: Run, said: str) -> None:
    """Options, order and missing cases disagree, too."""
    with pytest.raises(RunFileError, match=said):
        merge([("a.json", [run("1", 1, 4)]), ("b.json", [other])])


def test_a_run_that_was_gone_on_with_counts_in_the_one_that_did() -> None:
    """What was settled is in the later run, and what was not was measured again."""
    begun, whole = replace(run("1", 1), interrupted=True), replace(run("2", 1, 4), resumed_from="1")
    merged = merge([("a.json", [begun]), ("b.json", [whole])])

    assert merged.runs == (whole,)
    assert merged.twice == 1


def test_what_the_later_run_lacks_is_kept_of_the_earlier_one() -> None:
    """No case that was measured is lost, and none counts as two processes that was one."""
    begun, later = run("1", 1, 4, 8), replace(run("2", 1), resumed_from="1")
    merged = merge([("a.json", [begun]), ("b.json", [later])])

    left, same = merged.runs
    assert (same, merged.twice) == (later, 0)
    assert (left.records, left.environment) == (begun.records[1:], begun.environment)
    assert left.id != begun.id


def test_what_was_merged_can_be_merged_again_with_what_it_was_made_of() -> None:
    """The rest of an earlier run has an id of its own, and always the same."""
    begun, later = run("1", 1, 4, 8), replace(run("2", 1), resumed_from="1")
    once = merge([("a.json", [begun]), ("b.json", [later])])
    again = merge([("a.json", [begun]), ("all.json", once.runs), ("b.json", [later])])

    assert again.runs == once.runs
    assert again.twice == 2


def test_a_run_of_which_nothing_was_taken_over_is_kept_as_it_is() -> None:
    """Both were measured."""
    begun, later = run("1", 1), replace(run("2", 4), resumed_from="1")

    assert merge([("a.json", [begun]), ("b.json", [later])]).runs == (begun, later)


def test_what_the_file_of_the_later_run_measured_anew_is_not_kept() -> None:
    """A sweep of a cluster takes over what was whole, and measures the rest in other runs of the same file."""
    begun = run("1", 1, 4, 8)
    sweep = [replace(run("2", 1, 8), resumed_from="1"), run("3", 4)]
    merged = merge([("a.json", [begun]), ("b.json", sweep)])

    assert merged.runs == tuple(sweep)
    assert merged.twice == 1


def test_two_runs_that_were_gone_on_with_do_not_make_up_for_each_other() -> None:
    """In one file either lies beside the later run of the other: of a case that both hold one is kept."""
    runs = [run("1", 1, 4), run("2", 1, 4), *(replace(run(f"{n}x", 1), resumed_from=n) for n in "12")]

    assert sum(record(4).key == one.key for left in merge([("a.json", runs)]).runs for one in left.records) == 1


def test_a_run_that_was_gone_on_with_twice_counts_in_the_last() -> None:
    """In files of their own, or in one."""
    first, second = run("1", 1), replace(run("2", 1, 4), resumed_from="1")
    third = replace(run("3", 1, 4, 8), resumed_from="2")

    assert merge([("a.json", [first]), ("b.json", [second]), ("c.json", [third])]).runs == (third,)
    assert merge([("all.json", [first, second, third])]).runs == (third,)


@pytest.mark.parametrize("before", [{"1": "1"}, {"1": "2", "2": "1"}, {"1": "2", "2": "3", "3": "2"}])
def test_runs_that_went_on_with_each_other_are_refused(before: dict[str, str]) -> None:
    """None of them would be left: a run goes on with an earlier one, so a file was changed."""
    files = [
        (f"{name}.json", [replace(run(name, size), resumed_from=earlier)])
        for size, (name, earlier) in enumerate(before.items(), start=1)
    ]

    with pytest.raises(RunFileError, match=r"^\d\.json is damaged: the run \d went on with itself"):
        merge(files)


def test_shards_that_were_planned_otherwise_are_refused() -> None:
    """Cases are in two of them, or in none, and nobody would see which."""
    with pytest.raises(RunFileError, match=r"a\.json \(shard 1/2\) and b\.json \(shard 2/2\) were not planned alike"):
        merge([("a.json", [run("1", 1, shard="1/2", plan="p")]), ("b.json", [run("2", 1, 4, shard="2/2", plan="q")])])


def test_two_whole_sweeps_are_merged() -> None:
    """Stored runs changed in between, and with them the plan; nothing is missing of either."""
    runs = [run(f"{plan}{number}", number, shard=f"{number}/2", plan=plan) for plan in "pq" for number in (1, 2)]

    assert merge([("all.json", runs)]).missing == ()
    with pytest.raises(RunFileError, match="shards of theirs are missing"):
        merge([("all.json", runs[:3])])


def test_a_shard_that_was_measured_again_stands_beside_the_first() -> None:
    """They are two processes of the same cases."""
    one, again = run("1", 1, shard="1/2"), run("2", 1, shard="1/2")

    assert merge([("a.json", [one]), ("b.json", [again])]).runs == (one, again)


def test_shards_that_are_not_there_are_named() -> None:
    """One machine of four that failed is not overlooked."""
    merged = merge([("a.json", [run("1", 1, shard="1/4")]), ("c.json", [run("3", shard="3/4")])])

    assert merged.missing == ("2/4", "4/4")
    assert merge([("a.json", [run("1", 1)])]).missing == ()


def test_a_shard_that_is_none_is_a_fault_of_the_file() -> None:
    """It names the file and the text."""
    with pytest.raises(RunFileError, match=r"a\.json: shard=9/4: no shard"):
        merge([("a.json", [run("1", 1, shard="9/4")])])
