"""The command line of a run, written again for another purpose."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.bridges.arguments import to_measure

OURS = st.sampled_from(
    [
        ["--sd-gate"],
        ["--sd-baseline=main"],
        ["--sd-baseline", "main"],
        ["--sd-save=new"],
        ["--sd-report", "run.json"],
        ["--sd-resume"],
        ["-o", "sd_fail_on=inconclusive"],
        ["-osd_save_anyway=yes"],
        [
            "-W",
            "ignore:Module already imported so cannot be rewritten; pytest_sdbatch:pytest.PytestAssertRewriteWarning",
        ],
    ]
)
THEIRS = st.sampled_from(
    [["benchmarks/"], ["-k", "a or b"], ["--sd-batch-sizes=1,4"], ["-o", "sd_precision=2%"], ["-W", "error"], ["-x"]]
)


def written(words: Sequence[str]) -> str:
    """Return what a run with these arguments would print."""
    return to_measure(cast(Any, SimpleNamespace(invocation_params=SimpleNamespace(args=words))))


@given(st.lists(st.one_of(OURS.map(lambda words: (words, False)), THEIRS.map(lambda words: (words, True)))))
def test_what_becomes_of_a_run_is_left_out(groups: list[tuple[list[str], bool]]) -> None:
    """What decides what is measured stays, in its order; what is kept, compared or gated goes, with its value."""
    words = [word for group, _ in groups for word in group]

    assert shlex.split(written(words)) == [word for group, stays in groups if stays for word in group]


@pytest.mark.parametrize("words", [["--sd-baseline"], ["-o"], ["-W"], []])
def test_a_line_that_ends_early_is_no_error(words: list[str]) -> None:
    """Pytest itself refuses it, or it never came so far."""
    assert shlex.split(written(words)) == [word for word in words if word != "--sd-baseline"]
