"""Where a run happened: three classes of facts, reasons for what is unknown, and no secrets."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from pytest_sdbatch.devices.cpu import CpuDevice
from pytest_sdbatch.devices.fake import FakeDevice
from pytest_sdbatch.devices.host import HostMemory
from pytest_sdbatch.measure.environment import read_environment
from pytest_sdbatch.records import Environment, Fact


def read(tmp_path: Path, *, parallel: int = 1, variables: Mapping[str, str] | None = None) -> Environment:
    """Return the environment of a fake device outside any repository."""
    return read_environment(FakeDevice(), parallel=parallel, folder=tmp_path, variables=variables or {})


def test_facts_are_in_the_class_that_decides_what_they_do(tmp_path: Path) -> None:
    """Device and workers must match, versions are drift, the rest is shown."""
    environment = read_environment(FakeDevice(), parallel=3, folder=tmp_path, variables={})

    assert environment.must_match == {"device_kind": "fake", "device_name": "fake", "parallel": 3}
    assert environment.drift["torch"] == metadata.version("torch")
    assert environment.drift["python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert {"diffusers", "transformers", "kernel", "pytest-sdbatch"} <= environment.drift.keys()
    assert environment.shown["pytest"] == pytest.__version__
    assert {"commit", "dirty", "remote", "container", "ci", "attention_backend"} <= environment.shown.keys()


def test_a_real_cpu_is_identified(tmp_path: Path) -> None:
    """The facts of the device are taken over."""
    environment = read_environment(CpuDevice(), folder=tmp_path, variables={})

    assert environment.must_match["device_kind"] == "cpu"
    assert isinstance(environment.must_match["threads"], int)


def test_every_unknown_fact_has_its_reason(tmp_path: Path) -> None:
    """None stands beside a reason, and no reason stands beside a value."""
    environment = read(tmp_path)
    facts: dict[str, Fact] = {**environment.must_match, **environment.drift, **environment.shown}

    assert {key for key, value in facts.items() if value is None} == environment.unknown.keys()


def test_figures_that_the_device_does_not_tell_have_a_reason_each(tmp_path: Path) -> None:
    """Of a CPU all of them; they are looked for once, not in every case."""
    unknown = read_environment(CpuDevice(), folder=tmp_path, variables={}).unknown

    assert unknown.keys() >= {"energy", "throttling", "sm_clock", "temperature", "ecc_errors", "other_processes"}
    assert unknown["energy"] == unknown["sw_power_cap"] == "a CPU has no driver that tells it"


def test_peaks_that_the_device_does_not_know_have_a_reason_each(tmp_path: Path) -> None:
    """Of a CPU those of torch's allocator, of a fake that of the host: a file without the column says why."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "clear_refs").touch()
    (tmp_path / "self" / "status").write_text("VmHWM:\t  1 kB\n", encoding="utf-8")
    cpu = read_environment(CpuDevice(memory=HostMemory(proc=tmp_path)), folder=tmp_path, variables={})
    fake = read(tmp_path)

    assert cpu.unknown["peak_allocated_bytes"] == cpu.unknown["peak_reserved_bytes"]
    assert cpu.unknown["peak_reserved_bytes"].startswith("torch keeps no account of memory on a CPU")
    assert "host_peak_bytes" not in cpu.unknown
    assert {key for key in fake.unknown if key.endswith("_bytes")} == {"host_peak_bytes"}


def test_classes_do_not_share_a_key(tmp_path: Path) -> None:
    """A fact has one place, so that a difference has one meaning."""
    environment = read_environment(CpuDevice(), folder=tmp_path, variables={})
    keys = [*environment.must_match, *environment.drift, *environment.shown]

    assert len(keys) == len(set(keys))


def test_no_secret_and_no_host_name_gets_into_the_record(tmp_path: Path) -> None:
    """Of the process's environment only named variables are read."""
    secrets = {"HF_TOKEN": "s3cret-1", "API_KEY": "s3cret-2", "AWS_SECRET": "s3cret-3", "HOSTNAME": "s3cret-4"}
    environment = read(tmp_path, variables={**secrets, "PYTORCH_ALLOC_CONF": "expandable_segments:True"})
    text = json.dumps([dict(environment.must_match), dict(environment.drift), dict(environment.shown)])

    assert "s3cret" not in text
    assert environment.shown["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    assert platform.node() not in environment.shown.values()


@pytest.mark.parametrize(("text", "ci"), [("true", True), ("1", True), ("", False), ("false", False), ("0", False)])
def test_ci_is_recognized_by_its_variable(tmp_path: Path, text: str, ci: bool) -> None:
    """CI=false is no CI."""
    assert read(tmp_path, variables={"CI": text}).shown["ci"] is ci


@pytest.mark.skipif(platform.system() != "Linux", reason="only looked for on Linux")
def test_a_container_is_recognized_by_its_variable(tmp_path: Path) -> None:
    """Podman and systemd set ``container``; Kubernetes has its own."""
    assert read(tmp_path, variables={"container": "podman"}).shown["container"] is True
    assert read(tmp_path, variables={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).shown["container"] is True


def test_facts_are_plain_builtins(tmp_path: Path) -> None:
    """They travel over wires that take no other type."""
    environment = read_environment(CpuDevice(), folder=tmp_path, variables={})

    for facts in (environment.must_match, environment.drift, environment.shown):
        assert all(type(value) in (str, int, float, bool, type(None)) for value in facts.values())
