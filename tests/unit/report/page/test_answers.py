"""The four answers."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from compared import quiet_side
from reported import out_of_memory, record, reported, run

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.report.page.answers import what_cost, what_fits, what_regressed, which_split
from pytest_sdbatch.report.page.subject import Subject, subject_of
from pytest_sdbatch.storage.verdict_file import verdicts_of


def text_of(html: str) -> str:
    """Return what is read."""
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html))


def test_the_answer_is_the_sentence_of_the_terminal(one: Subject) -> None:
    """Word for word."""
    text = text_of(which_split(one).content)

    assert "fastest is batch size 16 at 7.6" in text
    assert "(batch size 32 ran out of memory)" in text


def test_splits_that_were_asked_for_are_a_table_with_the_recommended_one_marked() -> None:
    """As under --sd-images."""
    content = which_split(subject_of(reported([run()], images=16))).content

    assert "16 images: " in content
    assert content.count("<tr class=good>") == 1
    assert "measured, recommended" in content


def test_a_row_that_is_not_to_be_relied_on_is_marked_in_each_box() -> None:
    """And one line on top says what the mark means; what else ran on the machine stands there, too."""
    busy = [record(size, contention="another process") for size in (1, 4)]
    made = run(*busy, record(16), where={"device_name": "NVIDIA L4"})
    environment = replace(made.environment, shown={**made.environment.shown, "other_benchmarks": 1})
    subject = subject_of(reported([replace(made, environment=environment)], images=16))

    split, cost = which_split(subject).content, what_cost(subject).content

    assert text_of(split).startswith(" Do not rely on 2 of 3 cases, marked doubtful: ")
    assert "Another benchmark ran on the machine meanwhile" in split
    assert split.count("measured, doubtful") == 2
    assert "smallest, doubtful" in cost


def test_a_box_says_by_itself_of_what_it_is() -> None:
    """How many images of which model, with pixels and steps, where the eye is."""
    subject = subject_of(reported([run()], images=16))

    words = "sd15, random weights, bf16, 512x512 pixels, 20 steps</h3>"
    assert f"<h3>16 images of {words}" in which_split(subject).content
    assert ">all 16 images</th>" in which_split(subject).content
    assert f"<h3>{words}" in what_cost(subject).content


def test_without_two_batch_sizes_there_is_no_answer() -> None:
    """It is said, not left out."""
    made = subject_of(reported([run(out_of_memory(8))]))

    assert "no answer, because no case ended well: 1 oom" in which_split(made).content
    assert "none is known to fit" in what_fits(made).content
    assert "<table" not in what_cost(made).content
    assert "No case has figures that may answer." in what_cost(made).content


def test_the_cost_of_two_devices_is_told_in_dollars_and_the_cheapest_is_named(two: Subject) -> None:
    """A line for the smallest, the recommended and the fastest size of each."""
    content = what_cost(two).content
    text = text_of(content)

    assert "cheapest is NVIDIA H100 80GB HBM3 with batch size 16, $0.09" in text
    assert "on NVIDIA L4" in text
    assert "No price is known" not in text
    assert content.count("<tr class=good>") == 2
    assert "$ per 1000, once loaded" in text


def test_a_device_without_a_price_is_named_beside_one_that_has_one() -> None:
    """A price of a mistyped device would be missing without a word."""
    files = [run()], [run(number=9, where={"device_name": "NVIDIA L4"})]

    made = subject_of(reported(*files, prices={"NVIDIA L4": 0.71}))

    assert "No price is known of NVIDIA H100 80GB HBM3." in what_cost(made).content


def test_without_a_price_it_is_said_how_to_give_one(one: Subject) -> None:
    """Time, memory and energy are costs all the same."""
    text = text_of(what_cost(one).content)

    assert "sdbatch report RUN.json --price=2.49/h" in text
    assert "energy per image" in text
    assert "$ per" not in text


def test_without_a_comparison_it_is_said_how_to_make_one(one: Subject) -> None:
    """No verdict is invented."""
    assert "Nothing was compared. To compare: sdbatch report NEW.json --baseline" in what_regressed(one).content


def test_what_regressed_comes_first_and_is_marked() -> None:
    """With the count, what was compared, and why."""
    comparison = compare(quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 1, {1: 1.0, 2: 1.2}))
    found = verdicts_of(comparison_data(comparison, status=10))
    content = what_regressed(subject_of(reported([run()], verdicts=found))).content

    assert '<p class="answer bad">2 cases compared: 1 regressed' in content
    assert content.index("<tr class=bad>") < content.index("unchanged</td>")
    assert "base: 5 runs: base.json" in content


def test_what_fits_was_measured_or_predicted(two: Subject) -> None:
    """For the memory there was, and for another card."""
    text = text_of(what_fits(two).content)

    assert "at least 16 fit, about 81 (77 or more)" in text
    assert "with 24.0 GiB: about 24 (22 or more)" in text


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((1, 2, 4, 8), "For another card: sdbatch report RUN.json --memory=24GiB"),
        ((1, 2), "What fits another card can be predicted from more batch sizes: three or more that ended well."),
    ],
)
def test_what_is_advised_of_memory_can_be_followed(sizes: tuple[int, ...], said: str) -> None:
    """Of too few batch sizes nothing is predicted, so that no command is named for it."""
    assert said in text_of(what_fits(subject_of(reported([run(*map(record, sizes))]))).content)
