"""All cases, and where they ran."""

from __future__ import annotations

from pytest_sdbatch.report.page.listing import all_cases, case_data, where
from pytest_sdbatch.report.page.subject import Subject


def test_all_cases_are_columns_of_the_terminals_texts(two: Subject) -> None:
    """With numbers to sort by; names are there once."""
    data = case_data(two)

    assert data["source"] == [0] * 5 + [1] * 4
    assert data["groups"] == ["sd15-random-bf16-512x512-s20"]
    titles = [column["title"] for column in data["columns"]]
    assert titles[:4] == ["case", "outcome", "per call", "between runs"]
    call = data["columns"][2]
    assert call["texts"][0] == "301 ms"
    assert 0.3 < call["by"][0] < 0.31
    assert data["columns"][0]["by"][:5] == [1, 2, 4, 8, 16]
    assert {len(column["texts"]) for column in data["columns"]} == {9}


def test_notes_stand_below_with_their_numbers(one: Subject) -> None:
    """The outcome carries the number."""
    assert "(1) out of memory in vae_decode" in all_cases(one).content
    assert "oom (1)" in case_data(one)["columns"][1]["texts"]


def test_what_differs_between_the_places_is_marked_and_first(two: Subject) -> None:
    """And what is not known is said with its reason."""
    content = where(two).content

    assert "What differs comes first: 1 fact." in content
    assert content.count("<tr class=differs>") == 1
    assert content.index("device name") < content.index("device kind")
    assert "NVIDIA L4: 1 run of run1.json, 2026-11-28 10:09 UTC" in content
    assert "ecc errors: the driver does not tell" in content
