"""Which GPUs workers share, what -n auto means, and who else is on the cores."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sdbatch.bridges import leasing
from pytest_sdbatch.bridges.leasing import gpus
from pytest_sdbatch.devices import lease
from pytest_sdbatch.options import Options, resolve


def options(**typed: str) -> Options:
    """Return the options of a command line."""
    return resolve(command_line=typed, ini={}, overrides={})


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("0", ("0",)),
        ("3,1", ("3", "1")),
        (" 0 , 1 ", ("0", "1")),
        ("GPU-1f2e,GPU-3a4b", ("GPU-1f2e", "GPU-3a4b")),
        ("MIG-1f2e", ("MIG-1f2e",)),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", ("0",)),
        ("0,,1", ("0",)),
    ],
)
def test_what_the_caller_may_see_is_shared_out(visible: str, expected: tuple[str, ...]) -> None:
    """Entries keep their order and form; those behind the first that is none are hidden, as CUDA has it."""
    assert gpus(options(), {"CUDA_VISIBLE_DEVICES": visible}) == expected


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "pretend"])
def test_one_named_device_is_not_shared_out(device: str) -> None:
    """Who names one device means it for every worker."""
    assert gpus(options(device=device), {"CUDA_VISIBLE_DEVICES": "0,1"}) == ()


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_any_gpu_means_all_of_them(device: str) -> None:
    """Auto and cuda leave the choice open, so that each worker gets one."""
    assert gpus(options(device=device), {"CUDA_VISIBLE_DEVICES": "0,1"}) == ("0", "1")


def test_a_line_behind_what_is_said_begins_anew() -> None:
    """Pytest prints the name of the file again, and the next case is not to stand behind it."""
    said: list[str] = []
    reporter = SimpleNamespace(write_line=said.append)
    host: Any = SimpleNamespace(
        config=SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda name: reporter)),
        is_worker=False,
        progress=SimpleNamespace(line_of_file="test_it.py"),
    )

    leasing._say(host, "others time here")

    assert said == ["\nsdbatch: others time here"]
    assert host.progress.line_of_file == ""


def test_without_the_variable_torch_counts() -> None:
    """Where nothing is hidden the GPUs that torch would see are shared out, by their index."""
    import torch

    assert gpus(options(), {}) == tuple(map(str, range(torch.cuda.device_count())))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what a run without workers has of its host; its leases are its own."""
    monkeypatch.setenv(lease.PLACE, str(tmp_path / "leases"))
    pluginmanager = SimpleNamespace(get_plugin=lambda _name: None)
    config = SimpleNamespace(pluginmanager=pluginmanager)
    session = SimpleNamespace(beside=0)
    return SimpleNamespace(
        config=config, session=session, present=None, beside=set(), unseen=False, parallel=1, notes=[]
    )


def test_a_run_that_began_first_notices_a_later_one(host: Any) -> None:
    """Who else is there is looked for at each case, and said once."""
    leasing._look_around(host)
    assert list(leasing.notes(host)) == []

    code = "import time; from pytest_sdbatch.devices import lease; held = lease.be_present(); print(flush=True)"
    command = [sys.executable, "-c", code + "; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        leasing._look_around(host)
        leasing._look_around(host)
        other.kill()
    host.present.give_back()

    said = f"another benchmark ran on this machine (process {other.pid}): their times disturb each other"
    assert list(leasing.notes(host)) == [said]
    assert host.session.beside == 1  # which the run file has, for whoever sees the page alone


def test_several_processes_beside_a_run_share_a_line(host: Any) -> None:
    """A comparison beside it starts one after the other, and ten of them say no more than two."""
    host.beside = {*range(12, 8, -1)}

    said = "4 other processes of benchmarks ran on this machine (9, 10, 11, ...): their times disturb each other"
    assert list(leasing.notes(host)) == [said]


def test_a_place_that_keeps_no_leases_ends_no_run_on_a_cpu(host: Any, tmp_path: Path) -> None:
    """The run needs no lease; that it sees no others is said once."""
    (tmp_path / "leases").touch()

    leasing._look_around(host)
    leasing._look_around(host)

    (said,) = host.notes
    assert said.startswith("other benchmarks on this machine were not looked for: ")
