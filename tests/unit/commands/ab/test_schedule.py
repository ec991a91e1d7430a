"""How long a job takes, and what is made smaller so that it fits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.commands.ab.schedule import CaseCost, Cost, Fit, cost_of, fit, mean_cost

SMALL, LARGE = CaseCost(rounds=20, round_s=1.0), CaseCost(rounds=10, round_s=4.0)
COST = cost_of(70.0, {"small": SMALL, "large": LARGE})  # 10 s of its own, 20 and 40 s of rounds


def test_a_process_is_its_own_time_and_that_of_its_cases() -> None:
    """Two pairs of both cases and four of one, 30 s long on average; at most ten pairs of both."""
    assert COST.own_s == pytest.approx(10)
    assert COST.process_s() == pytest.approx(70)
    assert COST.process_s(["small", "unknown"]) == pytest.approx(30)
    assert COST.expected_s == pytest.approx(2 * (2 * 70 + 4 * 40))
    assert COST.longest_s == pytest.approx(1400)


def test_both_sides_count_the_same() -> None:
    """A slow candidate is known once its first process has ended; a case of one side costs what it does there."""
    slow = cost_of(110.0, {"small": replace(SMALL, rounds=10, round_s=3.0), "new": replace(SMALL, rounds=10)})

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


def test_a_case_that_is_left_out_takes_its_warm_up_along() -> None:
    """Else the small ones would be left out, too, for the warm-up of one that is gone.

    One round of 10 s, and 90 s of warm-up and memory round: without it 2 (2 x 6 + 4 x 3.5) s are left.
    """
    slow = CaseCost(rounds=1, round_s=10.0, untimed_s=90.0)
    quick = CaseCost(rounds=5, round_s=0.4, untimed_s=0.5)
    cost = cost_of(106.0, {"quick": quick, "slow": slow, "other": quick})

    assert cost.own_s == pytest.approx(1)
    assert fit(cost, left_s=60, steps=None) == Fit(rounds=5, left_out=("slow",))


def test_the_time_of_a_job_is_one_sentence() -> None:
    """Expected and longest, or the limit where that comes before."""
    expected = "about 10 min 0 s where 4 more pairs of one case decide"

    assert COST.told(None) == f"in all {expected}, 23 min 20 s where 10 pairs of 2 cases do"
    assert COST.told(1400.0) == COST.told(None)
    assert COST.told(900.0) == f"in all {expected}, at most the 15 min 0 s that --minutes leaves"
    assert COST.told(120.0) == f"in all the 2 min 0 s that --minutes leaves; it would take {expected}"


CASES = st.builds(
    CaseCost, rounds=st.integers(1, 30), round_s=st.floats(0.001, 100), untimed_s=st.sampled_from([0.0, 2.0])
)


@given(
    st.dictionaries(st.text(min_size=1), CASES, min_size=1, max_size=8),
    st.floats(0, 1e5),
    st.sampled_from([None, 1, 2, 4, 20]),
)
def test_a_fit_makes_nothing_larger(cases: dict[str, CaseCost], left_s: float, steps: int | None) -> None:
    """At least one case is left, with five rounds or as it was, and no more steps than before."""
    cost: Cost = cost_of(5 + sum(case.seconds for case in cases.values()), cases)

    made = fit(cost, left_s=left_s, steps=steps)

    assert set(made.left_out) < set(cases)
    assert made.rounds in (None, 5)
    assert made.steps is None or (steps is not None and 1 <= made.steps < steps)
    assert made.is_whole == (cost.expected_s <= left_s)
