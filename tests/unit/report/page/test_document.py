"""The page as a file. In a browser: tests/browser/test_page.py."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from reported import HOSTILE, hostile_run, reported, run

from pytest_sdbatch.report.page import document
from pytest_sdbatch.report.page.document import page


class Reader(HTMLParser):
    """Takes note of elements and of attributes that run or load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        """Take note of what a script or a style holds."""
        if self.tags and self.tags[-1] in self.raw and self.get_starttag_text():
            self.raw[self.tags[-1]].append(data)


@pytest.fixture(scope="module")
def text() -> str:
    """Return the page of a sweep."""
    return page(reported([run()]))


def data_of(text: str) -> dict[str, Any]:
    """Return the data of a page."""
    found = re.search(r'<script type="application/(json|gzip)" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    raw = found[2] if found[1] == "json" else gzip.decompress(base64.b64decode(found[2])).decode()
    data: dict[str, Any] = json.loads(raw)
    return data


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
