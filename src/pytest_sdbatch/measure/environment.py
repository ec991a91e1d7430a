"""Where a run happens: what must match before two runs are compared, what is drift, and what is only shown."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pytest_sdbatch.devices.device import Device
from pytest_sdbatch.measure.boundaries import reasons
from pytest_sdbatch.measure.repository import read_repository
from pytest_sdbatch.records import Environment, Fact

_DRIFTING = ("torch", "diffusers", "transformers", "pytest-sdbatch")
_SHOWN = ("accelerate", "numpy", "pytest", "pytest-benchmark", "safetensors", "tokenizers")
# Chosen one by one: no other variable is read, so that no token or key can end up in a file.
_VARIABLES = ("PYTORCH_ALLOC_CONF", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_FALSE = ("", "0", "false", "no")


def read_environment(
    device: Device,
    *,
    parallel: int = 1,
    folder: Path | None = None,
    variables: Mapping[str, str] = os.environ,
) -> Environment:
    """Return where this process runs. The host's name is not in it, nor the value of any token.

    Args:
        device: what is measured on.
        parallel: processes that share the machine by our own doing.
        folder: whose repository is meant; None: the current one.
        variables: the process's environment.

    """
    facts = device.facts()
    unknown = {key: str(reason) for key, reason in facts.get("unknown", {}).items()}
    figures = unknown_figures(device)
    unknown |= figures
    shown: dict[str, Fact] = {**facts.get("shown", {}), **dict.fromkeys(figures)}
    shown |= {name: _version(name, unknown) for name in _SHOWN}
    shown |= {"system": platform.system(), "machine": platform.machine(), "ci": _says_yes(variables.get("CI", ""))}
    shown |= {name: variables[name] for name in _VARIABLES if name in variables}
    shown["container"] = _in_container(variables, unknown)
    shown["attention_backend"] = _attention_backend(variables)
    repository = read_repository(folder or Path.cwd())
    shown |= {"commit": repository.commit, "dirty": repository.dirty, "remote": repository.remote}
    unknown |= repository.unknown
    return Environment(
        must_match={**facts["must_match"], "parallel": parallel},
        drift={
            **facts["drift"],
            **{name: _version(name, unknown) for name in _DRIFTING},
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "kernel": platform.release(),
        },
        shown=shown,
        unknown=unknown,
    )


def unknown_figures(device: Device) -> dict[str, str]:
    """Return why *device* does not tell what is read around rounds, by figure."""
    # Not the peaks of an allocator, which may start the device for an answer: one that has none says so in its facts.
    readings = {"other_processes": device.processes().foreign, "host_peak_bytes": device.host_peak()}
    unread = {name: str(reading.reason) for name, reading in readings.items() if reading.value is None}
    return {**reasons(device.boundary()), **unread}


def _version(distribution: str, unknown: dict[str, str]) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        unknown[distribution] = "not installed"
        return None


def _says_yes(text: str) -> bool:
    return text.strip().lower() not in _FALSE


def _in_container(variables: Mapping[str, str], unknown: dict[str, str], *, root: Path = Path("/")) -> bool | None:
    if platform.system() != "Linux":
        unknown["container"] = "only looked for on Linux"
        return None
    marks = (root / ".dockerenv", root / "run" / ".containerenv")
    return any(mark.exists() for mark in marks) or "container" in variables or "KUBERNETES_SERVICE_HOST" in variables


def _attention_backend(variables: Mapping[str, str]) -> str:
    """Return the backend that diffusers dispatches attention to, without importing diffusers for it."""
    dispatch = sys.modules.get("diffusers.models.attention_dispatch")
    registry = getattr(dispatch, "_AttentionBackendRegistry", None)
    active = getattr(registry, "_active_backend", None)
    if active is not None:
        return str(getattr(active, "value", active))
    return variables.get("DIFFUSERS_ATTN_BACKEND", "native")
