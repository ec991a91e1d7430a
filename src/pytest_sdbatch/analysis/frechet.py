"""How far two clouds of points are apart, each taken for a normal distribution."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


def frechet_distance(first: Values, second: Values) -> float:
    """Return the Frechet distance of two samples, a row a point: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Known answer: a cloud and the same cloud moved by 3 along one axis are 9 apart.

    Raises:
        ValueError: for fewer than two points on a side, or values that are not finite.

    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if min(len(one), len(other)) < 2 or one.shape[1:] != other.shape[1:]:
        raise ValueError("a distance needs two points or more on each side, of one length")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("a value is not finite")
    moved = one.mean(axis=0) - other.mean(axis=0)
    spread, other_spread = np.atleast_2d(np.cov(one.T)), np.atleast_2d(np.cov(other.T))
    # tr (C1 C2)^(1/2) is that of the symmetric R C2 R, R R = C1.
    values, vectors = np.linalg.eigh(spread)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    joint = np.linalg.eigvalsh(root @ other_spread @ root)
    shared = float(np.sqrt(np.maximum(joint, 0.0)).sum())
    return float(moved @ moved) + float(np.trace(spread)) + float(np.trace(other_spread)) - 2 * shared
