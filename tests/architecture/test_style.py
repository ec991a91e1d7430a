"""Rules of size and form that the linter has no check for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
TESTS = ROOT / "tests"
BENCHMARKS = ROOT / "benchmarks"
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
# Rows of tables, a row a line, and a workload, which is written like the call it makes.
BY_POSITION = {"Option", "Setting", "Options", "Column", "Cell", "Block", "GenerationWorkload"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: Path) -> list[Path]:
    """Return the Python files in *folders*, sorted."""
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def nodes(path: Path) -> Iterator[ast.AST]:
    """Yield every node of the file's syntax tree."""
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def shown(path: Path) -> str:
    """Return the path as a reader of this repository would write it."""
    return path.relative_to(ROOT).as_posix()


def test_no_file_is_long() -> None:
    """A file that needs scrolling for minutes has more than one reason to change."""
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files(ROOT / "src", TESTS)}

    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    """A function fits on a screen, its docstring included."""
    long = {
        f"{shown(path)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in files(SOURCE, TESTS, BENCHMARKS)
        for node in nodes(path)
        if isinstance(node, Function) and node.end_lineno is not None
        if node.end_lineno - node.lineno >= LONGEST_FUNCTION
    }

    assert long == {}


def test_every_test_says_what_behaviour_it_holds() -> None:
    """The docstring of a test is read when it fails."""
    silent = [
        f"{shown(path)}:{node.lineno} {node.name}"
        for path in files(
            TESTS, BENCHMARKS, *(SOURCE / "pytest_sdbatch" / name for name in ("suite", "suite_training"))
        )
        if path.name.startswith("test_")
        for node in nodes(path)
        if isinstance(node, Function) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert silent == []


def test_data_is_frozen_slotted_and_named() -> None:
    """What is handed on is not changed on the way, and no field is told by its position."""
    wrong = [
        f"{shown(path)}:{node.lineno} {node.name}"
        for path in files(SOURCE)
        for node in nodes(path)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")  # those are a file's own working state
        for decorator in node.decorator_list
        if "dataclass" in ast.unparse(decorator) and not settings_of(decorator) >= needed_by(node)
    ]

    assert wrong == []


def settings_of(decorator: ast.expr) -> set[str]:
    """Return the switches of ``@dataclass(...)`` that are on."""
    if not isinstance(decorator, ast.Call):
        return set()
    return {str(word.arg) for word in decorator.keywords if ast.unparse(word.value) == "True"}


def needed_by(node: ast.ClassDef) -> set[str]:
    """Return the switches that this dataclass has on."""
    return {"frozen", "slots"} | (set() if node.name in BY_POSITION else {"kw_only"})


def test_tests_mirror_the_source() -> None:
    """The tests of ``grid/axes.py`` are ``grid/test_axes.py``, and ``grid/test_axes_of_...py`` if one is not enough."""
    homes = [path.relative_to(SOURCE / "pytest_sdbatch").with_name(f"test_{path.stem}") for path in files(SOURCE)]
    unit = TESTS / "unit"
    tests = [path.relative_to(unit).with_suffix("") for path in files(unit) if path.name.startswith("test_")]

    strays = [
        test.as_posix()
        for test in tests
        if not any(test == home or test.as_posix().startswith(f"{home.as_posix()}_") for home in homes)
    ]

    assert strays == []


@pytest.mark.parametrize("folder", [SOURCE, TESTS, BENCHMARKS], ids=lambda folder: folder.name)
def test_there_is_something_to_check(folder: Path) -> None:
    """A moved folder would let every rule above hold for nothing."""
    assert files(folder)


@pytest.mark.parametrize(
    ("decorator", "switches"),
    [
        ("dataclass", set()),
        ("dataclass(frozen=True, slots=False)", {"frozen"}),
        ("dataclasses.dataclass(frozen=True, slots=True, kw_only=True)", {"frozen", "slots", "kw_only"}),
    ],
)
def test_the_switches_of_a_dataclass_are_read_from_its_decorator(decorator: str, switches: set[str]) -> None:
    """The check of dataclasses can fail."""
    assert settings_of(ast.parse(decorator, mode="eval").body) == switches
