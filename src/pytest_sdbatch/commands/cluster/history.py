"""The repository as it is sent to a node that compares: two commits, and the working tree as a third, without a past.

Objects of git, not files: they keep what a zip of files loses (links, the right to be run), and each is sent once.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.repository import GitError, Repository, git
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.shipping import LARGE_BYTES, MOST_BYTES

_HEAD, _TREE, _BASE = "refs/sdbatch/head", "refs/sdbatch/tree", "refs/sdbatch/base"  # as a node finds them
_ALONE = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.splitIndex=false")  # no hook runs, no index is parted
_OWN = {
    # Nobody's name belongs to a commit that is gone with the job.
    **{
        f"GIT_{who}_{what}": text
        for who in ("AUTHOR", "COMMITTER")
        for what, text in (("NAME", "pytest-sdbatch"), ("EMAIL", "pytest-sdbatch@localhost"))
    },
    "GIT_NO_REPLACE_OBJECTS": "1",  # the objects that stand for others are not sent
    "GIT_DEFAULT_REF_FORMAT": "files",  # which are written here
    "GIT_LFS_SKIP_SMUDGE": "1",  # a node knows nobody whom it could ask for contents
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What is sent."""

    base: str  # what names the base on a node
    size_bytes: int
    left_out: tuple[tuple[str, int], ...]  # files that are too large, with their bytes: largest first


def pack(
    repository: Repository, base: str, target: Path, *, large_bytes: int = LARGE_BYTES, most_bytes: int = MOST_BYTES
) -> Sent:
    """Write *base*, HEAD and the working tree of *repository* to the zip *target*; the repository stays as it is.

    Args:
        repository: of the project.
        base: commit, branch or tag.
        target: a new file.
        large_bytes: a file that is changed or new, and larger, is left out.
        most_bytes: of all together.

    Raises:
        NoComparison: where there is no such base.
        ClusterError: where it is too much, or git cannot put it together.

    """
    there, head = repository.commit_of(base), repository.commit_of("HEAD")
    changes = [name for names in repository.changes() for name in names if not name.endswith("/")]
    left_out = sorted(_larger(repository.root, changes, large_bytes), key=lambda found: -found[1])
    with tempfile.TemporaryDirectory(prefix="sdbatch-") as name:
        own = Path(name).resolve() / ".git"
        sides = _Sides(repository.root, own)
        tree = sides.snapshot(head, changes, but=[name for name, _ in left_out])
        named = sides.name_of(base)
        sides.pack({_HEAD: head, _TREE: tree, named: there}, without_past={there, head})
        files = list(_sent(own))
        size = sum(file.stat().st_size for file in files)
        if size > most_bytes:
            raise ClusterError(
                f"the two sides are too large to be sent to a node: {units.memory(size)}",
                why=f"a cluster takes {units.memory(most_bytes)}",
                fix="run it on the node itself, without --on",
            )
        with zipfile.ZipFile(target, "w") as archive:  # packed already
            for file in files:
                archive.write(file, file.relative_to(own.parent))
    return Sent(base=there if named == _BASE else base, size_bytes=size, left_out=tuple(left_out))


def unpack(root: Path) -> None:
    """Check out what was sent to *root* on a node: HEAD is the candidate's commit, its files are those that were there.

    Raises:
        GitError: if git cannot.

    """
    (root / ".git" / "refs").mkdir(exist_ok=True)  # a zip holds no empty folder, and git wants this one
    git(root, *_ALONE, "checkout", "--quiet", "--force", "--detach", _TREE, variables=_OWN)
    git(root, *_ALONE, "reset", "--quiet", "--mixed", _HEAD, variables=_OWN)


def _larger(root: Path, names: Sequence[str], large_bytes: int) -> Iterator[tuple[str, int]]:
    for name in names:
        path = root / name
        if path.is_file() and not path.is_symlink() and (size := path.stat().st_size) > large_bytes:
            yield name, size


def _sent(own: Path) -> Iterator[Path]:
    """Yield the files of the folder of git that make a repository."""
    yield from (own / name for name in ("HEAD", "config", "packed-refs", "shallow"))
    yield from sorted((own / "objects" / "pack").iterdir())


class _Sides:
    """Both sides, put together in a repository of their own from the objects of another one.

    Args:
        root: of that one.
        own: the folder of git of the new one.

    """

    def __init__(self, root: Path, own: Path) -> None:
        self._root = root
        self._own = own
        self._variables: Mapping[str, str] = _OWN
        form = self._git("rev-parse", "--show-object-format").strip()
        self._git("init", "--quiet", "--template=", f"--object-format={form}", str(own.parent))
        objects = (root / self._git("rev-parse", "--git-path", "objects").rstrip("\n")).resolve()
        self._variables = {
            **_OWN,
            "GIT_INDEX_FILE": str(own / "index"),
            "GIT_OBJECT_DIRECTORY": str(own / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(str(objects)),
        }

    def name_of(self, base: str) -> str:
        """Return the reference that *base* is on a node, too; one of ours where it is none there."""
        full = self._git("rev-parse", "--verify", "--quiet", "--symbolic-full-name", base).strip()
        is_own = full.startswith(f"{PurePosixPath(_BASE).parent}/")
        is_name = full.startswith("refs/") and (full == base or full.endswith(f"/{base}"))
        return full if is_name and not is_own else _BASE

    def snapshot(self, head: str, changes: Sequence[str], *, but: Collection[str]) -> str:
        """Return a commit of *head* with *changes* as they are in the working tree."""
        self._git("read-tree", head)
        kept = [name for name in changes if name not in but]
        there = [name for name in kept if self._is_there(name)]
        gone = "\0".join(set(kept) - set(there))
        self._git("update-index", "--force-remove", "-z", "--stdin", given=gone)
        self._git("update-index", "--add", "--replace", "-z", "--stdin", given="\0".join(there))
        tree = self._git("write-tree").strip()
        return self._git("commit-tree", tree, "-p", head, "-m", "the working tree").strip()

    def pack(self, refs: Mapping[str, str], *, without_past: Collection[str]) -> None:
        """Write the commits that *refs* name, and all that belongs to them."""
        objects = self._git("rev-list", "--objects", "--no-walk", *refs.values())
        self._git("pack-objects", "--quiet", str(self._own / "objects" / "pack" / "pack"), given=objects)
        lines = (f"{commit} {ref}\n" for ref, commit in sorted(refs.items()))
        (self._own / "packed-refs").write_bytes(os.fsencode("".join(lines)))
        (self._own / "shallow").write_text("".join(f"{commit}\n" for commit in sorted(without_past)))

    def _is_there(self, name: str) -> bool:
        """Return whether there is such a file, or a repository: no folder in its place, no link in that of one."""
        path, folders = self._root / name, [self._root / folder for folder in PurePath(name).parents][:-1]
        is_folder = path.is_dir() and not path.is_symlink() and not (path / ".git").exists()
        return os.path.lexists(path) and not is_folder and not any(folder.is_symlink() for folder in folders)

    def _git(self, *arguments: str, given: str = "") -> str:
        try:
            return git(self._root, *_ALONE, *arguments, given=given, variables=self._variables)
        except GitError as error:
            raise ClusterError("the two sides cannot be put together", why=error.what, fix=error.fix) from None


def _quoted(path: str) -> str:
    """Return *path* as an entry of a list of git's: one that holds what parts them is quoted."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if os.pathsep in path or path.startswith('"') else path
