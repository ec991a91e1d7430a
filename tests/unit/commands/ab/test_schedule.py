"""How long a job takes, and what is made smaller so that it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.commands.ab.schedule import Cost, Fit, cost_of, fit, mean_cost

COST = cost_of(70.0, {"small": (20, 1.0), "large": (10, 4.0)})  # 10 s of its own, 20 and 40 s of rounds


def test_a_process_is_its_own_time_and_that_of_its_cases() -> None:
    """Two pairs of both cases and four of one, 30 s long on average; at most ten pairs of both."""
    assert COST.own_s == pytest.approx(10)
    assert COST.process_s() == pytest.approx(70)
    assert COST.process_s(["small", "unknown"]) == pytest.approx(30)
    assert COST.expected_s == pytest.approx(2 * (2 * 70 + 4 * 40))
    assert COST.longest_s == pytest.approx(1400)


def test_both_sides_count_the_same() -> None:
    """A slow candidate is known once its first process has ended; a case of one side costs what it does there."""
    slow = cost_of(110.0, {"small": (10, 3.0), "new": (10, 1.0)})

    found = mean_cost([COST, slow])

    assert found.own_s == pytest.approx(40)
    assert {name: case.seconds for name, case in found.cases.items()} == {"small": 40, "large": 40, "new": 10}


@pytest.mark.parametrize(
    ("left_s", "steps", "made"),
    [
        (600, 4, Fit()),
        (599, 4, Fit(rounds=5)),  # 5 and 20 s of rounds: 2 (2 x 35 + 4 x 22.5) = 320
        (319, 4, Fit(rounds=5, steps=2)),  # 2.5 and 10 s: 2 (2 x 22.5 + 4 x 16.25) = 220
        (219, 4, Fit(rounds=5, steps=1)),  # 1.25 and 5 s: 2 (2 x 16.25 + 4 x 13.125) = 170
        (169, 4, Fit(rounds=5, steps=1, left_out=("large",))),
        (319, None, Fit(rounds=5, left_out=("large",))),
        (1, 4, Fit(rounds=5, steps=1, left_out=("large",))),
    ],
)
def test_rounds_go_first_then_steps_then_cases(left_s: float, steps: int | None, made: Fit) -> None:
    """The longest case first; one stays, however long it takes. Steps that were asked for stay as they are."""
    assert fit(COST, left_s=left_s, steps=steps) == made


@given(
    st.dictionaries(st.text(min_size=1), st.tuples(st.integers(1, 30), st.floats(0.001, 100)), min_size=1, max_size=8),
    st.floats(0, 1e5),
    st.sampled_from([None, 1, 2, 4, 20]),
)
def test_a_fit_makes_nothing_larger(cases: dict[str, tuple[int, float]], left_s: float, steps: int | None) -> None:
    """At least one case is left, with five rounds or as it was, and no more steps than before."""
    cost: Cost = cost_of(5 + sum(rounds * seconds for rounds, seconds in cases.values()), cases)

    made = fit(cost, left_s=left_s, steps=steps)

    assert set(made.left_out) < set(cases)
    assert made.rounds in (None, 5)
    assert made.steps is None or (steps is not None and 1 <= made.steps < steps)
    assert made.is_whole == (cost.expected_s <= left_s)
