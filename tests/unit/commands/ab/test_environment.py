"""The environment of a side: what it sees of the caller's, and what it must not."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from pytest_sdbatch.commands.ab import environment
from pytest_sdbatch.commands.ab.errors import NoComparison


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Make a folder of installed packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project."""
    (tmp_path / "project" / "src").mkdir(parents=True)
    return tmp_path / "project"


def lines(packages: Path, project: Path) -> list[str]:
    """Return all lines that a side's environment gets."""
    return [line for _, found in environment.shared_lines([packages], project) for line in found]


def test_an_editable_install_of_the_project_is_left_out(packages: Path, project: Path, tmp_path: Path) -> None:
    """Be it a path, or an import hook in whose module the project stands; those of others are kept."""
    other = tmp_path / "other"
    other.mkdir()
    (packages / "a.pth").write_text(f"# made by a tool\n{project / 'src'}\n{other}\n\nnowhere\n")
    (packages / "hook.pth").write_text("import _hook; _hook.install()\n")
    (packages / "_hook.py").write_text(f"MAPPING = {{'app': {str(project / 'src' / 'app')!r}}}\n")
    (packages / "kept.pth").write_text("import os; os.environ.setdefault('X', '1')\n")

    assert lines(packages, project) == [
        str(packages),
        str(other),
        "import os; os.environ.setdefault('X', '1')",
    ]


def test_a_neighbour_whose_name_begins_like_the_projects_is_kept(packages: Path, project: Path) -> None:
    """The import hook of another project's editable install, in project-helper beside project."""
    (packages / "hook.pth").write_text("import _hook\n")
    (packages / "_hook.py").write_text(f"MAPPING = {{'helper': {str(project) + '-helper'!r}}}\n")

    assert lines(packages, project) == [str(packages), "import _hook"]


def test_packages_within_the_project_are_seen(project: Path) -> None:
    """The caller's environment often lies in the project: .venv."""
    packages = project / ".venv" / "packages"
    (packages / "nested").mkdir(parents=True)
    (packages / "a.pth").write_text("nested\n")

    assert lines(packages, project) == [str(packages), str(packages / "nested")]


def test_a_new_environment_sees_what_is_installed_here(tmp_path: Path, project: Path) -> None:
    """Its own packages before them; its prefix is its own."""
    python = environment.make_environment(tmp_path / "own", project=project)
    (environment.own_folder(tmp_path / "own") / "pytest.py").write_text("")
    ask = "import sys, pytest, pluggy; print(sys.prefix); print(pytest.__file__)"

    done = subprocess.run([str(python), "-P", "-c", ask], capture_output=True, text=True, check=True)

    assert [Path(line).is_relative_to(tmp_path / "own") for line in done.stdout.split()] == [True, True]


def test_a_process_of_a_side_finds_its_own_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs and modules; what a hook of git has set does not reach it."""
    monkeypatch.setenv("GIT_DIR", "/elsewhere/.git")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")

    found = environment.variables_for(tmp_path / "own", [tmp_path / "src"], [tmp_path / "kept"])

    assert found["PATH"].split(os.pathsep)[0].startswith(str(tmp_path / "own"))
    assert found["PYTHONPATH"].split(os.pathsep) == [str(tmp_path / "src"), str(tmp_path / "kept")]
    assert found["VIRTUAL_ENV"] == str(tmp_path / "own")
    assert not {"GIT_DIR", "PYTHONHOME"} & found.keys()


@pytest.mark.parametrize("text", [None, "[tool.pytest]\n", "this is no TOML"])
def test_a_project_that_says_not_how_to_build_it_is_not_installed(project: Path, text: str | None) -> None:
    """Pip would make something of it; nobody knows what."""
    if text is not None:
        (project / "pyproject.toml").write_text(text)

    assert environment.install(Path("no-python"), project, {}) == "it says nowhere how to build it"
    assert environment.source_folders(project) == (project / "src", project)


def test_a_setup_that_fails_says_its_last_words(tmp_path: Path) -> None:
    """And which side it was."""
    environment.set_up("true", tmp_path, dict(os.environ), side="base")
    with pytest.raises(NoComparison, match="--setup failed for the base") as refused:
        environment.set_up("echo no compiler; exit 3", tmp_path, dict(os.environ), side="base")

    assert "no compiler" in str(refused.value)
    assert "exit status 3" in str(refused.value)


def test_pip_in_a_setup_is_that_of_the_side(tmp_path: Path, project: Path) -> None:
    """The caller's would install a side into the caller's own environment."""
    environment.make_environment(tmp_path / "own", project=project)
    variables = environment.variables_for(tmp_path / "own", (), ())
    ask = "pip debug --verbose"

    done = subprocess.run(ask, shell=True, env=variables, capture_output=True, text=True, check=False)

    assert f"sys.executable: {tmp_path / 'own'}" in done.stdout


def test_a_setup_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """With the time of the job; the message says so."""
    with pytest.raises(NoComparison, match="--setup did not end within --minutes for the base"):
        environment.set_up("sleep 60; true", tmp_path, dict(os.environ), side="base", until_s=time.monotonic() + 0.3)
