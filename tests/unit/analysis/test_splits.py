"""The planner: against brute force over what could be done."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.splits import Call, Objective, Start, plan_splits, recommended


def calls(**seconds: float) -> dict[int, Call]:
    """Return measured calls: ``calls(b2=0.6, b4=1.0)``."""
    return {int(name[1:]): Call(seconds=value, measured=True) for name, value in seconds.items()}


def test_a_remainder_is_a_shorter_last_call() -> None:
    """10 images at 4 are 4+4+2."""
    four = plan_splits(10, calls(b2=0.6, b4=1.0))[-1]

    assert four.text == "4+4+2"
    assert four.seconds == pytest.approx(2.6)
    assert four.first_image_s == pytest.approx(1.0)


def test_every_size_up_to_all_images_is_planned() -> None:
    """16 images in 5 sizes; a larger one and one whose remainder is not known are no splits."""
    known = calls(b1=1.0, b2=1.2, b3=1.4, b4=1.6, b5=1.8, b8=2.4, b16=4.0, b32=8.0, b12=3.0, b9=2.6)

    assert [split.text for split in plan_splits(16, known)] == [
        "1x16", "2x8", "3x5+1", "4x4", "5+5+5+1", "8x2", "12+4", "16x1",
    ]  # fmt: skip


def test_a_compiled_remainder_is_padded_where_its_own_compile_costs_more() -> None:
    """30 s of compiling for 2 images are not spent to save 0.4 s."""
    known = {2: Call(seconds=0.6, first_s=30.0, measured=True), 4: Call(seconds=1.0, first_s=40.0, measured=True)}

    warm = plan_splits(10, known, Start(compiled=True))[-1]
    eager = plan_splits(10, known)[-1]

    assert (warm.text, warm.padded) == ("4+4+4 (2 too many)", True)
    assert eager.text == "4+4+2"
    assert (warm.seconds, eager.seconds) == pytest.approx((3.0, 2.6))


def test_a_compiled_remainder_gets_its_own_graph_where_that_is_cheaper() -> None:
    """Calls that take minutes are worth a compile, which is charged."""
    known = {2: Call(seconds=60.0, first_s=30.0, measured=True), 4: Call(seconds=100.0, first_s=40.0, measured=True)}

    split = plan_splits(10, known, Start(compiled=True))[-1]

    assert split.text == "4+4+2"
    assert split.seconds == pytest.approx(290.0)


def test_a_compiled_remainder_that_nothing_is_known_of_is_padded() -> None:
    """A full call is known to work."""
    assert plan_splits(10, calls(b4=1.0), Start(compiled=True))[0].text == "4+4+4 (2 too many)"
    assert plan_splits(10, calls(b4=1.0)) == ()


def test_a_cold_start_is_charged_before_the_first_image() -> None:
    """Loading, and what the first call of each shape takes longer."""
    known = {2: Call(seconds=0.6, first_s=0.3, measured=True), 4: Call(seconds=1.0, first_s=0.5, measured=True)}

    split = plan_splits(10, known, Start(cold=True, load_s=5.0))[-1]

    assert split.first_image_s == pytest.approx(6.5)
    assert split.seconds == pytest.approx(5.0 + 0.5 + 2.6 + 0.3)


def test_memory_and_energy_are_those_of_the_calls() -> None:
    """The peak is the largest call's, energy adds up, padded images included; what is not known stays so."""
    known = {
        2: Call(seconds=0.6, measured=True, peak_bytes=5.0, joules=60.0),
        4: Call(seconds=1.0, measured=True, peak_bytes=8.0, joules=100.0, low_s=0.9, high_s=1.1),
    }

    split = plan_splits(8, known)[-1]
    remainder = plan_splits(10, known)[-1]
    padded = plan_splits(10, {4: known[4]}, Start(compiled=True))[0]

    assert (split.peak_bytes, split.joules, split.low_s, split.high_s) == (8.0, 200.0, 1.8, 2.2)
    assert (remainder.peak_bytes, remainder.joules, remainder.low_s) == (8.0, 260.0, None)
    assert padded.joules == 300.0


def test_many_calls_are_not_written_out() -> None:
    """A million images are planned at once."""
    split = plan_splits(1_000_002, calls(b2=1.0, b4=1.5))[-1]

    assert split.text == "4x250000+2"
    assert split.seconds == pytest.approx(250_000 * 1.5 + 1.0)


def _table(random: np.random.Generator, images: int) -> dict[int, Call]:
    """Return figures of some batch sizes, nothing about them in any order."""
    sizes = [size for size in range(1, images + 3) if random.random() < 0.7] or [1]
    return {
        size: Call(
            seconds=float(random.uniform(0.1, 3.0)),
            measured=bool(random.random() < 0.8),
            first_s=float(random.choice([0.0, random.uniform(0.0, 3.0)])),
            peak_bytes=None if random.random() < 0.1 else float(random.integers(1, 100)),
            joules=None if random.random() < 0.1 else float(random.uniform(1, 100)),
        )
        for size in sizes
    }


def _ways(images: int, known: Mapping[int, Call], start: Start) -> dict[int, list[tuple[float, list[int]]]]:
    """Return, by batch size, every allowed list of calls with its seconds, each call walked through."""
    found: dict[int, list[tuple[float, list[int]]]] = {}
    for size in known:
        if size > images:
            continue
        lists = [[size] * (images // size)]
        if images % size:
            lists = [lists[0] + [images % size]] + ([lists[0] + [size]] if start.compiled else [])
        for made in lists:
            if not set(made) <= set(known):
                continue
            seconds, seen = (start.load_s if start.cold else 0.0), set() if start.cold else {size}
            for number, call in enumerate(made):
                if call not in seen and (start.cold or start.compiled):
                    of_process_s = 0.0 if number else start.first_s
                    seconds += max(known[call].first_s, of_process_s)
                seen.add(call)
                seconds += known[call].seconds
            found.setdefault(size, []).append((seconds, made))
    return found


def test_the_planner_finds_what_brute_force_finds() -> None:
    """On 1000 random tables: the same splits, the cheapest way to make each, and the same recommendation."""
    for seed in range(1000):
        random = np.random.default_rng(seed)
        images = int(random.integers(1, 13))
        known = _table(random, images)
        start = Start(
            cold=bool(random.integers(2)),
            load_s=float(random.uniform(0, 5)),
            first_s=float(random.choice([0.0, 2.0])),
            compiled=bool(random.integers(2)),
        )
        splits = plan_splits(images, known, start)
        cheapest = {size: min(ways, key=lambda way: way[0]) for size, ways in _ways(images, known, start).items()}

        assert {split.batch_size for split in splits} == cheapest.keys()
        for split in splits:
            seconds, made = cheapest[split.batch_size]
            assert split.seconds == pytest.approx(seconds)
            assert split.measured == all(known[call].measured for call in made)
            peaks = [known[call].peak_bytes for call in made]
            assert split.peak_bytes == (None if None in peaks else max(peak for peak in peaks if peak is not None))
        fastest = recommended(splits, within=0.0)
        ran = {size: way for size, way in cheapest.items() if all(known[call].measured for call in way[1])}
        assert (fastest is None) == (not ran)
        if fastest is not None:
            assert fastest.seconds == pytest.approx(min(way[0] for way in ran.values()))
            spot = recommended(splits, within=0.2)
            assert spot is not None
            close = [size for size, way in ran.items() if way[0] <= fastest.seconds / 0.8]
            assert spot.batch_size == min(close)


OBJECTIVES = st.sampled_from(list(Objective))


@given(st.integers(0, 2**32 - 1), st.integers(1, 24), OBJECTIVES)
def test_the_recommended_split_is_measured_and_best_at_what_was_asked(
    seed: int, images: int, objective: Objective
) -> None:
    """No measured split has a smaller figure, but for what throughput and cost may give up."""
    splits = plan_splits(images, _table(np.random.default_rng(seed), images))

    found = recommended(splits, objective=objective)

    figures = [figure for split in splits if split.measured and (figure := split.figure(objective)) is not None]
    if found is None:
        assert figures == []
    else:
        figure = found.figure(objective)
        assert found.measured
        assert figure is not None
        gives_up = 0.05 if objective in (Objective.THROUGHPUT, Objective.COST) else 0.0
        assert figure * (1 - gives_up) <= min(figures) * (1 + 1e-9)


def test_each_objective_has_its_own_winner() -> None:
    """The largest batch is fastest, the smallest answers first and fits anywhere."""
    known = {
        1: Call(seconds=1.0, measured=True, peak_bytes=4.0, joules=90.0),
        2: Call(seconds=1.5, measured=True, peak_bytes=5.0, joules=120.0),
        4: Call(seconds=2.4, measured=True, peak_bytes=9.0, joules=260.0),
    }
    splits = plan_splits(4, known)

    def size(objective: Objective) -> int:
        found = recommended(splits, objective=objective)
        assert found is not None
        return found.batch_size

    assert {objective.value: size(objective) for objective in Objective} == {
        "throughput": 4, "cost": 4, "latency": 1, "memory": 1, "energy": 2, "first-image": 1,
    }  # fmt: skip


def test_a_predicted_split_is_never_recommended() -> None:
    """However fast a curve says it is."""
    known = {**calls(b1=1.0), 8: Call(seconds=0.1, measured=False)}

    found = recommended(plan_splits(8, known))

    assert found is not None
    assert found.batch_size == 1


def test_a_plan_of_nothing_is_refused() -> None:
    """No image, no size, no time, a share that is none."""
    with pytest.raises(ValueError, match="0 images"):
        plan_splits(0, calls(b1=1.0))
    for wrong in (0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="times above 0"):
            plan_splits(1, calls(b1=wrong))
    with pytest.raises(ValueError, match="batch size 0"):
        plan_splits(1, calls(b0=1.0))
    with pytest.raises(ValueError, match="within is"):
        recommended((), within=5)
