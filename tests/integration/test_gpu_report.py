"""The one command for a GPU machine: its parts, its time limits, its files."""

from __future__ import annotations

import importlib.util
import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Import the tool, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("gpu_report", ROOT / "tools" / "gpu_report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_report"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def test_every_sweep_can_be_planned(tool: ModuleType) -> None:
    """Every option of every command is one that the plugin takes: a plan of each is made, on both kinds of machine."""
    from pytest_sdbatch.bridges.pytest_options import read_options
    from pytest_sdbatch.grid.plan import Defaults, plan
    from pytest_sdbatch.pipelines.catalog import ModelCatalog

    anywhere = Defaults(device="cpu", model="tiny-sd", dtype="fp32", height=64, width=64, steps=1)
    planned = 0
    for full in (True, False):
        for part in tool.parts(device="cpu", full=full):
            for command in part.commands:
                if "pytest_sdbatch.suite" in command:
                    config = pytest.Config.fromdictargs({}, list(command[4:]))
                    planned += len(plan(read_options(config), ModelCatalog(), anywhere, with_model=True))
    assert planned > 50


def test_what_a_part_wrote_before_its_time_was_up_is_kept(tool: ModuleType, tmp_path: Path) -> None:
    """The files of commands that ended, and of the one that was interrupted, are in the archive."""
    write = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text('{}'); time.sleep(float(sys.argv[2]))"
    part = tool.Part(
        name="p", why="", share=1.0, archive="p.tar",
        commands=(("-c", write, "a.json", "0"), ("-c", write, "b.json", "60"), ("-c", write, "c.json", "0")),
    )  # fmt: skip

    ended, _ = tool.run(part, tmp_path, 3)

    assert ended == "time was up in command 2 of 3"
    with tarfile.open(tmp_path / "p.tar") as tar:
        assert tar.getnames() == ["a.json", "b.json"]


def test_a_command_that_fails_ends_its_part(tool: ModuleType, tmp_path: Path) -> None:
    """The report says which command failed and what it printed last."""
    part = tool.Part(name="my part", why="", share=1.0, commands=(("-c", "print('why'); raise SystemExit(3)"),))

    assert tool.run(part, tmp_path, 60) == ("command 1 of 1 ended with 3", "why")
    assert (tmp_path / "my_part.txt").read_text() == "why\n"


@pytest.mark.slow
def test_the_environment_is_that_of_the_plugin(tool: ModuleType) -> None:
    """Versions and the fingerprint are there; a machine without a driver says so by null."""
    found = json.loads(json.dumps(tool.environment("cpu")))

    assert found["fingerprint"]["must_match"]["device_kind"] == "cpu"
    assert found["packages"]["torch"]
