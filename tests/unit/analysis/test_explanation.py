"""What grew: the cost of a call or of an image, from cases that weigh them differently."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.estimate import Estimate, estimate_of
from pytest_sdbatch.analysis.explanation import Explanation, explain
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

CALL_S, IMAGE_S = 0.2, 0.1
SIZES = (1, 2, 4, 8)
GROWTH = st.floats(-0.3, 0.5)


def explained(
    call: float, image: float, *, sizes: tuple[int, ...] = SIZES, counts: int = 1, error: float = 0.001
) -> tuple[Explanation, ...]:
    """Explain a group whose cost of a call and of an image grew by these shares; its first case is regressed."""
    design = {f"b{size}x{counts}": ("sd15", size, counts) for size in sizes}
    base = {case: math.log(counts * (CALL_S + IMAGE_S * size)) for case, (_, size, _) in design.items()}
    grown = {
        case: math.log(counts * (CALL_S * (1 + call) + IMAGE_S * (1 + image) * size))
        for case, (_, size, _) in design.items()
    }
    estimates = {
        case: Estimate(mean=grown[case] - base[case], error=error, spread=2 * error, freedom=3, pairs=4)
        for case in design
    }
    words = dict.fromkeys(design, Verdict.UNCHANGED) | {next(iter(design)): Verdict.REGRESSED}
    verdicts = {case: CaseVerdict(verdict=word, reason="") for case, word in words.items()}
    return explain(verdicts, estimates, [base], design)


@given(GROWTH, GROWTH, st.integers(1, 3))
def test_both_parts_are_found_whatever_their_size(call: float, image: float, counts: int) -> None:
    """Not only to first order: doubled overhead is doubled overhead."""
    (found,) = explained(call, image, counts=counts)

    assert found.per_call.before_s == pytest.approx(CALL_S, rel=1e-6)
    assert found.per_image.before_s == pytest.approx(IMAGE_S, rel=1e-6)
    assert found.per_call.change_s == pytest.approx(CALL_S * call, abs=1e-9)
    assert found.per_image.change_s == pytest.approx(IMAGE_S * image, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "image", "text"),
    [
        (0.06, 0.0, "sd15: each call costs 12.0 ms more, each image the same"),
        (0.0, 0.06, "sd15: each call costs the same, each image 6.00 ms more"),
        (0.06, -0.06, "sd15: each call costs 12.0 ms more, each image 6.00 ms less"),
    ],
)
def test_it_reads_as_a_sentence(call: float, image: float, text: str) -> None:
    """In the reader's units."""
    (found,) = explained(call, image)

    assert str(found) == text


@pytest.mark.parametrize(("call", "image"), [(0.1, 0.0), (0.0, 0.1)])
def test_what_grew_is_named_at_the_noise_of_processes(call: float, image: float) -> None:
    """10 % more of one part, from 8 pairs of processes that differ by 1 %: that part, and not the other."""
    random = np.random.default_rng(6)
    design = {f"b{size}": ("sd15", size, 1) for size in SIZES}
    base = {case: math.log(CALL_S + IMAGE_S * size) for case, (_, size, _) in design.items()}
    verdicts = dict.fromkeys(design, CaseVerdict(verdict=Verdict.REGRESSED, reason=""))
    named = 0
    for _ in range(100):
        estimates = {}
        for case, (_, size, _) in design.items():
            grown = math.log(CALL_S * (1 + call) + IMAGE_S * (1 + image) * size) - base[case]
            estimates[case] = estimate_of((grown + 0.01 * math.sqrt(2) * random.standard_normal(8)).tolist())
        (found,) = explain(verdicts, estimates, [base], design)
        named += (found.per_call.changed, found.per_image.changed) == (call > 0, image > 0)

    assert named >= 90


def test_a_change_within_chance_is_none() -> None:
    """1 % of a call cannot be told from nothing where cases are known to 1 %."""
    (found,) = explained(0.01, 0.0, error=0.01)

    assert not found.per_call.changed
    assert found.per_call.low_s < 0 < found.per_call.high_s


def test_one_batch_size_tells_nothing_apart() -> None:
    """Two unknowns need two sizes."""
    assert explained(0.1, 0.0, sizes=(4,)) == ()


@pytest.mark.parametrize("call_s", [0.0, 1e-18, 1e-3])
def test_next_to_no_overhead_tells_nothing_apart(call_s: float) -> None:
    """Times in proportion to the batch are all image; rounding must not make a call of it, nor divide by zero."""
    design = {f"b{size}": ("g", size, 1) for size in SIZES}
    base = {case: math.log(call_s + IMAGE_S * size) for case, (_, size, _) in design.items()}
    estimates = dict.fromkeys(design, Estimate(mean=0.1, error=0.001, spread=0.002, freedom=3, pairs=4))
    verdicts = dict.fromkeys(design, CaseVerdict(verdict=Verdict.REGRESSED, reason=""))

    assert explain(verdicts, estimates, [base], design) == ()


@given(st.lists(st.floats(1e-4, 1e3), min_size=4, max_size=4))
def test_the_parts_are_those_of_weighted_least_squares(errors: list[float]) -> None:
    """NumPy's solution, also where some cases are known a million times better than others."""
    design = {f"b{size}": ("g", size, 1) for size in SIZES}
    base = {case: math.log(CALL_S + IMAGE_S * size) for case, (_, size, _) in design.items()}
    growths = np.array([0.05, 0.02, 0.04, 0.01])
    estimates = {
        case: Estimate(mean=math.log1p(growth), error=error, spread=error, freedom=3, pairs=4)
        for case, growth, error in zip(design, growths, errors, strict=True)
    }
    verdicts = dict.fromkeys(design, CaseVerdict(verdict=Verdict.REGRESSED, reason=""))

    (found,) = explain(verdicts, estimates, [base], design)

    shares = CALL_S / (CALL_S + IMAGE_S * np.array(SIZES))
    rows = np.column_stack([shares, 1 - shares]) / (np.array(errors) * (1 + growths))[:, None]
    expected = np.linalg.lstsq(rows, growths / (np.array(errors) * (1 + growths)), rcond=None)[0]
    assert found.per_call.change_s == pytest.approx(CALL_S * expected[0], rel=1e-5, abs=1e-7)
    assert found.per_image.change_s == pytest.approx(IMAGE_S * expected[1], rel=1e-5, abs=1e-7)


def test_times_off_the_line_explain_nothing() -> None:
    """A model that fails on the base has no say on the change."""
    design = {"b1": ("g", 1, 1), "b2": ("g", 2, 1), "b4": ("g", 4, 1)}
    base = {"b1": math.log(1.0), "b2": math.log(1.2), "b4": math.log(9.0)}
    estimates = dict.fromkeys(design, Estimate(mean=0.1, error=0.001, spread=0.002, freedom=3, pairs=4))
    verdicts = dict.fromkeys(design, CaseVerdict(verdict=Verdict.REGRESSED, reason=""))

    assert explain(verdicts, estimates, [base], design) == ()


def test_without_a_confirmed_regression_there_is_nothing_to_explain() -> None:
    """An explanation is no second way to cry wolf."""
    design = {"b1": ("g", 1, 1), "b2": ("g", 2, 1)}
    base = {"b1": 0.0, "b2": 0.5}
    estimates = dict.fromkeys(design, Estimate(mean=0.1, error=0.001, spread=0.002, freedom=3, pairs=4))
    verdicts = dict.fromkeys(design, CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason=""))

    assert explain(verdicts, estimates, [base], design) == ()
    assert explain(verdicts, estimates, [base], None) == ()


def test_exact_readings_are_no_division_by_zero() -> None:
    """Cases without any spread weigh the same."""
    (found,) = explained(0.1, 0.0, error=0.0)

    assert found.per_call.changed
    assert not found.per_image.changed
