"""The page in a real browser: drawn, quiet, closed, for keyboard and screen, and quick when it is large."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Tab, find_browser
from compared import quiet_side
from reported import hostile_run, out_of_memory, record, reported, rounds, run
from studies import hostile_study

from pytest_sdbatch.analysis.comparison import compare
from pytest_sdbatch.report.comparison_data import comparison_data
from pytest_sdbatch.report.page import document, listing, memory, subject
from pytest_sdbatch.report.page.document import page
from pytest_sdbatch.report.page.study import study_page
from pytest_sdbatch.report.sources import Reported
from pytest_sdbatch.storage.report_file import Kind, write_report
from pytest_sdbatch.storage.study_file import read_study
from pytest_sdbatch.storage.verdict_file import verdicts_of

PROGRAM = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium here: apt-get install chromium, or SDBATCH_BROWSER=PATH"),
]
STUDY = Path(__file__).parents[2] / "docs" / "results" / "studies" / "digits.json"
MOST_S, MOST_BYTES = 3.0, 8 * 2**20  # of a page of ten thousand cases


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start the browser once."""
    assert PROGRAM is not None
    started = Browser(PROGRAM, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """Open a window of usual size."""
    opened = Tab(browser)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of two GPUs, with prices, verdicts, and two variants to select from."""
    comparison = compare(quiet_side("base", 5, {1: 1.0, 2: 1.0}), quiet_side("new", 1, {1: 1.0, 2: 1.2}))
    fast = [record(size, variant=variant) for variant in ("eager", "channels-last") for size in (1, 2, 4, 8, 16)]
    slow = [*(record(size, a_s=0.3, c_s=0.55) for size in (1, 2, 4, 8)), out_of_memory(16)]
    made = reported(
        [run(*fast)],
        [run(*slow, number=9, where={"device_name": "NVIDIA L4"})],
        prices={"NVIDIA H100 80GB HBM3": 2.49, "NVIDIA L4": 0.71},
        verdicts=verdicts_of(comparison_data(comparison, status=10)),
        memory_limit_bytes=24 * 2.0**30,
    )
    return written(made, tmp_path_factory.mktemp("two"))


def written(made: Reported, folder: Path) -> Path:
    """Write the page of *made* as the command does."""
    return write_report(folder / "report.html", Kind.HTML, page(made))


def test_the_page_draws_every_plot_and_neither_complains_nor_asks(tab: Tab, two_devices: Path) -> None:
    """No error, no warning, no request; each section of measurements has figures with marks of data in them."""
    tab.open(two_devices)

    assert tab.complaints() == []
    assert tab.requests() == []
    drawn = tab.run(
        "Object.fromEntries([...document.querySelectorAll('section')].filter((s) => s.querySelector('.blocks'))"
        ".map((s) => [s.id, s.querySelectorAll('svg .points, svg .line, svg .bar, svg .trace').length]))"
    )
    assert list(drawn) == ["throughput", "seconds", "memory", "stages", "pareto", "time-line", "rounds"]
    assert min(drawn.values()) >= 9
    assert (
        tab.run("[...document.querySelectorAll('svg path')].filter((p) => /NaN|undefined/.test(p.outerHTML)).length")
        == 0
    )
    answer = tab.run("document.querySelector('#answer').innerText")
    assert "fastest is batch size 16" in answer
    assert "cheapest is NVIDIA H100" in tab.run("document.querySelector('#cost').innerText")


CONTRAST = """(() => {
  const parse = (text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => rgb.reduce((sum, v, at) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][at], 0.05);
  const paper = parse(getComputedStyle(document.body).backgroundColor);
  const of = (selector, property) => [...document.querySelectorAll(selector)].map((element) => {
    const [a, b] = [light(parse(getComputedStyle(element)[property])), light(paper)];
    return Math.max(a, b) / Math.min(a, b);
  });
  return {
    paper,
    text: Math.min(...of("h2, .lead, .dim, a, summary", "color"), ...of("svg text", "fill")),
    data: Math.min(...of(".points, .bar", "fill"), ...of(".line", "stroke")),
  };
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_in_the_colours_and_on_the_screen_that_there_are(
    tab: Tab, two_devices: Path, width: int, *, dark: bool
) -> None:
    """Text stands out by 4.5 and data by 3 to 1; nothing but a table's own room scrolls to the side."""
    tab.look(width=width, dark=dark)
    tab.open(two_devices)

    assert tab.run("document.documentElement.scrollWidth") <= width
    assert (
        tab.run(
            "Math.max(...[...document.querySelectorAll('figure > svg')].map((s) => s.getBoundingClientRect().right))"
        )
        <= width
    )
    found = tab.run(CONTRAST)
    assert (max(found["paper"]) < 60) is dark
    assert found["text"] >= 4.5
    assert found["data"] >= 3


LABELS = """[...document.querySelectorAll('figure > svg')].flatMap((svg) => {
  const marked = [...svg.querySelectorAll('.marked')].map((text) => text.getBoundingClientRect());
  return marked.flatMap((a, at) => marked.slice(at + 1)
    .filter((b) => a.left < b.right - 2 && b.left < a.right - 2 && a.top < b.bottom - 3 && b.top < a.bottom - 3));
}).length"""
CUT = """(() => {
  const left = (element) => element.getBoundingClientRect().left;
  const edge = left(document.querySelector('#stages svg'));
  return [...document.querySelectorAll('#stages .labels text')].filter((text) => left(text) < edge).length;
})()"""


@pytest.mark.parametrize("width", [360, 1280])
def test_no_label_lies_on_another_or_is_cut(tab: Tab, two_devices: Path, width: int) -> None:
    """Marks at one batch size, names of bars on a phone; a table that goes on to the right fades there."""
    tab.look(width=width)
    tab.open(two_devices)

    assert tab.run("document.querySelectorAll('#throughput .marked').length") == 3
    assert tab.run(LABELS) == 0
    assert tab.run(CUT) == 0
    first, last = "b1x1, NVIDIA H100 80GB HBM3", "b8x1, NVIDIA L4"
    names = tab.run("[...document.querySelectorAll('#stages .labels text')].map((text) => text.textContent)")
    assert {first, last} <= set(names)
    fading = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1)"
    assert tab.run(f"{fading}.length") > 0
    assert tab.run(f"{fading}.every((e) => e.classList.contains('more'))") is True
    tab.run("{const e = document.querySelector('#cost .scroll'); e.scrollLeft = e.scrollWidth;}")
    assert tab.becomes("document.querySelector('#cost .scroll').classList.contains('more')", value=False)


def test_a_keyboard_does_all_that_a_mouse_does(tab: Tab, two_devices: Path) -> None:
    """Tab reaches every control; arrows read a figure's points and select; Enter opens numbers and sorts."""
    tab.open(two_devices)
    tab.press("Tab")
    assert tab.run("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(60):
        tab.press("Tab")
        reached.add(tab.run("(document.activeElement.id || document.activeElement.tagName).toLowerCase()"))
    assert {"a", "div", "view", "svg", "summary"} <= reached

    tab.run("document.querySelector('#throughput svg').focus()")
    tab.press("ArrowRight")
    first = tab.run("document.querySelector('#throughput .readout').textContent")
    tab.press("End")
    last = tab.run("document.querySelector('#throughput .readout').textContent")
    assert "batch size 1, images/s 3.3" in first
    assert "b16x1, batch size 16, images/s 7.6" in last

    tab.run("document.querySelector('#throughput summary').focus()")
    tab.press("Enter")
    assert tab.becomes("document.querySelectorAll('#throughput details tbody tr').length", 9)

    tab.run("document.querySelector('#view').focus()")
    tab.press("ArrowDown")
    assert tab.becomes("document.querySelector('#view').selectedIndex", 1)
    assert tab.becomes("document.querySelectorAll('#stages figure > svg rect').length", 25)

    tab.run("document.querySelector('#cases thead th:nth-child(5) button').focus()")
    tab.press("Enter")
    assert tab.run("document.querySelector('#cases thead th:nth-child(5)').getAttribute('aria-sort')") == "ascending"
    assert tab.complaints() == []


def test_a_screen_reader_is_told_what_there_is(tab: Tab, two_devices: Path) -> None:
    """Figures and tables have names, controls have labels, headings descend one by one."""
    tab.open(two_devices)

    nameless = (
        "[...document.querySelectorAll('svg[role=img], .scroll')].filter((e) => !e.getAttribute('aria-label')).length"
    )
    assert tab.run(nameless) == 0
    assert tab.run("[...document.querySelectorAll('select, input')].every((e) => e.labels.length)") is True
    levels = tab.run("[...document.querySelectorAll('h1, h2, h3, h4')].map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(after <= before + 2 for before, after in itertools.pairwise(levels))
    assert tab.run("document.documentElement.lang") == "en"


def test_a_first_call_beyond_the_rounds_is_told(tab: Tab, tmp_path: Path) -> None:
    """Above them, as it takes longer, or below: it is neither cut off nor does it press the rounds together."""
    warm = [record(1, warmup_s=(0.9, 0.2)), record(2, warmup_s=(0.2,))]
    tab.open(written(reported([run(*warm)]), tmp_path))

    texts = "[...panel.querySelectorAll('.aside')].map((text) => text.textContent)"
    told = tab.run(f"[...document.querySelectorAll('#rounds .panel')].map((panel) => {texts})")
    assert told == [["900 \u2191", "200 \u2193"], ["200 \u2193"]]


def test_hostile_names_are_shown_and_do_nothing(tab: Tab, tmp_path: Path) -> None:
    """No element, no script, no title comes of them; one can read them."""
    tab.open(written(reported([hostile_run()]), tmp_path))

    assert tab.complaints() == []
    assert tab.requests() == []
    assert tab.run("document.title") == "Batch size or batch count? - pytest-sdbatch"
    assert tab.run("document.querySelectorAll('img, iframe, object, [onerror]').length") == 0
    assert tab.run("document.querySelectorAll('script').length") == 2
    assert "<img src=x onerror=" in tab.run("document.querySelector('#where').innerText")


def test_a_study_is_drawn_quiet_and_fits_the_smallest_screen(tab: Tab, tmp_path: Path) -> None:
    """The one that the documentation shows: every figure has marks of data, the loss falls by factors."""
    study = read_study(STUDY)
    path = write_report(tmp_path / "study.html", Kind.HTML, study_page(study, file="digits.json"))
    tab.look(width=360, dark=True)
    tab.open(path)

    assert tab.complaints() == []
    assert tab.requests() == []
    assert tab.run("document.documentElement.scrollWidth") <= 360
    drawn = tab.run(
        "Object.fromEntries([...document.querySelectorAll('section')].filter((s) => s.querySelector('.blocks'))"
        ".map((s) => [s.id, s.querySelectorAll('svg .points, svg .line, svg .bar, svg .trace').length]))"
    )
    assert list(drawn) == ["loss", "examples", "seconds", "speed", "memory", "noise", "ramp", "count"]
    assert min(drawn.values()) >= 4
    assert "NaN" not in tab.run("[...document.querySelectorAll('svg')].map((s) => s.outerHTML).join('')")
    found = tab.run(CONTRAST)
    assert found["text"] >= 4.5
    assert found["data"] >= 3
    ticks = "[...document.querySelectorAll('#loss svg .labels text')].map((t) => t.textContent)"
    assert {"0.2", "0.3", "0.5", "0.7"} <= set(tab.run(ticks))
    tab.run("document.querySelector('#claims details summary').focus()")
    tab.press("Enter")
    assert "What would settle it" in tab.run("document.querySelector('#claims details').innerText")


def test_hostile_names_of_a_study_do_nothing(tab: Tab, tmp_path: Path) -> None:
    """Of its data, its device, its reasons and its command."""
    tab.open(write_report(tmp_path / "study.html", Kind.HTML, study_page(hostile_study(), file="s.json")))

    assert tab.complaints() == []
    assert tab.requests() == []
    assert tab.run("document.title") == "Training: batch size or batch count? - pytest-sdbatch"
    assert tab.run("document.querySelectorAll('img, iframe, object, [onerror]').length") == 0
    assert tab.run("document.querySelectorAll('script').length") == 2
    assert "<img src=x onerror=" in tab.run("document.querySelector('#where').innerText")


def test_the_policy_of_the_page_holds(tab: Tab, two_devices: Path) -> None:
    """What somebody managed to write into it would neither run nor speak to anybody."""
    tab.open(two_devices)

    tab.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))")
    tab.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\" onerror=\"window.ran = 1\">')")
    assert tab.run("fetch('https://example.invalid/').then(() => 'sent', () => 'refused')") == "refused"
    assert tab.run("window.ran === undefined")
    said = " ".join(tab.complaints())
    assert said.count("Content Security Policy") >= 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """A block whose numbers differ from those of the one it was made from, as those of other cases would."""

    block: Any
    seed: int

    def data(self) -> Any:
        """Return the data for the script."""
        return _varied(self.block.data(), random.Random(self.seed))


def _varied(value: Any, dice: random.Random) -> Any:
    if isinstance(value, float):
        return float(f"{value * (1 + 0.1 * dice.random()):.4g}")
    if isinstance(value, list):
        return [_varied(item, dice) for item in value]
    return {key: _varied(item, dice) for key, item in value.items()} if isinstance(value, dict) else value


def large_page(monkeypatch: pytest.MonkeyPatch, *, copies: int) -> str:
    """Return a page of 100 cases of 30 rounds times *copies*: what was fitted is repeated, what is shown is not."""
    monkeypatch.setattr(subject, "_MANY_CASES", 10)
    monkeypatch.setattr(subject, "_MANY_VIEWS", 5)
    monkeypatch.setattr(memory, "_MOST_POINTS", memory._MOST_POINTS // copies)
    records = [
        replace(record(size, variant=f"v{k}"), rounds=tuple(rounds(0.2 + 0.1 * size, size, count=30, number=k)))
        for k in range(10)
        for size in range(1, 11)
    ]
    made = subject.subject_of(reported([run(*records)]))
    parts = [
        [replace(section, blocks=_copied(section.blocks, copies)) for section in (make(made) for make in makers)]
        for makers in (document.ANSWERS, document.MEASUREMENTS, document.LISTS)
    ]
    cases = listing.case_data(made)
    columns = [
        {key: value * copies if isinstance(value, list) else value for key, value in column.items()}
        for column in cases["columns"]
    ]
    cases |= {key: cases[key] * copies for key in ("source", "test", "group")} | {"columns": columns}
    views = [f"view {k}" for k in range(10 * copies)]
    return document.document(title="Large", about="", parts=parts, views=views, cases=cases)


def _copied(blocks: tuple[tuple[Any, ...], ...], copies: int) -> Any:
    return tuple(tuple(Varied(block=block, seed=copy) for block in view) for copy in range(copies) for view in blocks)


def test_ten_thousand_cases_open_at_once(tab: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under 3 s and 8 MB, because rows and figures are drawn when somebody looks at them."""
    path = write_report(tmp_path / "large.html", Kind.HTML, large_page(monkeypatch, copies=100))

    assert path.stat().st_size < MOST_BYTES
    took_s = min(tab.open(path) for _ in range(3))  # the quickest of three: others use this machine, too

    assert took_s < MOST_S
    assert tab.complaints() == []
    assert tab.run("document.querySelectorAll('#cases tbody tr').length") == 50
    assert "1 to 50 of 10000 cases" in tab.run("document.querySelector('#cases').innerText")
    tab.run("document.querySelector('#cases .choose button:last-child').click()")
    assert "51 to 100 of 10000 cases" in tab.run("document.querySelector('#cases').innerText")
    tab.run("{const f = document.querySelector('#find'); f.value = 'v7 b3x1'; f.dispatchEvent(new Event('input'));}")
    assert "1 to 50 of 100 cases" in tab.run("document.querySelector('#cases').innerText")
