"""The command ``sdbatch``, run as a user would: in a process of its own, in a folder of a project."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "import sys; from pytest_sdbatch.cli import main; sys.exit(main())")
CONFTEST = """
import sys

from pytest_sdbatch import Model, Variant


def pytest_sdbatch_models(config):
    assert not {"torch", "diffusers"} & set(sys.modules)
    return [Model(name="my-sd", what="our own", load=print, height=64, width=64)]


def pytest_sdbatch_variants(config):
    return [Variant(name="euler", what="another scheduler", apply=print)]
"""
OWN_OPTION = """

def pytest_addoption(parser):
    parser.addoption("--mine")
"""
USAGE_ERROR = 4


def sdbatch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in *folder*."""
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_models_lists_what_ships_and_what_the_conftest_here_adds(tmp_path: Path) -> None:
    """Two tables, the project's own last in each; nothing of pytest is shown, and torch is not imported."""
    (tmp_path / "conftest.py").write_text(CONFTEST)

    done = sdbatch(tmp_path, "models")

    assert (done.returncode, done.stderr) == (0, "")
    models, variants = done.stdout.split("\n\n")
    assert models.startswith("name")
    assert "\nsd15 " in models
    assert models.splitlines()[-1].split() == ["my-sd", "-", "-", "-", "64x64", "our", "own"]
    assert variants.startswith("variant")
    assert "\neager " in variants
    assert variants.splitlines()[-1].split() == ["euler", "another", "scheduler"]


def test_models_asks_the_conftest_of_a_folder_that_is_named(tmp_path: Path) -> None:
    """``pytest benchmarks/`` reads benchmarks/conftest.py, and so does ``sdbatch models benchmarks/``."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)

    assert "my-sd" not in sdbatch(tmp_path, "models").stdout
    assert "my-sd" in sdbatch(tmp_path, "models", "benchmarks/").stdout
    nowhere = sdbatch(tmp_path, "models", "nowhere/")
    assert nowhere.returncode == 2
    assert "no such folder: nowhere/" in nowhere.stderr


@pytest.mark.parametrize(
    ("conftest", "says"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("def pytest_sdbatch_models(config):\n    return 1 / 0", "ZeroDivisionError: division by zero (conftest.py:2)"),
        ("def pytest_sdbatch_variants(config):\n    return [3]", "an object of type int"),
    ],
)
def test_a_conftest_that_fails_is_shown_and_what_ships_is_listed(tmp_path: Path, conftest: str, says: str) -> None:
    """The status says that something is missing, and so does the last line."""
    (tmp_path / "conftest.py").write_text(conftest)

    done = sdbatch(tmp_path, "models")

    assert done.returncode != 0
    assert says in done.stderr
    assert "is missing above" in done.stderr.splitlines()[-1]
    assert "\nsd15 " in done.stdout
    assert "\neager " in done.stdout


def test_models_runs_no_test_and_reads_the_project_s_configuration(tmp_path: Path) -> None:
    """Options of the project's own are understood; a wrong one is an error of that project, shown as such."""
    (tmp_path / "conftest.py").write_text(CONFTEST + OWN_OPTION)
    (tmp_path / "test_it.py").write_text("raise RuntimeError('collected')")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --mine=1\nfilterwarnings = error\n")
    assert sdbatch(tmp_path, "models").returncode == 0

    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --theirs=1\n")
    done = sdbatch(tmp_path, "models")

    assert done.returncode == USAGE_ERROR
    assert "--theirs" in done.stderr
    assert "\nsd15 " in done.stdout


def test_models_lists_what_ships_where_pytest_loads_no_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the plugin nobody has declared the hooks."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    done = sdbatch(tmp_path, "models")

    assert (done.returncode, done.stderr) == (0, "")
    assert "\nsd15 " in done.stdout


@pytest.mark.slow
def test_sweep_knows_the_models_of_the_conftest_here(tmp_path: Path) -> None:
    """The shipped suite lies elsewhere; the conftest of the current folder counts, its tests do not."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text("raise RuntimeError('collected')")

    done = sdbatch(tmp_path, "sweep", "--sd-models=my-sd", "--sd-variants=euler", "--sd-plan", "--sd-device=cpu")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "my-sd-own-fp32-64x64-s20-euler-b1x1" in done.stdout
    assert "collected 3 items" in done.stdout


def test_sweep_is_called_by_its_name_and_knows_what_was_meant(tmp_path: Path) -> None:
    """Usage and errors are those of the command that was typed, not of what is behind it."""
    mistyped = sdbatch(tmp_path, "sweep", "--sd-batchsizes=1,4")
    unknown = sdbatch(tmp_path, "sweep", "--zzz")
    asked = sdbatch(tmp_path, "sweep", "--help")

    assert (mistyped.returncode, unknown.returncode, asked.returncode) == (USAGE_ERROR, USAGE_ERROR, 0)
    assert "did you mean --sd-batch-sizes?" in mistyped.stderr
    assert "usage: sdbatch sweep [options]" in unknown.stderr
    assert asked.stdout.startswith("usage: sdbatch sweep [--train]")
    assert "usage: sdbatch sweep [options]" in asked.stdout
    assert "pytest.main" not in unknown.stderr + asked.stdout


def test_sweep_ends_quietly_where_nobody_reads_on(tmp_path: Path) -> None:
    """``sdbatch sweep ... | head -1`` shows one line and no traceback."""
    command = shlex.join([*COMMAND, "sweep", "--sd-plan", "--sd-batch-sizes=1:400", "-v", "--sd-device=cpu"])

    done = subprocess.run(
        ["sh", "-c", f"{command} | head -1"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


@pytest.mark.parametrize(("arguments", "status"), [(("--version",), 0), (("--help",), 0), ((), 2), (("speed",), 2)])
def test_the_command_explains_itself(tmp_path: Path, arguments: tuple[str, ...], status: int) -> None:
    """Its commands are named by the help, and by the error where none or another is given."""
    done = sdbatch(tmp_path, *arguments)

    assert done.returncode == status
    assert "pytest-sdbatch" in done.stdout if arguments == ("--version",) else "sdbatch" in done.stdout + done.stderr
