"""The files of each side: a checkout of the base, and one of the candidate with what is not committed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.repository import MAKE_ROOM, Repository

_LARGE_BYTES = 64 * 2**20  # of a file that is linked, not copied
# What git ignores near benchmarks and no benchmark reads.
_NO_DATA = {"__pycache__", ".sdbatch", ".pytest_cache", ".benchmarks", ".hypothesis"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Where the files of both sides lie."""

    folder: Path  # of everything; gone at the end
    base: Path
    candidate: Path
    repository: Repository


@contextmanager
def both_trees(repository: Repository, base: str, candidate: str) -> Iterator[Trees]:
    """Check both commits out, bring the candidate up to the working tree, and leave nothing behind at the end."""
    with temporary_folder() as folder:
        trees = Trees(
            folder=folder, base=folder / "base" / "tree", candidate=folder / "candidate" / "tree", repository=repository
        )
        try:
            for tree, commit in ((trees.base, base), (trees.candidate, candidate)):
                tree.parent.mkdir()
                repository.add_worktree(tree, commit)
            changed, new = repository.changes()
            try:
                _copy(repository.root, trees.candidate, (*changed, *new))
            except OSError as error:
                raise NoComparison(
                    f"the candidate cannot be copied into {trees.candidate}", why=str(error), fix=MAKE_ROOM
                ) from None
            yield trees
        finally:
            for tree in (trees.base, trees.candidate):
                _tidy(partial(shutil.rmtree, tree, ignore_errors=True))
                _tidy(partial(repository.forget_worktree, tree))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is gone at the end, whatever ends it."""
    folder = Path(tempfile.mkdtemp(prefix="sdbatch-ab-")).resolve()
    try:
        yield folder
    finally:
        _tidy(partial(shutil.rmtree, folder, ignore_errors=True))


def _tidy(step: Callable[[], None]) -> None:
    """Do *step*, which may be done twice; a signal before others are ignored does not keep it from being done."""
    while True:
        try:
            with _undisturbed():
                step()
        except KeyboardInterrupt:
            continue
        return


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no further signal stop the tidying up: CI sends SIGTERM behind SIGINT, an impatient user Ctrl-C again."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def share_benchmarks(trees: Trees, files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Put *files* and *folders* of the candidate, relative paths, into the base's tree in place of its own."""
    for folder in folders:
        shutil.rmtree(trees.base / folder, ignore_errors=True)
        shutil.copytree(
            trees.candidate / folder,
            trees.base / folder,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    _copy(trees.candidate, trees.base, map(str, files))


def link_data(trees: Trees, folders: Iterable[Path], words: Sequence[str], *, called_in: Path) -> None:
    """Let both trees see data that git ignores: below the benchmarks' *folders*, or named in the *words* of pytest.

    A path that leads out of the repository would lead elsewhere from the trees, so *words* must not hold one; see
    :func:`paths_outside`.
    """
    root = trees.repository.root
    found = [root / path for folder in folders for path in trees.repository.ignored(folder)]
    found += [path for path in _paths_in(words, called_in) if path.is_relative_to(root)]
    for path in found:
        if not _NO_DATA & set(path.parts) and path.suffix != ".pyc":
            for tree in (trees.base, trees.candidate):
                _link(path, tree / path.relative_to(root))


def paths_outside(words: Sequence[str], *, called_in: Path, root: Path) -> list[str]:
    """Return the relative paths among *words* that lead out of the repository."""
    return [
        text
        for word in words
        for text in _texts(word)
        if text.startswith("..")
        and (called_in / text).exists()
        and not (called_in / text).resolve().is_relative_to(root)
    ]


def _paths_in(words: Sequence[str], called_in: Path) -> Iterator[Path]:
    for word in words:
        for text in _texts(word):
            with contextlib.suppress(OSError, ValueError):  # too long, or no path at all
                path = Path(os.path.normpath(called_in / text))
                if not Path(text).is_absolute() and path != called_in and path.exists():
                    yield path


def _texts(word: str) -> list[str]:
    return [text for text in word.partition("::")[0].replace("=", ",").split(",") if text]


def _copy(source: Path, target: Path, paths: Iterable[str]) -> None:
    """Make *paths* in *target* what they are in *source*, be it not there."""
    for path in paths:
        there, here = source / path, target / path
        if here.is_symlink() or here.is_file():
            here.unlink()
        if there.is_symlink() or there.is_file():
            here.parent.mkdir(parents=True, exist_ok=True)
            if not there.is_symlink() and there.stat().st_size > _LARGE_BYTES:
                _link(there, here)
            else:
                shutil.copy2(there, here, follow_symlinks=False)


def _link(there: Path, here: Path) -> None:
    if here.exists() or here.is_symlink():
        return
    here.parent.mkdir(parents=True, exist_ok=True)
    try:
        here.symlink_to(there.resolve())
    except OSError:  # Windows without the right to
        (shutil.copytree if there.is_dir() else shutil.copy2)(there, here)
