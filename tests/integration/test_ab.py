"""``sdbatch ab`` as a user runs it: scratch repositories of git, real processes, a device on a virtual clock.

Two Pythons, as docs/how-to/ab.md has them, too, and a page of the verdicts, as in docs/how-to/reports.md.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ab_project import (
    CODE,
    COMMAND,
    ONE,
    Ab,
    commit,
    git,
    left_over,
    twice_the_layers,
    without_project,
    words_of,
)
from real_processes import wait_for

from pytest_sdbatch.cli import main

USES_WHAT_IS_NEW = """
from scratch import new

def test_new(sd_benchmark, sd_pipeline):
    sd_benchmark(sd_pipeline)
"""
# Puts the candidate before everything, as the import hooks of some editable installs do.
HOOK = """
import sys
from importlib.machinery import PathFinder

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [{source!r}]) if name == "scratch" else None

def install():
    sys.meta_path.insert(0, Finder)
"""


@pytest.mark.slow
def test_twice_the_layers_are_regressed_whatever_is_installed(ab: Ab, project: Path, tmp_path: Path) -> None:
    """An editable install of the candidate wins on neither side; the stage that grew is named; a new benchmark is new.

    Both ways of editable installs are there: a path, and an import hook before all others.
    """
    python = tmp_path / "environment" / "bin" / "python"
    without_project(python)
    (own,) = python.parents[1].glob("lib/python*/site-packages")
    source = str(project / "src")
    (own / "_scratch.pth").write_text(f"{source}\nimport _scratch_hook; _scratch_hook.install()\n")
    (own / "_scratch_hook.py").write_text(HOOK.format(source=source))
    twice_the_layers(project)
    (project / "src" / "scratch" / "new.py").write_text("")
    (project / "benchmarks" / "test_new.py").write_text(USES_WHAT_IS_NEW)

    done = ab("--base=main", "--report=report.md", *ONE, python=python)

    assert done.returncode == 10, done.stdout + done.stderr
    assert "candidate the working tree" in done.stdout
    assert "with 1 changed file and 2 new" in done.stdout
    assert done.stdout.count("installed into an environment of its own") == 2
    assert "regressed: benchmarks/test_it.py::test_it[fp32-64x64-s4-b1x1]" in done.stdout
    assert "  stage: denoiser 8.00 ms -> 16.0 ms per call, 100 % of what was added" in done.stdout
    assert "1 regressed, 0 improved, 0 unchanged, 0 inconclusive; besides 1 new" in words_of(done)
    report = (project / "report.md").read_text()
    assert "**regressed: benchmarks/test\\_it.py::test\\_it\\[fp32-64x64-s4-b1x1\\]**" in report
    (kept,) = (project / ".sdbatch").glob("ab-*")
    assert len(list(kept.glob("pair-*-base.json"))) == 6
    assert left_over(project, tmp_path / "temporary") == []
    assert git(project, "status", "--porcelain", "--", "src/scratch/__init__.py") == " M src/scratch/__init__.py\n"


@pytest.mark.slow
def test_the_same_code_on_both_sides_is_no_comparison(ab: Ab, project: Path, tmp_path: Path) -> None:
    """Whatever else differs in the repository: what was imported does not. Nothing to install is found by path."""
    (project / "src" / "scratch").rename(project / "scratch")
    for name in ("pyproject.toml", "backend.py"):
        (project / name).unlink()
    commit(project)
    (project / "notes.txt").write_text("new")

    done = ab("--base=main", *ONE)

    assert done.returncode == 12
    assert done.stdout.count("not installed (it says nowhere how to build it); its modules are found by path") == 2
    assert "ERROR: both sides ran the same code" in done.stderr
    assert "do not differ in what was imported: scratch\n" in done.stderr
    assert "pair 2" not in done.stdout
    assert left_over(project, tmp_path / "temporary") == []


@pytest.mark.slow
def test_a_changed_dependency_is_compared_by_two_pythons(ab: Ab, project: Path, tmp_path: Path) -> None:
    """The files are the same on both sides, the packages are not; what a machine reads names both, and makes a page."""
    pythons = {}
    for name, layers in (("old", 4), ("new", 2)):
        python = tmp_path / name / "bin" / "python"
        without_project(python)
        (own,) = python.parents[1].glob("lib/python*/site-packages")
        (own / "scratch.py").write_text(CODE.replace("LAYERS = 2", f"LAYERS = {layers}"))
        pythons[name] = python
    (project / "pyproject.toml").unlink()

    done = ab(f"--base-python={pythons['old']}", "--json", *ONE, python=pythons["new"])

    assert done.returncode == 0, done.stdout + done.stderr
    (project / "ab.json").write_text(done.stdout)
    data = json.loads(done.stdout)
    assert [(case["name"], case["verdict"]) for case in data["cases"]] == [
        ("benchmarks/test_it.py::test_it[fp32-64x64-s4-b1x1]", "improved")
    ]
    assert {run["file"] for run in data["base"]} == {str(pythons["old"])}
    assert data["pairs"] == 6  # two chose it, four others decide
    assert "sdbatch: pair 2, base: 1 case in " in done.stderr
    (new,) = (project / ".sdbatch").glob("ab-*/pair-02-candidate.json")
    page = project / "change.html"
    assert main(["report", str(new), "--verdicts", str(project / "ab.json"), "-o", str(page)]) == 0
    assert "improved" in page.read_text()


# The third process waits to be stopped.
WAITS = """
import time
from pathlib import Path

def test_it(sd_benchmark, sd_pipeline):
    counted = Path({folder!r})
    (counted / str(len(list(counted.iterdir())))).touch()
    if len(list(counted.iterdir())) == {number}:
        (counted / "waiting").touch()
        time.sleep(60)
    sd_benchmark(sd_pipeline)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the console tells all its processes")
@pytest.mark.parametrize(
    ("number", "told", "status", "said"),
    [
        (1, signal.SIGTERM, 130, "ERROR: stopped before a pair was run"),
        (3, signal.SIGINT, 130, "sdbatch: it was stopped: what had not been decided by then is inconclusive"),
    ],
)
def test_stopped_it_judges_what_it_has_and_leaves_nothing_behind(
    ab: Ab, project: Path, tmp_path: Path, number: int, told: signal.Signals, status: int, said: str
) -> None:
    """No worktree, no environment, no process; the whole pairs are kept."""
    counted = tmp_path / "counted"
    counted.mkdir()
    (project / "benchmarks" / "test_it.py").write_text(WAITS.format(folder=str(counted), number=number))
    twice_the_layers(project)
    command = [sys.executable, *COMMAND, "--base=main", "--setup=true", *ONE]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(counted / "waiting", process)
    children = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(told)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == status, output
    assert said in output
    assert children
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert left_over(project, tmp_path / "temporary") == []
    (kept,) = (project / ".sdbatch").glob("ab-*")
    assert len(list(kept.glob("*.json"))) == (0 if number == 1 else 2)


def test_a_base_that_is_not_there_is_one_clear_error(ab: Ab, project: Path, tmp_path: Path) -> None:
    """A shallow clone says how to get it; so does an unknown name, a folder without history, and no change at all."""
    commit_of_base = git(project, "rev-parse", "HEAD").strip()
    same = ab("--base=main", *ONE)
    unknown = ab("--base=nowhere", *ONE)
    twice_the_layers(project)
    commit(project)
    git(tmp_path, "clone", "--quiet", "--depth=1", project.as_uri(), str(tmp_path / "shallow"))
    command = [sys.executable, *COMMAND, f"--base={commit_of_base}", *ONE]
    shallow = subprocess.run(command, cwd=tmp_path / "shallow", capture_output=True, text=True, check=False)
    outside = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert [done.returncode for done in (same, unknown, shallow, outside)] == [12] * 4
    assert same.stderr.startswith("ERROR: --base main is what is checked out, and nothing is changed")
    assert unknown.stderr.startswith("ERROR: --base nowhere: no such commit, branch or tag here")
    assert "fetch-depth: 0" in shallow.stderr
    assert outside.stderr.startswith("ERROR: --base needs the history of the project: not a git repository")
    assert all(re.match(r"ERROR: .+\n(  why: .+\n)?  do:  .+\n$", d.stderr) for d in (same, unknown, shallow, outside))


@pytest.mark.slow
def test_a_base_that_cannot_run_is_said_with_its_last_words(ab: Ab, project: Path) -> None:
    """Here its code does not even import; there is nothing to compare, and no verdict."""
    file = project / "src" / "scratch" / "__init__.py"
    sound = file.read_text()
    file.write_text("raise RuntimeError('not built')\n" + sound)
    commit(project)
    file.write_text(sound)

    done = ab("--base=main", "--setup=true", *ONE)

    assert done.returncode == 12
    assert "ERROR: the base ran none of 1 case that the candidate runs" in done.stderr
    assert "RuntimeError: not built" in done.stderr
    assert "--setup CMD" in done.stderr
