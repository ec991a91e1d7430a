"""Proof that the sides ran different code, of what each process says of the modules that it imported."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_sdbatch.commands.ab.changed import Changed
from pytest_sdbatch.commands.ab.errors import NoComparison

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a process imported. Hashes are SHA-256."""

    plugin_version: str
    plugin_hash: str
    modules: Mapping[str, tuple[str, str]]  # module: file and hash; of the side's own, and of the caller's tree
    rest: Mapping[str, str]  # what else tells two environments apart: versions
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # module that differs between the sides: file


def check_plugin(found: Code, mine: Code, *, side: str) -> None:
    """Refuse a side that measures with another plugin than this process.

    Raises:
        NoComparison: with both versions.
    """
    if found.plugin_hash == mine.plugin_hash:
        return
    versions = f"{found.plugin_version} where this is {mine.plugin_version}"
    if found.plugin_version == mine.plugin_version:
        versions = f"{mine.plugin_version} with other files"
    raise NoComparison(
        f"the {side} measures with another pytest-sdbatch: {versions}",
        why="the same code could come out at another time",
        fix="install the same pytest-sdbatch on both sides, and leave it alone while it runs",
    )


def check_same_as_before(found: Code, first: Code, *, side: str) -> None:
    """Refuse a process whose code is not that of the first one of its side.

    Raises:
        NoComparison: names a module.
    """
    changed = [
        name for name, (_, digest) in found.modules.items() if first.modules.get(name, ("", digest))[1] != digest
    ]
    if changed or found.plugin_hash != first.plugin_hash:
        what = changed[0] if changed else "pytest_sdbatch"
        raise NoComparison(f"the code of the {side} changed while it was measured: {what}", fix="run it again")


def check_own(found: Code, changed: Changed, *, side: str) -> None:
    """Refuse a side that imported what differs between the sides from neither its tree nor its environment.

    Raises:
        NoComparison: names the module, its file, and how to install it.
    """
    for name, file in sorted(found.elsewhere.items()):
        known = next(known for known in changed.modules if f"{name}.".startswith(f"{known}."))
        raise NoComparison(
            f"the {side} did not run its own {name}",
            why=f"{known} differs between the sides, and was imported from {file}",
            fix=f'install it on each side: --setup "pip install --no-deps {changed.modules[known]}", '
            "with what else the side needs; or uninstall it here",
        )


def check_different(
    base: Code, candidate: Code, *, callers_tree: Path | None, shared: Collection[str], changed: Changed
) -> None:
    """Refuse two sides that ran the same code.

    Args:
        base: of the first process of the base.
        candidate: of the first process of the candidate.
        callers_tree: the working tree, from which neither side may import; None: the sides are two environments.
        shared: module files that both sides have from the candidate, relative to their tree: the benchmarks.
        changed: what differs between the trees.

    Raises:
        NoComparison: names what was imported.
    """
    if callers_tree is not None:
        strays = [file for file, _ in base.modules.values() if Path(file).is_relative_to(callers_tree)]
        if strays:
            raise NoComparison(
                "both sides ran the candidate's code",
                why=f"the base imported {_some(strays)} from the working tree",
                fix="something puts the working tree on the path (sys.path, PYTHONPATH, an import hook); "
                "or build each side's own: --setup CMD",
            )
    there, here = (_hashes(code, shared) for code in (base, candidate))
    if there != here or base.rest != candidate.rest or changed.with_data & (there.keys() | here.keys()):
        return
    names = [name for name in there if not name.startswith("/")]
    if callers_tree is None:
        raise NoComparison(
            "both sides ran the same code",
            why="both Pythons have the same version and the same packages",
            fix="give --base-python the Python of the other environment",
        )
    raise NoComparison(
        "both sides ran the same code",
        why=f"base and candidate do not differ in what was imported: {_some(names)}"
        if names
        else "no module of the project was imported: the benchmarks use installed packages alone",
        fix="name another --base"
        if names
        else "benchmark code of the project, and name the benchmarks behind -- (without it those that ship are run); "
        "or compare two environments: --base-python PYTHON",
    )


def hash_of(data: bytes) -> str:
    """Return the hash of a file's content."""
    return hashlib.sha256(data).hexdigest()


def _hashes(code: Code, shared: Collection[str]) -> dict[str, str]:
    return {name: digest for name, (file, digest) in code.modules.items() if not _ends_in(file, shared)}


def _ends_in(file: str, shared: Collection[str]) -> bool:
    within = Path(file).as_posix().partition("/tree/")[2]
    return any(within == name or within.startswith(f"{name}/") for name in shared)


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    return ", ".join([*listed[:SHOWN], *([f"and {len(listed) - SHOWN} more"] if len(listed) > SHOWN else [])])
