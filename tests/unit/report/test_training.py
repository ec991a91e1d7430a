"""The table of training and its sentence: what fits, how fast, how long an epoch is, what accumulating buys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.records import MemoryRound, Outcome, Reading, Record, Trained
from pytest_sdbatch.report.terminal import render_table
from pytest_sdbatch.report.training import training_rows, training_sentences

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

MIB = 2**20
UNKNOWN = Reading(reason="not read here")


def step(maker: Maker, size: int, *, peak_mib: int = 1000, images: int | None = 1000, **changes: Any) -> Record:
    """Return the record of a step of ``0.1 + 0.1 size`` seconds for each batch, of which 0.1 s are the optimizer's."""
    how: Training = changes.pop("how", Training())
    count = 1 if images is None else -(-images // size)
    case = replace(maker.case(size, count), steps=1, training=how)
    call_s = 0.1 + 0.1 * size * how.accumulation
    rounds = [
        replace(one, stage_s={"forward": 0.0, "backward": call_s - 0.1, "optimizer": 0.1})
        for one in maker.rounds([call_s] * 5, peak_bytes=peak_mib * MIB)
    ]
    made = MemoryRound(
        scope="device",
        before_context=UNKNOWN,
        context=UNKNOWN,
        before_load=UNKNOWN,
        loaded=UNKNOWN,
        peak=UNKNOWN,
        after=UNKNOWN,
        limit_bytes=16_000 * MIB,
        stage_peak_bytes={"forward": peak_mib * MIB // 2, "backward": peak_mib * MIB, "optimizer": 300 * MIB},
    )
    usual: dict[str, Any] = {
        "case": case,
        "rounds": tuple(rounds),
        "memory_round": made,
        "trained": Trained(effective_batch=case.images, images=images),
    }
    return maker.record(size, **{**usual, **changes})


def test_an_epoch_is_its_steps(sd15: Maker) -> None:
    """250 batches of 4, of which 4 are accumulated: 63 steps; without data nobody knows."""
    plain, accumulated, unknown = (
        training_rows([record], {})[0]
        for record in (
            step(sd15, 4),
            step(sd15, 4, how=Training(accumulation=4)),
            step(sd15, 4, images=None),
        )
    )

    assert (plain.batches, accumulated.effective) == (250, 16)
    assert plain.epoch_s == pytest.approx(250 * 0.5)
    assert accumulated.epoch_s == pytest.approx(63 * 1.7)
    assert (unknown.batches, unknown.epoch_s) == (None, None)


def test_the_table_shows_what_differs(sd15: Maker) -> None:
    """A column that says the same of all rows is left out; what was not run has no figures."""
    oom = step(sd15, 8, rounds=(), outcome=Outcome.OOM, reason="in warm-up: 9 GiB", test_outcome="skipped")
    skipped = replace(
        oom, case=replace(oom.case, batch_size=16), outcome=Outcome.SKIPPED, reason="batch size 8 ran out of memory"
    )

    text = render_table([step(sd15, 4), oom, skipped], width=140, color=False)

    assert "accumu" not in text
    assert "effective" not in text
    rows = [line.split() for line in text.splitlines() if line.startswith("  ")]
    assert [row[0] for row in rows[-3:]] == ["4", "8", "16"]
    assert rows[-3][1:3] == ["500", "ms"]
    assert [row[-1] for row in rows[-3:]] == ["ok", "(1)", "(2)"]
    assert "measured" in text
    assert "no, predicted" in text
    assert "500 MiB/0.977 GiB/300 MiB" in text


def test_memory_that_bends_is_not_predicted_before_two_slopes_agree(sd15: Maker) -> None:
    """Known answer: training that takes 2384, 2697 and 4148 MiB at 1, 2 and 4 wants another size, whatever is free."""
    bends = [step(sd15, size, peak_mib=mib) for size, mib in ((1, 2384), (2, 2697), (4, 4148))]
    even = [step(sd15, size, peak_mib=mib) for size, mib in ((1, 2000), (2, 3000), (4, 5000), (8, 9000))]

    assert "its memory does not grow evenly yet; measure 8, too" in training_sentences(bends)[0]
    assert "batch size 8 is the largest measured that fits (predicted: about 15" in training_sentences(even)[0]


def test_what_accumulating_buys_is_measured_or_said_to_be_predicted(sd15: Maker) -> None:
    """4 times 0.4 s and one optimizer of 0.1 s are 1.7 s for 16 images, against 0.5 s for 4."""
    (predicted,) = training_sentences([step(sd15, 4)])
    (measured,) = training_sentences([step(sd15, 4), step(sd15, 4, how=Training(accumulation=2))])

    assert (
        "accumulating 4 batches makes an effective batch of 16 in the same memory, at 9.41 examples/s (predicted; 8.00 "
        "without) and with 4 times fewer updates" in predicted
    )
    assert "accumulating 2 batches makes an effective batch of 8 at 8.89 examples/s (8.00 at 4)" in measured
    assert "2 times fewer updates" in measured


def test_without_data_it_is_said_how_to_get_an_epoch(sd15: Maker) -> None:
    """Once, whatever the number of rows."""
    said = training_sentences([step(sd15, 1, images=None), step(sd15, 2, images=None)])

    assert said[-1].startswith("how long an epoch is follows from the data: --sd-images=N")


def test_rows_that_do_not_count_say_nothing(sd15: Maker) -> None:
    """Out of memory at the first size, say."""
    assert training_sentences([step(sd15, 1, rounds=(), outcome=Outcome.OOM, test_outcome="skipped")]) == []
