"""Which modules of the repository differ between the sides: each that is imported has to be a side's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pytest_sdbatch.commands.ab.environment import MARKS

_SAID = {".md", ".rst"}  # read by people


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The code that differs between the sides, but for the benchmarks that they share."""

    modules: Mapping[str, str] = field(default_factory=dict)  # by outermost package or module, what installs it
    with_data: frozenset[str] = frozenset()  # packages in which a file that is no module differs


def changed_code(paths: Iterable[str], shared: Collection[str], *, trees: Sequence[Path]) -> Changed:
    """Return what the *paths* that differ mean as code.

    Args:
        paths: relative to the trees.
        shared: files and folders that both sides have from the candidate, likewise.
        trees: of both sides.

    """
    modules: dict[str, str] = {}
    with_data = set()
    for text in paths:
        path = PurePosixPath(text)
        if any(path.is_relative_to(given) for given in shared):
            continue
        name, folder = _module_of(path, trees)
        if name:
            modules.setdefault(name, folder)
        if name and path.suffix not in (".py", *_SAID):
            with_data.add(name)
    return Changed(modules=modules, with_data=frozenset(with_data))


def _module_of(path: PurePosixPath, trees: Sequence[Path]) -> tuple[str, str]:
    """Return the outermost package or module that *path* belongs to, if any, and the folder that is installed for it.

    Modules are found from the repository's root, a folder ``src``, or one that says how it is built, unless that lies
    within a package: what a project has copied into itself is not imported by the name it had.
    """
    folders = list(reversed(path.parents))  # the repository's root first
    package = next((at for at in folders[1:] if _has(trees, at, ("__init__.py",))), None)
    outer = folders if package is None else folders[: folders.index(package)]
    root = next(at for at in reversed(outer) if at == folders[0] or at.name == "src" or _has(trees, at, MARKS))
    installed = str(root.parent if root.name == "src" else root)
    if package is not None:
        return ".".join(package.relative_to(root).parts), installed
    return (".".join(path.relative_to(root).with_suffix("").parts), installed) if path.suffix == ".py" else ("", "")


def _has(trees: Sequence[Path], folder: PurePosixPath, names: Sequence[str]) -> bool:
    return any((tree / folder / name).is_file() for tree in trees for name in names)
