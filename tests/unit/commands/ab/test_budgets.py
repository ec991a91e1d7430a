"""What each case is allowed."""

from __future__ import annotations

from pytest_sdbatch.commands.ab.budgets import ByTest, budget_lines, config_for
from pytest_sdbatch.commands.ab.command_line import read

BUDGETS = {"b.py::test_a[tiny-s4-b1x1]": {"time": 0.03}, "b.py::test_b[tiny-s4-b1x1]": {"peak_memory": 0.1}}


def test_a_budget_is_that_of_its_test() -> None:
    """Also where the case has other steps since, to end in time; what has none has the usual one."""
    config = config_for(read(["--base=main"]), BUDGETS)

    assert [config.tolerance_of(f"b.py::{name}[tiny-s1-b1x1]") for name in ("test_a", "test_b", "test_c")] == [
        0.03, 0.01, 0.01,
    ]  # fmt: skip
    assert [config.memory_tolerance_of(f"b.py::{name}[tiny-s1-b1x1]") for name in ("test_a", "test_b")] == [0.005, 0.1]


def test_what_was_typed_goes_before_the_budgets() -> None:
    """As everywhere: the command line, then a marker."""
    config = config_for(read(["--base=main", "--tolerance=2%"]), BUDGETS)

    assert config.tolerance_of("b.py::test_a[tiny-s4-b1x1]") == 0.02


def test_of_two_budgets_of_a_test_the_smaller_counts() -> None:
    """Parameters of a test may have markers of their own."""
    assert dict(ByTest({"t[a-x]": 0.05, "t[a-y]": 0.02, "u[a]": 0.1})) == {"t": 0.02, "u": 0.1}


def test_what_a_candidate_allows_itself_is_said() -> None:
    """With what the base's own benchmarks allowed where that is something else; nothing of what is usual, or typed."""
    given = read(["--base=main"])
    wide = {"t[a]": {"time": 0.99}, "t[b]": {"time": 0.99}, "u[a]": {}}

    assert list(budget_lines(given, wide, {"t[a]": {}, "t[b]": {}, "u[a]": {}})) == [
        "budget: 99 % of time for 2 cases, by the candidate; the base's own benchmarks allow 1 %"
    ]
    assert list(budget_lines(given, wide, wide)) == ["budget: 99 % of time for 2 cases, by the candidate"]
    assert list(budget_lines(given, {"u[a]": {}}, {"u[a]": {"peak_memory": 0.0}})) == [
        "budget: 0.5 % of peak memory for 1 case, by the candidate; the base's own benchmarks allow 0 %"
    ]
    assert list(budget_lines(given, {"u[a]": {}}, None)) == []
    assert list(budget_lines(read(["--base=main", "--tolerance=2%"]), wide, None)) == []
