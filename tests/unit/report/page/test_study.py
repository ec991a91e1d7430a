"""The page of a learning study as a file. In a browser: tests/browser/test_page.py."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Reader, data_of
from reported import HOSTILE
from studies import hostile_study, made_noise, made_run, made_study

from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part, RatePolicy, Study, TunedRate
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.report.page.study import study_page


@pytest.fixture(scope="module")
def text() -> str:
    """Return the page of a study in which everything went well."""
    return study_page(made_study(), file="digits.json")


def test_the_page_goes_from_the_advice_over_the_figures_to_the_claims(text: str) -> None:
    """One can jump to each section; those with figures have data for them."""
    ids = re.findall(r"<section id=([a-z-]+) ", text)

    assert ids == [
        "answer", "sizes", "loss", "examples", "seconds", "speed", "noise", "ramp", "count", "claims", "where",
    ]  # fmt: skip
    assert [f"#{one}" for one in ids] == re.findall(r'<li><a href="(#[a-z-]+)">', text)
    sections = data_of(text)["sections"]
    assert list(sections) == ids[2:9]
    assert all(view for views in sections.values() for view in views)


def test_the_advice_its_reasons_and_a_count_of_the_claims_come_first(text: str) -> None:
    """Who reads no more than the first box knows what to train with."""
    first = text[text.index("<section id=answer") : text.index("<section id=sizes")]

    assert "Recommended: train digits at batch size 64" in first
    assert "Of 18 claims about batch size and count" in first
    assert "learning rates were tuned elsewhere" in first


def test_every_claim_has_its_verdict_in_sight_and_its_figures_behind_a_word(text: str) -> None:
    """Fifteen claims, each with what would settle it."""
    claims = text[text.index("<section id=claims") : text.index("<section id=where")]

    assert len(re.findall(r'<strong class="tag[a-z ]*">(supported|not supported|cannot tell)</strong>', claims)) == 18
    assert claims.count("<details><summary>Figures</summary>") == 18
    assert claims.count("What would settle it") == 18
    assert "this shows how to measure it, not that it holds for another model" in claims


def test_searched_rates_have_a_section_of_their_own() -> None:
    """With all that were tried, and whether the best of them is an optimum."""
    rate = TunedRate(batch_size=16, rate=4e-3, interior=False, tried=((2e-3, 900.0), (4e-3, None)), largest_stable=None)
    text = study_page(made_study(tuned=True, rates=(rate,)), file="s.json")

    assert "no: it lies at the end of those tried" in text
    assert "0.002: 900; 0.004: not reached" in text


def test_memory_that_was_read_is_drawn_by_phase() -> None:
    """On a page of a study that read it."""
    ((figure,),) = data_of(study_page(made_study(metered=True), file="s.json"))["sections"]["memory"]

    assert [series["n"] for series in figure["series"]] == ["forward", "backward", "optimizer"]
    assert figure["series"][1]["y"] == [152, 248, 632]
    assert figure["y"] == "peak memory (MiB)"


def test_nothing_reached_is_a_page_that_says_so() -> None:
    """The losses are drawn; of examples and seconds there is nothing to draw, and no number is made up."""
    text = study_page(replace(made_study(), target=0.01), file="s.json")
    data = data_of(text)

    assert "Recommended: none: no batch size reached the target" in text
    assert len(data["sections"]["loss"][0]) == 3
    assert data["sections"]["examples"] == [[]]
    assert data["none"]["examples"] == "No batch size reached the target."


def test_hostile_text_makes_no_element_attribute_or_control_character() -> None:
    """Names of data, reasons, facts and the command are shown as they are written."""
    hostile = study_page(hostile_study(), file="".join(HOSTILE))
    reader, tame = Reader(hostile), Reader(study_page(made_study(), file="s.json"))

    assert set(reader.tags) <= set(tame.tags)
    assert {name for _, name, _ in reader.attributes} <= {name for _, name, _ in tame.attributes}
    assert hostile.count("</script>") == 2
    assert hostile.replace("\n", "").isprintable()
    assert HOSTILE[0] not in hostile
    assert HOSTILE[0] in json.dumps(data_of(hostile)).replace('\\"', '"')


@st.composite
def any_study(draw: st.DrawFn) -> Study:
    """Return a study in which anything may have gone wrong or may be missing."""
    sizes = tuple(sorted(draw(st.sets(st.sampled_from([1, 2, 3, 16, 64, 256]), min_size=1, max_size=4))))
    seeds = tuple(range(draw(st.sampled_from([1, 2, 7]))))
    study = made_study(sizes=sizes, seeds=seeds, policy=draw(st.sampled_from(list(RatePolicy))))
    ends = draw(st.lists(st.sampled_from(list(End)), min_size=1, max_size=3))
    kept = draw(st.sampled_from([1, 2, 5, 99]))
    parts = {Part.TABLE, *draw(st.sets(st.sampled_from(list(Part))))}
    runs = tuple(
        replace(run, end=ends[at % len(ends)], evaluations=run.evaluations[:kept], reason="so", quality=None)
        for at, run in enumerate(study.runs)
        if run.part in parts
    )
    unsure = replace(made_noise(), plain=replace(made_noise().plain, size=Bounds(estimate=None, low=draw(_LOW))))
    return replace(
        study,
        runs=runs,
        noise=draw(st.sampled_from([(), (unsure,), (unsure, *study.noise)])),
        split=draw(st.sampled_from([None, study.split])),
        target=draw(st.sampled_from([0.195, 0.01, 5.0])),
        facts=draw(st.sampled_from([{}, study.facts])),
        command=draw(st.sampled_from(["", "sdbatch study"])),
    )


_LOW = st.sampled_from([None, 12.0])


@settings(max_examples=30, deadline=None)
@given(any_study())
def test_a_page_comes_of_whatever_happened(study: Study) -> None:
    """A study that went wrong in every way is one that somebody wants to look at."""
    text = study_page(study, file="s.json")

    assert "NaN" not in text
    for block in (block for views in data_of(text)["sections"].values() for view in views for block in view):
        for series in block.get("series", ()):
            assert all(x > 0 for x in series.get("x", ())) or not block["doubling"], block["title"]
            low = [value for key in "ylh" for value in series.get(key, ())]
            assert min(low, default=1) > 0 or not block.get("byFactors"), block["title"]


def test_many_runs_make_no_large_page() -> None:
    """Five seeds of a size are drawn, and their lines thinned."""
    many = made_study(seeds=tuple(range(12)))
    text = study_page(replace(many, runs=(*many.runs, made_run(16, 3, part=Part.TUNING))), file="s.json")
    (figure, *_), *_ = data_of(text)["sections"]["loss"]

    assert len(figure["series"]) == 5 * 4
    assert "the first 5 seeds of each are drawn" in figure["note"]
