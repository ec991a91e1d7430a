"""``sdbatch ab`` runs each side's own code, whatever is shared, installed or killed.

--setup, as docs/how-to/ab.md has it, too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ab_project import BENCHMARK, CODE, ONE, Ab, commit, without_project, words_of

FASTER = CODE.replace("LAYERS = 2", "LAYERS = 1")  # decided by two pairs, where a slowdown takes six


@pytest.mark.slow
def test_tests_beside_the_code_share_none_of_it(ab: Ab, project: Path) -> None:
    """A folder of the package is named, and another module is changed, too: the base runs its own of both.

    A test that the candidate has no more is missing.
    """
    package = project / "scratch"
    (project / "src" / "scratch").rename(package)
    for name in ("test_it.py", "conftest.py"):
        (project / "benchmarks" / name).rename(package / name)
    (package / "test_it.py").write_text("import common\n" + BENCHMARK)
    (package / "test_gone.py").write_text(BENCHMARK)
    for name in ("pyproject.toml", "backend.py"):
        (project / name).unlink()
    (project / "common.py").write_text("VALUE = 1\n")
    commit(project)
    (project / "common.py").write_text("VALUE = 2\n")
    (package / "test_gone.py").unlink()
    (package / "__init__.py").write_text(FASTER)

    done = ab("--base=main", "--", "scratch", "--sd-batch-sizes=1")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 improved" in words_of(done)
    assert "sdbatch: scratch: may hold code of the project, so that only its test files" in done.stdout
    assert "scratch/test_gone.py::test_it" in done.stdout
    assert "0 new, 1 missing" in words_of(done)


@pytest.mark.slow
def test_a_part_of_the_repository_that_both_sides_have_installed_is_no_comparison(
    ab: Ab, project: Path, tmp_path: Path
) -> None:
    """What differs of it ran on no side, while the project's own module did; the error says how to install it."""
    python = tmp_path / "environment" / "bin" / "python"
    without_project(python)
    (own,) = python.parents[1].glob("lib/python*/site-packages")
    (project / "core" / "src").mkdir(parents=True)
    (project / "src" / "scratch").rename(project / "core" / "src" / "scratch")
    (own / "scratch.py").write_text(CODE)
    (project / "app.py").write_text("VALUE = 1\n")
    for name in ("pyproject.toml", "backend.py"):
        (project / name).rename(project / "core" / name)
    (project / "benchmarks" / "test_it.py").write_text("import app\n" + BENCHMARK)
    commit(project)
    (project / "app.py").write_text("VALUE = 2\n")
    file = project / "core" / "src" / "scratch" / "__init__.py"
    file.write_text(FASTER)

    refused = ab("--base=main", *ONE, python=python)
    mended = ab("--base=main", "--setup=pip install --no-deps --no-build-isolation ./core", *ONE, python=python)

    assert refused.returncode == 12, refused.stdout + refused.stderr
    assert "ERROR: the base did not run its own scratch" in refused.stderr
    assert '--setup "pip install --no-deps ./core"' in refused.stderr
    assert "pair 2" not in refused.stdout
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert "1 improved" in words_of(mended)


@pytest.mark.slow
def test_a_case_that_kills_its_process_takes_no_verdict_from_others(ab: Ab, project: Path) -> None:
    """It crashed in every process of the candidate; the other one is slower."""
    (project / "benchmarks" / "test_it.py").write_text(
        "import scratch\n"
        + BENCHMARK
        + BENCHMARK.replace("test_it", "test_dies").replace(":\n", ":\n    scratch.check()\n")
    )
    file = project / "src" / "scratch" / "__init__.py"
    file.write_text(CODE + "\ndef check():\n    pass\n")
    commit(project)
    file.write_text(CODE.replace("LAYERS = 2", "LAYERS = 4") + "\ndef check():\n    import os; os.abort()\n")

    done = ab("--base=main", "--setup=true", "--", "benchmarks/", "--sd-batch-sizes=1")

    assert done.returncode == 10, done.stdout + done.stderr
    assert "2 cases compared: 2 regressed" in words_of(done)
    assert "ok before, crashed now: the process died in it" in words_of(done)
