"""What every node must have before anything is measured: a place, the same Python and packages, the files of models."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata

from pytest_sdbatch import units
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.machines import Cluster, Facts, Node

PACKAGES = ("pytest-sdbatch", "pytest", "torch", "diffusers", "transformers")


def own_facts() -> Facts:
    """Return what this machine says of itself."""
    return Facts(python=python_version(), versions={name: _version(name) for name in PACKAGES})


def python_version() -> str:
    """Return the version of Python that modules are made for: ``3.11``."""
    return ".".join(platform.python_version_tuple()[:2])


def check_versions(cluster: Cluster, nodes: Sequence[Node], here: Facts, *, folder: str) -> None:
    """Refuse nodes that would run something else than this machine, each by name.

    Raises:
        ClusterError: for all of them together.

    """
    answers = cluster.ask(nodes, PACKAGES, folder=folder)
    wrong = {node.name: list(differences(answers[node.key], here)) for node in nodes}
    told = [f"{name}: {one}" for name, differences in wrong.items() for one in differences]
    if told:
        count = sum(map(bool, wrong.values()))
        raise ClusterError(
            f"{units.count(count, 'node')} of {len(nodes)} cannot run what this machine would",
            why="\n".join(told),
            fix="install the same there, or leave these nodes out: the figures of other versions are others",
        )


def check_paths(cluster: Cluster, nodes: Sequence[Node], paths: Sequence[str], *, folder: str) -> None:
    """Refuse nodes that have not all of *paths*, which models are loaded from.

    Raises:
        ClusterError: names the nodes, and what each lacks.

    """
    if not paths:
        return
    answers = cluster.ask(nodes, (), folder=folder, paths=paths)
    lacking = {node.name: _lack(answers[node.key]) for node in nodes}
    told = [f"{name}: {lack}" for name, lack in lacking.items() if lack]
    if told:
        raise ClusterError(
            f"{units.count(len(told), 'node')} of {len(nodes)} cannot load a model",
            why="\n".join(told),
            fix="put it there under the same path, or name one that all nodes share; large files are not sent",
        )


def _lack(answer: Facts | str) -> str:
    return answer if isinstance(answer, str) else ", ".join(f"no {path}" for path in answer.missing)


def differences(answer: Facts | str, here: Facts) -> Iterator[str]:
    """Yield in words what a node has otherwise than this machine, or why it says nothing."""
    if isinstance(answer, str):
        yield answer
        return
    yield from _differing("Python", answer.python, here.python)
    for name in PACKAGES:
        yield from _differing(name, _public(answer.versions, name), _public(here.versions, name))


def _differing(name: str, there: str | None, here: str | None) -> Iterator[str]:
    if there != here:
        yield f"{name} {there}, here {here or 'none'}" if there is not None else f"no {name}, here {here}"


def _public(versions: Mapping[str, str | None], name: str) -> str | None:
    """Return a version without its local part: a build for a GPU there, and one for a CPU here, are the same code."""
    version = versions.get(name)
    return None if version is None else version.partition("+")[0]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
