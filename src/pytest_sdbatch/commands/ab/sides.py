"""The two sides made ready: where each runs, with which Python, and which code it finds there."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest_sdbatch
from pytest_sdbatch import units
from pytest_sdbatch.analysis.sides import Place
from pytest_sdbatch.commands.ab import environment
from pytest_sdbatch.commands.ab.changed import Changed, changed_code
from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.process import Collected, Side, collect, collect_what_can_be
from pytest_sdbatch.commands.ab.repository import Repository, open_repository, project_root
from pytest_sdbatch.commands.ab.trees import (
    Trees,
    both_trees,
    link_data,
    paths_outside,
    share_benchmarks,
    temporary_folder,
)

Say = Callable[[str], None]
_SHORT = 8  # digits of a commit
# A folder with such a name holds no code that is measured; of another one nobody knows.
_NAMES_OF_BENCHMARKS = {"bench", "benchmark", "benchmarks", "perf", "performance", "test", "tests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Base and candidate, and what the candidate's benchmarks are."""

    base: Side
    candidate: Side
    collected: Collected
    callers_tree: Path | None  # from which neither may import; None: two environments run the same files
    shared: tuple[str, ...] = ()  # what both have from the candidate, relative to their trees
    changed: Changed = field(default_factory=Changed)
    bases_own: Collected | None = None  # the base's benchmarks, in place of which the candidate's are run

    @property
    def lost(self) -> dict[str, Place]:
        """The cases of the base's benchmarks that the candidate's have no more."""
        there = {} if self.bases_own is None else self.bases_own.places
        return {name: place for name, place in there.items() if name not in self.collected.cases}


@contextmanager
def commits(
    base: str, words: Sequence[str], *, setup: str | None, say: Say, until_s: float | None = None
) -> Iterator[Sides]:
    """Make ready the commit *base* and the working tree, each with an environment of its own.

    Raises:
        NoComparison: where there is no such base, nothing differs, or a side cannot be made.
    """
    here = Path.cwd().resolve()
    repository = open_repository(here)
    there, head = repository.commit_of(base), repository.commit_of("HEAD")
    changed, new = repository.changes()
    _check(repository, words, here=here, same=there == head and not changed and not new, base=base)
    state = f"the working tree at {head[:_SHORT]}"
    if changed or new:
        state += f" with {units.count(len(changed), 'changed file')} and {len(new)} new"
    say(f"base {base} ({there[:_SHORT]}), candidate {state}")
    with both_trees(repository, there, head) as trees:
        link_data(trees, (), words, called_in=here)
        labels = {"base": f"{base} ({there[:_SHORT]})", "candidate": state}
        project = project_root(here, repository, marks=environment.MARKS)
        sides = {
            name: _side(
                name, tree, trees, project=project, here=here, setup=setup, label=labels[name], say=say, until_s=until_s
            )
            for name, tree in (("base", trees.base), ("candidate", trees.candidate))
        }
        collected = collect(sides["candidate"], words, folder=trees.folder, until_s=until_s)
        own = sides["base"].called_in.is_dir()
        bases_own = collect_what_can_be(sides["base"], words, folder=trees.folder, until_s=until_s) if own else None
        if bases_own is not None:
            _remove_lost(trees, bases_own)
        shared = _share(trees, collected, words, project=project, here=here, say=say)
        sides["base"].called_in.mkdir(parents=True, exist_ok=True)
        code = changed_code(repository.differing(there), shared, trees=(trees.base, trees.candidate))
        at = {name: _from(project, repository.root / folder) for name, folder in code.modules.items()}
        base_side, candidate_side = (replace(side, watched=tuple(code.modules)) for side in sides.values())
        yield Sides(
            base=base_side,
            candidate=candidate_side,
            collected=replace(collected, root=_in_callers_tree(collected.root, trees)),
            callers_tree=repository.root,
            shared=shared,
            bases_own=bases_own,
            changed=replace(code, modules=at),
        )


@contextmanager
def environments(base_python: str, words: Sequence[str], *, until_s: float | None = None) -> Iterator[Sides]:
    """Make ready another Python and this one, which run the same files.

    Raises:
        NoComparison: if that is no Python.
    """
    python = Path.cwd() / Path(base_python).expanduser()  # not resolved: a link tells its environment
    if not (python.is_file() and os.access(python, os.X_OK)):
        raise NoComparison(f"--base-python {base_python}: no program", fix="name a Python: .venv-old/bin/python")
    candidate = Side(
        name="candidate", label=sys.executable, python=Path(sys.executable), called_in=Path.cwd(), variables=None
    )
    base = replace(candidate, name="base", label=str(python), python=python)
    with temporary_folder() as folder:
        yield Sides(
            base=base,
            candidate=candidate,
            collected=collect(candidate, words, folder=folder, until_s=until_s),
            callers_tree=None,
        )


def _check(repository: Repository, words: Sequence[str], *, here: Path, same: bool, base: str) -> None:
    if same:
        raise NoComparison(
            f"--base {base} is what is checked out, and nothing is changed: there is no candidate",
            fix="check the candidate out, or change something",
        )
    outside = paths_outside(words, called_in=here, root=repository.root)
    if outside:
        raise NoComparison(
            f"{outside[0]}: a relative path that leads out of the repository",
            why="each side runs in a checkout of its own, from where it would lead elsewhere",
            fix=f"give {(here / outside[0]).resolve()}",
        )
    plugin = Path(pytest_sdbatch.__file__).resolve()
    if plugin.is_relative_to(repository.root) and not any(map(plugin.is_relative_to, environment.shared_folders())):
        raise NoComparison(
            "pytest-sdbatch itself lies in this repository",
            why="what measures must be the same on both sides",
            fix="install it into the environment: pip install pytest-sdbatch",
        )


def _side(
    name: str,
    tree: Path,
    trees: Trees,
    *,
    project: Path,
    here: Path,
    setup: str | None,
    label: str,
    say: Say,
    until_s: float | None,
) -> Side:
    """Make the environment of a side, with its project in it or on its path."""
    root = trees.repository.root
    at, own = tree / project.relative_to(root), tree.parent / "environment"
    python = environment.make_environment(own, project=root)
    kept = [_moved(Path(entry), root, tree) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    variables = environment.variables_for(own, (), kept)
    if setup is not None:
        environment.set_up(setup, at, variables, side=name, until_s=until_s)
        problem = None if environment.is_installed(own) else "--setup installed nothing"
    elif at.is_dir():
        problem = environment.install(python, at, variables, until_s=until_s)
    else:
        problem = "it has no such folder"
    if problem is None and setup is not None:  # it may have installed a part: the rest is found behind that
        lines = "".join(f"{folder}\n" for folder in environment.source_folders(at))
        (environment.own_folder(own) / "sdbatch--tree.pth").write_text(lines, encoding="utf-8")
    if problem is None:
        say(f"{name}: installed into an environment of its own")
    else:
        folders = environment.source_folders(at)
        variables = environment.variables_for(own, folders, kept)
        say(f"{name}: not installed ({problem}); its modules are found by path")
    return Side(
        name=name,
        label=label,
        python=python,
        called_in=tree / here.relative_to(root),
        variables=variables,
        folders=(tree, own, root),
        but_not=environment.shared_folders(),
    )


def _moved(entry: Path, root: Path, tree: Path) -> Path:
    """Return where an entry of the caller's path is on a side."""
    entry = entry.absolute()
    within = entry.resolve()
    return tree / within.relative_to(root) if within.is_relative_to(root) else entry


def _share(
    trees: Trees, collected: Collected, words: Sequence[str], *, project: Path, here: Path, say: Say
) -> tuple[str, ...]:
    """Give the base the candidate's benchmarks; return what it was given, relative to the tree."""
    root = trees.repository.root
    there = [path for path in (*collected.files, *collected.conftests) if path.is_relative_to(trees.candidate)]
    if collected.configuration is not None and collected.configuration.is_relative_to(trees.candidate):
        there.append(collected.configuration)
    files = {path.relative_to(trees.candidate) for path in there}
    tests = {path.relative_to(trees.candidate) for path in collected.files if path.is_relative_to(trees.candidate)}
    # What a benchmark imports from beside it, or from the folder that was named, belongs to it; the code that it
    # measures does not, and nothing but the name of a folder tells one from the other.
    named = {(here / word).resolve() for word in words if not word.startswith("-")}
    named = {path.relative_to(root) for path in named if path.is_relative_to(root)}
    folders = {test.parent for test in tests} | {path for path in named if any(path in test.parents for test in tests)}
    whole = {folder for folder in folders if _holds_only_benchmarks(folder, trees.candidate, project.relative_to(root))}
    for folder in sorted({test.parent for test in tests} - whole):
        if not any(folder.is_relative_to(other) for other in whole):
            say(f"{folder}: may hold code of the project, so that only its test files and conftest.py are shared")
    folders = whole
    share_benchmarks(trees, sorted(files), sorted(folders))
    link_data(trees, sorted(folders), (), called_in=root)
    return tuple(path.as_posix() for path in (*sorted(folders), *sorted(files)))


def _remove_lost(trees: Trees, bases_own: Collected) -> None:
    """Remove the base's benchmarks that the candidate has deleted: the base is to run those of the candidate."""
    for file in bases_own.files:
        if file.is_relative_to(trees.base) and not (trees.candidate / file.relative_to(trees.base)).exists():
            file.unlink()


def _from(project: Path, folder: Path) -> str:
    """Return *folder* as pip takes it in *project*, where a setup is run."""
    path = os.path.relpath(folder, project)
    return path if path.startswith(".") else f".{os.sep}{path}"


def _holds_only_benchmarks(folder: Path, tree: Path, project: Path) -> bool:
    """Return whether all of *folder* is the benchmarks': it, or one above it in the project, has such a name."""
    parts = folder.relative_to(project).parts if folder.is_relative_to(project) else folder.parts
    named = next((at for at, part in enumerate(parts) if part.lower() in _NAMES_OF_BENCHMARKS), None)
    is_package = named is not None and parts[:named] == ("src",)  # the project itself is called like that
    return (
        named is not None and not is_package and not any((tree / folder / mark).is_file() for mark in environment.MARKS)
    )


def _in_callers_tree(path: Path, trees: Trees) -> Path:
    inside = path.is_relative_to(trees.candidate)
    return trees.repository.root / path.relative_to(trees.candidate) if inside else Path.cwd()
