"""What each case is allowed."""

from __future__ import annotations

from pytest_sdbatch.commands.ab.budgets import ByTest, config_for
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
