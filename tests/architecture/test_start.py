"""What starting the plugin costs everyone who has it installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from real_processes import conftest, make_project

HEAVY = (
    "torch", "numpy", "scipy", "diffusers", "transformers", "pynvml", "rich", "plotly", "msgspec", "psutil",
    "hypothesis",
)  # fmt: skip
IMPORT_PACKAGE = "import pytest_sdbatch"
IMPORT_PLUGIN = "import pytest_sdbatch.plugin"
# Plugins that happen to be installed here load what they like: only ours and its host take part.
START = """
import pytest
status = pytest.main([*{arguments!r}, "-q", "-p", "no:cacheprovider", "-p", "pytest_benchmark.plugin",
                      "-p", "pytest_sdbatch.plugin"])
assert status in {statuses!r}, status
"""


def loaded_by(code: str, folder: Path, names: str = repr(HEAVY)) -> set[str]:
    """Return which of *names* a fresh interpreter has loaded after running *code* in *folder*."""
    report = f"\nimport json, sys\nprint(json.dumps([name for name in {names} if name in sys.modules]))"
    result = subprocess.run(
        [sys.executable, "-c", code + report],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("code", [IMPORT_PACKAGE, IMPORT_PLUGIN], ids=["package", "plugin"])
def test_importing_loads_nothing_heavy(code: str, tmp_path: Path) -> None:
    """The package and its plugin are imported by runs that never measure."""
    assert loaded_by(code, tmp_path) == set()


def test_commands_that_read_files_begin_without_pytest(tmp_path: Path) -> None:
    """compare, report, merge, study and models parse their words without it, and without anything heavy."""
    code = "from pytest_sdbatch.cli import command_parser\ncommand_parser()"

    assert loaded_by(code, tmp_path, repr(("pytest", *HEAVY))) == set()


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["--collect-only"]], ids=lambda item: item[0])
def test_a_run_without_benchmarks_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    """A project's plain ``pytest`` does not pay for torch because this plugin is installed."""
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    pass\n", encoding="utf-8")

    assert loaded_by(START.format(arguments=arguments, statuses=(0,)), tmp_path) == set()


# What every run pays for, a few tenths of a millisecond each: the hooks, the options, the fixtures.
LIGHT = {
    "pytest_sdbatch", "pytest_sdbatch.plugin", "pytest_sdbatch.errors", "pytest_sdbatch.hookspecs",
    "pytest_sdbatch.options", "pytest_sdbatch.grid", "pytest_sdbatch.grid.axes", "pytest_sdbatch.host",
    "pytest_sdbatch.fixtures", "pytest_sdbatch.bridges", "pytest_sdbatch.bridges.progress",
    "pytest_sdbatch.bridges.pytest_options", "pytest_sdbatch.bridges.pytest_benchmark",
}  # fmt: skip


def test_a_run_without_benchmarks_loads_little_of_ours(tmp_path: Path) -> None:
    """Not even where tests fail, are skipped or expected to fail, or are left out: no hook has anything to do."""
    tests = """
        import pytest
        def test_passes(): pass
        def test_fails(): assert False
        def test_is_skipped(): pytest.skip("not here")
        @pytest.mark.xfail
        def test_is_known(): assert False
        def test_is_left_out(): pass
    """
    (tmp_path / "test_plain.py").write_text(textwrap.dedent(tests), encoding="utf-8")
    code = START.format(arguments=["--deselect=test_plain.py::test_is_left_out"], statuses=(1,))
    ours = "[name for name in sys.modules if name.startswith('pytest_sdbatch')]"

    assert loaded_by(code, tmp_path, ours) - LIGHT == set()


def test_an_empty_folder_loads_nothing_heavy(tmp_path: Path) -> None:
    """Neither does a run that collects nothing (pytest's status 5)."""
    assert loaded_by(START.format(arguments=["--collect-only"], statuses=(5,)), tmp_path) == set()


def test_a_benchmark_without_torch_does_not_load_it(tmp_path: Path) -> None:
    """One of an application on a device of the project's own starts in half the time: the plugin needs none itself."""
    make_project(tmp_path, conftest=conftest())

    assert not {"torch", "diffusers", "transformers"} & loaded_by(
        START.format(arguments=["test_it.py", "--sd-batch-sizes=1"], statuses=(0,)), tmp_path
    )


def test_what_is_loaded_is_seen(tmp_path: Path) -> None:
    """The tests above can fail."""
    assert loaded_by("import psutil", tmp_path) == {"psutil"}
