"""Subjects of pages."""

from __future__ import annotations

import pytest
from reported import out_of_memory, record, reported, run

from pytest_sdbatch.report.page.subject import Subject, subject_of


@pytest.fixture(scope="module")
def one() -> Subject:
    """Return a sweep of one GPU, in which batch size 32 does not fit."""
    return subject_of(reported([run(*(record(size) for size in (1, 2, 4, 8, 16)), out_of_memory(32))]))


@pytest.fixture(scope="module")
def two() -> Subject:
    """Return two GPUs with their prices, asked for a limit of memory."""
    slow = [record(size, a_s=0.3, c_s=0.55) for size in (1, 2, 4, 8)]
    return subject_of(
        reported(
            [run(number=1), run(number=2)],
            [run(*slow, number=9, where={"device_name": "NVIDIA L4"})],
            prices={"NVIDIA H100 80GB HBM3": 2.49, "NVIDIA L4": 0.71},
            memory_limit_bytes=24 * 2.0**30,
        )
    )
