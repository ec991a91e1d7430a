"""The generated pages of docs/reference say what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import pytest_sdbatch
from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.options import TABLE
from pytest_sdbatch.pipelines.architectures import ARCHITECTURES
from pytest_sdbatch.pipelines.variants import VARIANTS
from pytest_sdbatch.report.exports import EXPORTS
from pytest_sdbatch.storage.report_file import Kind

ROOT = Path(__file__).parents[2]
NAMES = {
    "options.md": [f"`sd_{row.name}`" for row in TABLE],
    "models.md": [f"`{name}`" for name in ARCHITECTURES],
    "variants.md": [f"`{name}`" for name in VARIANTS],
    "commands.md": [
        *(f"`sdbatch {name}`" for name in ("sweep", "ab", "models", "compare", "report", "study", "calibrate")),
        *(f"| {int(status)} |" for status in ExitStatus),
        *(
            "`--processes K`",
            "`--on ray`",
            "`--base REF`",
            "`--candidate NEW.json`",
            "`-o FILE`, `--output FILE`",
            "`--keep-traces",
        ),
    ],
    "python.md": [
        *(f"`{name}`" for name in ("sd_case", "sd_pipeline", "sd_benchmark", "sd_training")),
        *(f"`pytest_sdbatch_{name}(" for name in ("models", "variants", "make_device")),
        *(f"`{name}`" for name in pytest_sdbatch.__all__),
        *("`peak_allocated_bytes` | `int \\| None` | of torch's allocator", "`call_arguments()`", "`images` | `int`"),
    ],
    "files.md": [*(f"`NAME{kind}`" for kind in Kind), *(f"`{name}`" for name in EXPORTS)],
}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/reference.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("reference_tool", ROOT / "tools" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tool_writes_every_page(tool: ModuleType) -> None:
    """A page that nobody makes would only grow old."""
    assert set(tool.PAGES) == set(NAMES) == {path.name for path in tool.FOLDER.glob("*.md")}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_up_to_date(tool: ModuleType, name: str) -> None:
    """Whoever changes an option, a model, a command or a record runs ``python tools/reference.py``."""
    text = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")

    assert text == tool.PAGES[name](), "out of date: run python tools/reference.py"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_a_row_for_each(tool: ModuleType, name: str) -> None:
    """Everything that can be named is on its page, in one row of as many cells as the head."""
    rows = [line for line in tool.PAGES[name]().splitlines() if line.startswith("|")]

    for word in NAMES[name]:
        assert any(word in row for row in rows), word
    assert all(row.endswith("|") for row in rows)


def test_a_bar_in_a_description_does_not_end_its_cell(tool: ModuleType) -> None:
    """Markdown's own sign is escaped."""
    assert tool.cell("a|b") == r"a\|b"
