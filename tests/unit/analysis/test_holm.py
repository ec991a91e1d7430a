"""Holm's procedure over looks: against the closed test that it is a short cut of."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.holm import holm

NAMES = "abcde"
P_VALUES = st.lists(st.one_of(st.floats(0, 0.1), st.floats(0, 1), st.just(0.01)), min_size=1, max_size=5).map(
    lambda values: dict(zip(NAMES, values, strict=False))
)


def closed_test(looks: list[tuple[dict[str, float], float]]) -> set[str]:
    """Reject a name if every set that holds it has, at some look, a p of at most alpha over the set's size."""
    names = sorted(looks[0][0])
    subsets = [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]
    rejected = {
        subset for subset in subsets for p, alpha in looks if min(p[name] for name in subset) <= alpha / len(subset)
    }
    return {name for name in names if all(subset in rejected for subset in subsets if name in subset)}


@given(P_VALUES)
def test_one_look_is_the_closed_test(p_values: dict[str, float]) -> None:
    """Stepping down rejects exactly what testing all 2^n intersections rejects."""
    assert holm(p_values, 0.05) == closed_test([(p_values, 0.05)])


@given(P_VALUES, st.data())
def test_two_looks_reject_no_more_than_the_closed_test(first: dict[str, float], data: st.DataObject) -> None:
    """So the chance of any false rejection is at most the sum of what the looks spend."""
    second = {name: data.draw(st.floats(0, 1)) for name in first}

    at_first = holm(first, 0.02)
    at_second = holm(second, 0.03, rejected=at_first)

    assert at_first <= at_second <= closed_test([(first, 0.02), (second, 0.03)])


@given(P_VALUES, P_VALUES)
def test_a_larger_family_rejects_no_more(p_values: dict[str, float], others: dict[str, float]) -> None:
    """Untested members count: a family that shrank between the looks would spend more than it has."""
    larger = p_values | {f"other {name}": 1.0 for name in others}

    assert holm(larger, 0.05) <= holm(p_values, 0.05)


def test_a_family_of_three_by_hand() -> None:
    """0.01 <= 0.05/3 and 0.02 <= 0.05/2 are rejected, 0.06 > 0.05/1 is not."""
    assert holm({"a": 0.06, "b": 0.01, "c": 0.02}, 0.05) == {"b", "c"}


def test_the_first_that_stays_ends_the_steps() -> None:
    """0.02 > 0.05/3: what follows is not looked at, though 0.024 <= 0.05/2."""
    assert holm({"a": 0.02, "b": 0.024, "c": 0.9}, 0.05) == frozenset()


def test_rejected_stays_rejected_and_leaves_its_share_to_the_rest() -> None:
    """With "a" out of the way 0.02 stands against 0.05/2."""
    second = {"a": 1.0, "b": 0.02, "c": 0.9}

    assert holm(second, 0.05) == frozenset()
    assert holm(second, 0.05, rejected={"a"}) == {"a", "b"}
