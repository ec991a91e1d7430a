"""Holm's step-down procedure over several looks at one family of tests."""

from __future__ import annotations

from collections.abc import Mapping, Set


def holm(p_values: Mapping[str, float], alpha: float, *, rejected: Set[str] = frozenset()) -> frozenset[str]:
    """Return what is rejected at this look or was before.

    The family is the same at every look, and what was rejected stays so. The chance of any false rejection is then
    at most the sum of the looks' *alpha*: this is the closed test whose intersections are tested by Bonferroni's rule
    at each look.

    Args:
        p_values: of the whole family by name; 1 for what is not tested at this look.
        alpha: what this look may spend.
        rejected: names rejected at looks before.

    Source:
        Holm (1979); Maurer and Bretz (2013) for the looks.

    """
    found = set(rejected)
    possible = [name for name in p_values.keys() - found if p_values[name] <= alpha]  # of thousands, few
    for name in sorted(possible, key=lambda name: (p_values[name], name)):
        if p_values[name] > alpha / (len(p_values) - len(found)):
            break
        found.add(name)
    return frozenset(found)
