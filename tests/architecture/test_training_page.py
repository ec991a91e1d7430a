"""The page on training shows what the study in docs/results says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from studies import made_study

from pytest_sdbatch.storage.study_file import write_study

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/training_page.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("training_page_tool", ROOT / "tools" / "training_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    """Whoever changes a claim or its words runs ``python tools/training_page.py --only-write``."""
    page = tool.PAGE.read_text(encoding="utf-8")

    assert page == tool.filled(page), "out of date: run python tools/training_page.py --only-write"


def test_only_what_is_between_the_marks_is_written(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The section names the command and where it ran; the rest of the page is written by hand."""
    facts: dict[str, str | int | float | None] = {
        "device_name": "A CPU",
        "threads": 1,
        "pytest-sdbatch": "1",
        "torch": "2",
        "diffusers": "3",
    }
    write_study(tmp_path / "study.json", made_study(facts=facts))
    monkeypatch.setattr(tool, "RESULT", tmp_path / "study.json")
    made = tool.filled(f"before\n{tool.BEGIN}old\n{tool.END}after\n")

    assert made.startswith(f"before\n{tool.BEGIN}\n`sdbatch study` on A CPU, 1 thread, 2026-01-02, pytest-sdbatch 1")
    assert made.endswith(f"\n{tool.END}after\n")
    assert "\nold\n" not in made
    assert made.count("### ") == 3, "a table of claims for each part of the folklore"
    with pytest.raises(ValueError, match="lacks"):
        tool.filled("no marks")
