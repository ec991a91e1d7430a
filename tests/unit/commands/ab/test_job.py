"""Where the files of ``sdbatch ab`` are kept, and what it says before it runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sdbatch.analysis.comparison import Comparison
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.job import _check_pairs, folder_for, plan_of
from pytest_sdbatch.commands.ab.process import Collected


def test_what_stored_runs_tell_of_the_time_has_the_start_of_each_process() -> None:
    """Two pairs of 25 s a process, and four of 15 s: 2 (2 x 25 + 4 x 15); at most ten pairs. Else nothing is known."""
    collected = Collected(
        cases={"a": 10.0, "b": 10.0}, budgets={}, files=(), conftests=(), configuration=None, root=Path(), took_s=5.0
    )
    unknown = replace(collected, cases={"a": 10.0, "b": None})

    assert plan_of(collected, minutes=None) == (
        "2 cases: 2 pairs of all, up to 8 more of those that look slower, 4 of those that look faster; by stored runs "
        "in all about 3 min 40 s where "
        "4 more pairs of one case decide, 8 min 20 s where 10 pairs of 2 cases do, without what loading takes"
    )
    assert plan_of(unknown, minutes=5).endswith("is known after the first pair; it ends within 5 min 0 s")


def test_the_files_of_five_jobs_are_kept(tmp_path: Path) -> None:
    """In a folder that git ignores, beside the journals; other folders there are left alone."""
    (tmp_path / ".sdbatch").mkdir()
    (tmp_path / ".sdbatch" / "other").mkdir()

    made = [folder_for(tmp_path) for _ in range(7)]

    assert sorted(path for path in (tmp_path / ".sdbatch").glob("ab-*")) == made[2:]
    assert (tmp_path / ".sdbatch" / "other").is_dir()
    assert (tmp_path / ".sdbatch" / ".gitignore").read_text().splitlines()[-1] == "*"


def test_files_that_cannot_be_kept_end_the_job(tmp_path: Path) -> None:
    """Before anything is run."""
    (tmp_path / ".sdbatch").write_text("a file")

    with pytest.raises(NoComparison, match="no files can be written there"):
        folder_for(tmp_path)


def comparison(pairs: int) -> Comparison:
    """Return a comparison of so many pairs."""
    return Comparison(cases=(), base=(), candidate=(), config=Config(), explanations=(), pairs=pairs)


def test_a_job_without_a_pair_is_no_comparison() -> None:
    """The time was over first: green would be read as "nothing found"; what it was at is named."""
    late: Any = SimpleNamespace(interrupted=False, hung="the base was at a[b4x1]")

    with pytest.raises(NoComparison) as caught:
        _check_pairs(comparison(0), late)

    assert caught.value.what == "the time was over before a pair was run, so nothing was compared"
    assert "a[b4x1]" in caught.value.why
    assert "--minutes" in caught.value.fix
    _check_pairs(comparison(1), late)


def test_a_job_that_was_stopped_without_a_pair_was_stopped() -> None:
    """Ctrl-C has a status of its own."""
    with pytest.raises(KeyboardInterrupt):
        _check_pairs(comparison(0), SimpleNamespace(interrupted=True, hung=None))  # type: ignore[arg-type]
