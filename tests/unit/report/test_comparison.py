"""A comparison on screen."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from compared import GIB, ended, facts, measured, quiet_side, side, trained_side

from pytest_sdbatch.analysis.ab import compare_pairs
from pytest_sdbatch.analysis.comparison import Comparison, compare
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.report.bounded import MOST_ROWS
from pytest_sdbatch.report.comparison import compared, doubts, heading, render_comparison, summary_line

CROWDED = "1 thread had 0.4 of 1 core free: something else was running"


def shown(comparison: Comparison, width: int = 80) -> str:
    """Return the text without colours."""
    return render_comparison(comparison, width=width, color=False)


@pytest.fixture
def one_of_each() -> Comparison:
    """Compare five runs with one: every verdict but incomparable is there."""
    base = quiet_side("base", 5, {1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0, 16: 1.0})
    new = quiet_side("new", 1, {1: 1.1, 2: 0.9, 4: 1.0, 8: 1.03, 32: 1.0})
    return compare(base, new)


def test_the_last_line_counts_every_verdict(one_of_each: Comparison) -> None:
    """Also those that no case has: a reader of many logs finds each number at its place."""
    assert summary_line(one_of_each) == (
        "4 cases compared: 1 regressed, 1 improved, 1 unchanged, 1 inconclusive; "
        "besides 1 new, 1 missing, 0 incomparable"
    )
    assert summary_line(one_of_each).split()[:3] == shown(one_of_each, 200).splitlines()[-2].split()[:3]


def test_every_case_has_a_row_with_its_verdict(one_of_each: Comparison) -> None:
    """Under its test and group, the reasons as numbered notes below."""
    text = shown(one_of_each, 120)

    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("  b") and "x1" in line}
    assert list(rows) == ["b1x1", "b2x1", "b4x1", "b8x1", "b16x1", "b32x1"]
    assert rows["b1x1"].split()[1:7] == ["1.00", "s", "1.10", "s", "+10", "%"]
    assert [row.split("%")[-1].strip() for row in rows.values()][:4] == [
        "regressed", "improved", "unchanged", "inconclusive (1)",
    ]  # fmt: skip
    assert rows["b16x1"].endswith("missing (2)")
    assert rows["b32x1"].endswith("new (3)")
    assert "(2) the candidate did not run it" in text


def test_a_test_is_one_block_wherever_its_cases_came_from(one_of_each: Comparison) -> None:
    """Left-out ones come last, those of a new size behind those of the base; the notes are numbered as the rows are."""
    known, *_, left_out = one_of_each.cases
    other = replace(known, place=replace(known.place, test="y.py::test_it"), verdict=Verdict.INCONCLUSIVE, reason="odd")
    lines = shown(replace(one_of_each, cases=(known, other, left_out)), 120).splitlines()

    rows = [line for line in lines if "::test_it" in line or line.startswith("  b")][:5]
    assert [row.split()[0] for row in rows] == [known.place.test, "b1x1", "b32x1", "y.py::test_it", "b1x1"]
    assert [row.split()[-1] for row in rows if row.endswith(")")] == ["(1)", "(2)"]


def test_an_inconclusive_row_says_what_could_be_found(one_of_each: Comparison) -> None:
    """The smallest slowdown that so many runs find, in the row and in the last line."""
    text = shown(one_of_each, 120)

    (row,) = [line for line in text.splitlines() if line.startswith("  b8x1")]
    case = one_of_each.cases[3]
    assert case.time is not None
    assert f"+{100 * (case.time.minimum_detectable_effect or 0):.1f} %" in row
    assert "finds: the smallest slowdown" in text
    assert text.splitlines()[-1].startswith("inconclusive: 1 case; so many runs find slowdowns of")


def test_the_block_of_a_step_that_regressed_says_so() -> None:
    """What is timed of training is a step."""
    text = shown(compare(trained_side("base", 5, {1: 1.0}), trained_side("new", 2, {1: 1.2})), 120)

    assert "  time: 1.00 s -> 1.20 s per step, +20 %" in text
    assert "call" not in text.split("\n\n")[1]


def test_a_regressed_case_has_a_block(one_of_each: Comparison) -> None:
    """Numbers, interval, reason and budget; nobody has to look them up in the table."""
    block = shown(one_of_each, 120).split("\n\n")[1].splitlines()

    assert block[0] == "regressed: benchmarks/test_x.py::test_it[sd15-fp16-512x512-s20-b1x1]"
    assert block[1] == "  peak memory: 4.00 GiB, as before (0 %): unchanged"
    assert block[2].startswith("  time: 1.00 s -> 1.10 s per call, +10 %, 95 % interval +")
    assert block[3].startswith("  why: slower by more than 3 %, beyond chance (p = ")
    assert block[4] == "  budget: 1 %, and 3 % of drift"


def test_a_block_names_memory_outcome_and_explanation() -> None:
    """Whatever it was that grew."""
    grown = compare(quiet_side("b", 5, {1: 1.0}), quiet_side("n", 1, {1: 1.0}, peak_bytes=[5 * GIB] * 6))
    lost = compare(side("b", [measured()]), side("n", [ended(1, "oom", "no memory")]))
    sizes = (1, 2, 4, 8)
    before, now = ({size: call + 0.5 * size for size in sizes} for call in (1.0, 2.0))
    slower = compare(quiet_side("b", 5, before), quiet_side("n", 5, now))

    assert "  peak memory: 4.00 GiB before, 5.00 GiB now, 20.5 MiB allowed (+25 %)\n" in shown(grown)
    assert ": unchanged\n" in shown(grown, 120)
    assert "\n  outcome: ok before, oom now: no memory\n" in shown(lost)
    assert "  explanation: sd15-fp16-512x512-s20: each call costs 1" in shown(slower, 120)


@pytest.mark.parametrize(("base", "more"), [(1, 3), (3, 1)])
def test_too_few_runs_say_how_many_more_are_needed(base: int, more: int) -> None:
    """With a command that makes them."""
    text = shown(compare(quiet_side("b", base, {1: 1.0}), quiet_side("n", 1, {1: 1.0})), 200)

    last = text.splitlines()[-1]
    assert last.startswith(f"inconclusive: 1 case; {base + 1} runs of both sides are here and 5 are needed")
    assert f"sdbatch sweep --processes={more} ..." in last


def test_where_rounds_alone_are_missing_no_more_runs_are_asked_for() -> None:
    """They would have too few again: the note of the case says of which side, and what to do."""
    short = [measured(seconds=[1.0] * 3)]

    for runs in (1, 5):
        last = shown(compare(side("base", *[short] * runs), side("new", [measured()])), 200).splitlines()[-1]
        assert last == "inconclusive: 1 case: see what each needs above"


def test_where_the_sides_alone_differ_no_more_runs_are_asked_for() -> None:
    """They would differ again, however many: it is said once what to look at."""
    new = [measured(facts=facts(drift={"driver": "580.2"}))]

    for runs in (1, 5):
        text = shown(compare(side("base", *[[measured()]] * runs), side("new", new)), 200)
        assert (
            text.splitlines()[-1] == "inconclusive: 1 case: more runs do not help where the sides differ as told above"
        )


def test_where_only_some_cases_differ_more_runs_may_help_the_others() -> None:
    """One case is inconclusive for what differs, another for noise."""
    new = [measured(1, facts=facts(drift={"driver": "580.2"})), measured(2, call_s=1.03)]
    text = shown(compare(quiet_side("base", 5, {1: 1.0, 2: 1.0}), side("new", new)), 200)

    assert "inconclusive: 2 cases" in text
    assert "more runs do not help" not in text


def test_runs_beside_other_work_are_named_above_the_table() -> None:
    """A reader is told before the table; of stored runs they do not count, so that no doubt is left."""
    crowded = measured(call_s=1.2, contention=CROWDED)
    base = side("base", *[[measured()]] * 5)
    found = compare(base, side("new", [measured(call_s=1.2)], [crowded]))
    text = shown(found, 200)
    name = next(iter(base[0].cases))

    assert f"  beside other work: something else may have slowed {name} in run 2" in text.splitlines()
    assert "doubt" not in text
    # Pairs have it on both sides, more or less, and count.
    said = "  doubt: something else may have slowed it in 1 of 2 runs of the candidate: measure on a quiet machine"
    assert said in shown(replace(found, pairs=2), 200).splitlines()


def test_what_moved_stands_above_the_table() -> None:
    """What it does to the comparison, and in how many cases where it is not in all."""
    new = [
        measured(1, facts=facts(must_match={"device_name": "Other"})),
        measured(2, facts=facts(drift={"driver": "580.2"})),
    ]
    text = shown(compare(side("base", [measured(1), measured(2)]), side("new", new, interrupted=True)))

    assert text.splitlines()[:6] == [
        "base: 1 run in base.json",
        "candidate: 1 run in new.json",
        "  the run of 2026-11-25T17:00:00+00:00 was interrupted: cases are missing from",
        "    it",
        "incomparable: device name Card -> Other (in 1 case)",
        "at most inconclusive: driver 580.1 -> 580.2 (in 1 case)",
    ]


def test_it_fits_80_columns(one_of_each: Comparison) -> None:
    """The least important columns give way, never the change, what is found and the verdict."""
    text = shown(one_of_each)

    assert max(map(len, text.splitlines())) <= 80
    (head,) = [line for line in text.splitlines() if line.startswith("case ")]
    assert {"change", "finds", "verdict"} <= set(head.split())


def test_of_very_many_cases_the_telling_ones_have_rows() -> None:
    """Ten thousand rows are read by nobody; the regressed one is among those shown."""
    sizes = range(1, MOST_ROWS + 11)
    base = quiet_side("base", 5, dict.fromkeys(sizes, 1.0))
    new = quiet_side("new", 1, {size: 2.0 if size == MOST_ROWS + 5 else 1.0 for size in sizes})

    text = shown(compare(base, new))

    assert len(re.findall(r"^  b[0-9]+x1 ", text, re.MULTILINE)) == MOST_ROWS
    assert f"\n  b{MOST_ROWS + 5}x1 " in text
    assert "10 more cases without a row here: --json has them all" in text


def test_a_name_from_a_file_cannot_write_to_the_terminal() -> None:
    """Escape sequences in an id, a fact or a reason are shown, not obeyed."""
    evil = facts(must_match={"device_name": "\x1b[2J"})
    text = shown(compare(side("a\x1b[1m", [measured()]), side("n", [measured(facts=evil)])))

    assert "\x1b" not in text


def test_what_nobody_can_tell_is_not_written_in_millions_of_percent() -> None:
    """Processes that differ tenfold find nothing, and the table stays narrow."""
    base = side("base", *([measured(call_s=call_s)] for call_s in (1.0, 10.0, 0.5, 7.0)))

    text = shown(compare(base, side("new", [measured()])))

    (row,) = [line for line in text.splitlines() if line.startswith("  b1x1")]
    assert row.count(">+1,000") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_a_noisy_run_is_said_above_the_table() -> None:
    """Its number, and its case or how many: a reader shall not look for a change where the machine was busy."""
    busy = [1.0, 2.0, 0.5, 1.5, 3.0, 0.4]
    base = side("base", [measured(1), measured(4)], [measured(1, seconds=busy), measured(4)])
    new = side("new", [measured(1, seconds=busy), measured(4, seconds=busy)])

    text = shown(compare(base, new), 200)

    assert f"noisy: the rounds of {next(iter(base[0].cases))} differ a lot in run 2 (was the machine busy?)" in text
    assert "noisy: the rounds of 2 cases differ a lot in run 1 (was the machine busy?)" in text


def test_of_two_sides_in_turn_the_commits_are_no_news() -> None:
    """Their names say which they are; a case that is noisy in several runs is named once."""
    busy = [1.0, 2.0, 0.5, 1.5, 3.0, 0.4]
    base = side("main (abc)", *[[measured(1, seconds=busy, facts=facts(shown={"dirty": False}))]] * 2)
    new = side("the working tree", *[[measured(1, facts=facts(shown={"commit": "def", "dirty": True}))]] * 2)
    stored = compare(base, new)

    text = "\n".join(heading(replace(stored, pairs=2)))

    assert "differ a lot in runs 1, 2 (was the machine busy?)" in text
    assert "also differs" not in text
    assert "also differs: uncommitted changes: none -> some" in "\n".join(heading(stored))


def test_the_blocks_can_be_left_out(one_of_each: Comparison) -> None:
    """Where another place shows them, as the failures of pytest do; the rows stay."""
    text = render_comparison(one_of_each, width=120, color=False, blocks=False)

    assert "regressed: " not in text
    assert "  regressed" in text


def test_memory_is_called_not_compared_only_where_nobody_knows_it() -> None:
    """Not where it is what failed the test of the only case."""
    grown = compare(side("b", [measured()]), side("n", [measured(state="test failed", peak_bytes=[5 * GIB] * 6)]))
    unknown = compare(side("b", [measured(peak_bytes=())]), side("n", [measured(peak_bytes=())]))

    assert "peak memory is not compared" not in shown(grown)
    assert "peak memory is not compared" in shown(unknown)


def test_a_budget_that_a_case_gave_itself_stands_in_its_row() -> None:
    """Else a slowdown within it reads as if the usual one had been kept."""
    name = "benchmarks/test_x.py::test_it[sd15-fp16-512x512-s20-b1x1]"
    pairs = list(zip(quiet_side("base", 8, {1: 1.0, 4: 1.0}), quiet_side("new", 8, {1: 1.6, 4: 1.0}), strict=True))

    text = shown(compare_pairs(lambda cases, number: pairs[:number], Config(tolerance={name: 0.99})), 160)

    (wide, usual) = [line for line in text.splitlines() if line.startswith("  b")]
    assert wide.endswith("unchanged, budget 99 %")
    assert usual.endswith("unchanged")


def test_columns_that_have_no_room_are_named() -> None:
    """As in the table of a run."""
    found = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 4, {1: 1.2}))

    assert "no room here: base (wider screen, --json)" in shown(found, 66).splitlines()
    assert "no room" not in shown(found, 200)


def test_disturbed_runs_ask_for_a_quiet_machine_and_no_more_runs() -> None:
    """What so many runs could find is no answer where none of them counts."""
    found = compare(quiet_side("base", 5, {1: 1.0}), quiet_side("new", 4, {1: 1.2}, contention=CROWDED))

    assert shown(found, 200).splitlines()[-1] == (
        "inconclusive: 1 case: something else used the cores; measure again on a quiet machine"
    )


def test_doubts_are_told_of_cases_that_are_compared() -> None:
    """Of one that this run was not asked for nothing is read off."""
    base = quiet_side("base", 5, {1: 1.0, 4: 2.0}, contention=CROWDED)

    (said,) = doubts(compared(compare(base, quiet_side("new", 1, {1: 1.0}))), base)

    name = next(iter(base[0].cases))
    assert said == f"beside other work: something else may have slowed {name} in runs 1, 2, 3, 4, 5"
