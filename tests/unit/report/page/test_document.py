"""The page as a file. In a browser: tests/browser/test_page.py."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Reader, data_of
from reported import HOSTILE, hostile_run, record, reported, run

from pytest_sdbatch.records import Outcome, Reading, Record
from pytest_sdbatch.report.page import document
from pytest_sdbatch.report.page.document import page


@pytest.fixture(scope="module")
def text() -> str:
    """Return the page of a sweep."""
    return page(reported([run()]))


def test_a_policy_lets_nothing_but_the_own_script_and_style_run(text: str) -> None:
    """Their digests are those of what the page holds; nothing may be loaded, sent or framed in."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert script is not None
    assert style is not None

    for name, content in (("script-src", script[1]), ("style-src", style[1])):
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy[1]
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_the_page_names_no_other_file_and_has_no_handler(text: str) -> None:
    """It is one file, wherever it is put."""
    reader = Reader(text)

    assert not [name for _, name, _ in reader.attributes if name.startswith("on") or name in ("src", "style")]
    assert {value for _, name, value in reader.attributes if name == "href" and not (value or "").startswith("#")} == {
        "data:,"
    }
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", text)


def test_every_section_has_a_heading_and_a_link(text: str) -> None:
    """A page is a list of sections, and one can jump to each."""
    ids = re.findall(r"<section id=([a-z-]+) ", text)

    assert ids == [
        "answer", "cost", "changed", "fits", "throughput", "seconds", "memory", "stages", "pareto", "time-line",
        "rounds", "cases", "where",
    ]  # fmt: skip
    assert [f"#{one}" for one in ids] == re.findall(r'<li><a href="(#[a-z-]+)">', text)
    assert list(data_of(text)["sections"]) == ids[4:11]


def test_hostile_text_makes_no_element_attribute_or_control_character() -> None:
    """Names, reasons and facts are shown as they are written."""
    text = page(reported([hostile_run()]))
    reader, tame = Reader(text), Reader(page(reported([run()])))

    assert set(reader.tags) <= set(tame.tags) | {"ul", "li"}
    assert {name for _, name, _ in reader.attributes} <= {name for _, name, _ in tame.attributes} | {"class"}
    assert text.count("</script>") == 2
    assert text.replace("\n", "").isprintable()
    assert HOSTILE[0] not in text
    assert HOSTILE[0] in json.dumps(data_of(text)).replace('\\"', '"')


def test_much_data_is_compressed_and_the_same_every_time(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A report that did not change is no change for git."""
    before = data_of(text)
    monkeypatch.setattr(document, "_MUCH", 100)

    packed = page(reported([run()]))

    assert 'type="application/gzip"' in packed
    assert data_of(packed) == before
    assert len(packed) < len(text)
    assert page(reported([run()])) == packed


@st.composite
def any_record(draw: st.DrawFn) -> Record:
    """Return a record that ended in any way, of which anything may be unknown."""
    size, count = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3]))
    outcome = draw(st.sampled_from(list(Outcome)))
    usual = record(size, batch_count=count, variant=draw(st.sampled_from(["eager", "vae-slicing"])))
    left = usual.rounds[: draw(st.sampled_from([0, 1, 3, 6]))] if outcome.has_numbers else ()
    round_ = usual.memory_round
    assert round_ is not None
    bare = replace(round_, time_s=(), used_bytes=(), limit_bytes=None)
    memory = draw(st.sampled_from([None, round_, bare, replace(round_, stage_peak_bytes=None)]))
    return replace(
        usual,
        outcome=outcome,
        reason=None if outcome is Outcome.OK else draw(st.sampled_from([None, "because"])),
        test_outcome=draw(st.sampled_from(["passed", "failed"])),
        rounds=left,
        warmup_s=draw(st.sampled_from([(), usual.warmup_s])),
        memory_round=memory,
        memory_source=draw(st.sampled_from([None, "peak_allocated_bytes", "host_peak_bytes"])),
        output_check=draw(st.sampled_from(["checked", "unchecked"])),
        cold_start_s=draw(st.sampled_from([Reading(reason="no"), usual.cold_start_s])),
    )


@settings(max_examples=25)
@given(st.lists(st.lists(any_record(), unique_by=lambda one: one.key, max_size=5), min_size=1, max_size=2))
def test_a_page_comes_of_whatever_happened(runs: list[list[Record]]) -> None:
    """A run that went wrong in every way is one that somebody wants to look at."""
    made = [replace(run(number=number), records=tuple(records)) for number, records in enumerate(runs)]

    text = page(reported(made, memory_limit_bytes=2.0**34, images=6))

    assert "NaN" not in text
    assert data_of(text)["views"] == list(dict.fromkeys(data_of(text)["views"]))
