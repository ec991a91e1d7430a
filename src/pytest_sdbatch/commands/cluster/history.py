"""The repository as it is sent to a node that compares: two commits, and the working tree as a third, without a past.

Objects of git, not files: they keep what a zip of files loses (links, the right to be run), and each is sent once.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.repository import Repository, without_hook
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.shipping import LARGE_BYTES, MOST_BYTES, left_out_line

_HEAD, _TREE, _BASE = "refs/sdbatch/head", "refs/sdbatch/tree", "refs/sdbatch/base"  # as a node finds them
# Nobody's name belongs to a commit that is gone with the job.
_NOBODY = {
    f"GIT_{who}_{what}": text
    for who in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "pytest-sdbatch"), ("EMAIL", "pytest-sdbatch@localhost"))
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What is sent."""

    base: str  # what names the base on a node
    size_bytes: int
    left_out: tuple[tuple[str, int], ...]  # files that are too large, with their bytes

    @property
    def said(self) -> str:
        """What was left out, in words; no text where nothing was."""
        return left_out_line(self.left_out)


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
    left_out = tuple(_larger(repository.root, changes, large_bytes))
    with tempfile.TemporaryDirectory(prefix="sdbatch-") as name:
        own = Path(name).resolve() / ".git"
        git = _Git(repository.root)
        git("init", "--quiet", f"--object-format={git('rev-parse', '--show-object-format').strip()}", str(own.parent))
        git = _Git(repository.root, own=own)
        tree = _snapshot(git, head, changes, but=[name for name, _ in left_out])
        objects = git("rev-list", "--objects", "--no-walk", there, head, tree)
        git("pack-objects", "--quiet", str(own / "objects" / "pack" / "pack"), given=objects)
        typed = git("rev-parse", "--verify", "--quiet", "--symbolic-full-name", base).strip()
        named = typed if typed.startswith("refs/") else _BASE
        refs = {_HEAD: head, _TREE: tree, named: there}
        (own / "packed-refs").write_text("".join(f"{commit} {ref}\n" for ref, commit in sorted(refs.items())))
        (own / "shallow").write_text("".join(f"{commit}\n" for commit in sorted({there, head})))
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
    return Sent(base=there if named == _BASE else base, size_bytes=size, left_out=left_out)


def unpack(root: Path) -> None:
    """Check out what was sent to *root* on a node: HEAD is the candidate's commit, its files are those that were there.

    Raises:
        ClusterError: if git cannot.

    """
    (root / ".git" / "refs").mkdir(exist_ok=True)  # a zip holds no empty folder, and git wants this one
    git = _Git(root)
    git("checkout", "--quiet", "--force", "--detach", _TREE)
    git("reset", "--quiet", "--mixed", _HEAD)


def _larger(root: Path, names: Sequence[str], large_bytes: int) -> Iterator[tuple[str, int]]:
    for name in names:
        path = root / name
        if path.is_file() and not path.is_symlink() and (size := path.stat().st_size) > large_bytes:
            yield name, size


def _snapshot(git: _Git, head: str, changes: Sequence[str], *, but: Collection[str]) -> str:
    """Return a commit of *head* with *changes* as they are in the working tree."""
    git("read-tree", head)
    names = "\0".join(name for name in changes if name not in but)
    git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", given=names)
    tree = git("write-tree").strip()
    return git("commit-tree", tree, "-p", head, "-m", "the working tree").strip()


def _sent(own: Path) -> Iterator[Path]:
    """Yield the files of the folder of git that make a repository."""
    yield from (own / name for name in ("HEAD", "config", "packed-refs", "shallow"))
    yield from sorted((own / "objects" / "pack").iterdir())


class _Git:
    """Calls git in the repository *root*; what it makes lies in the folder *own* of another one, if that is named."""

    def __init__(self, root: Path, *, own: Path | None = None) -> None:
        self._root = root
        self._variables: Mapping[str, str] = {**without_hook(dict(os.environ)), **_NOBODY, "LC_ALL": "C"}
        if own is not None:
            objects = self._root / self("rev-parse", "--git-path", "objects").rstrip("\n")
            self._variables = {
                **self._variables,
                "GIT_INDEX_FILE": str(own / "index"),
                "GIT_OBJECT_DIRECTORY": str(own / "objects"),
                "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.resolve()),
            }

    def __call__(self, *arguments: str, given: str = "") -> str:
        try:
            done = subprocess.run(
                ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(self._root), *arguments],
                capture_output=True,
                input=given,
                env=self._variables,
                encoding="utf-8",
                errors="surrogateescape",
                check=False,
            )
        except OSError as error:
            raise ClusterError("git cannot be run", why=str(error.strerror)) from None
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise ClusterError(
            f"git {arguments[0]} cannot put the two sides together", why=said[-1].removeprefix("fatal: ")
        )
