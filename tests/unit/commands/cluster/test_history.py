"""A repository as it is sent: real ones of git, packed here and unpacked elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ab_project import commit, git

from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.repository import Repository
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.history import Sent, pack, unpack


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a repository of two commits on main, and one more on a branch that is checked out."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    for number in (1, 2):
        (root / "code.py").write_text(f"LAYERS = {number}\n")
        (root / ".gitignore").write_text("*.safetensors\n")
        commit(root)
    git(root, "checkout", "--quiet", "-b", "slower")
    (root / "code.py").write_text("LAYERS = 3\n")
    (root / "old.py").write_text("")
    commit(root)
    return root


def sent(project: Path, base: str, **limits: int) -> tuple[Sent, Path]:
    """Return what was sent of *project*, and where it was unpacked."""
    target = project.parent / "sent.zip"
    made = pack(Repository(root=project), base, target, **limits)
    there = project.parent / "node"
    with zipfile.ZipFile(target) as archive:
        archive.extractall(there)
    unpack(there)
    return made, there


def files_of_git(root: Path) -> dict[Path, bytes]:
    """Return what git has, but for the index: in that a diff refreshes what it knows of times."""
    paths = (path for path in (root / ".git").rglob("*") if path.is_file() and path.name != "index")
    return {path: path.read_bytes() for path in paths}


def state(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is changed and what is new there."""
    return Repository(root=root).changes()


def test_both_commits_and_the_working_tree_arrive(project: Path) -> None:
    """With what is changed, new and gone, none of it committed; what git ignores stays, and so does the past."""
    (project / "code.py").write_text("LAYERS = 4\n")
    (project / "old.py").unlink()
    (project / "new file\n.py").write_text("1\n")
    (project / "weights.safetensors").write_text("large")

    made, there = sent(project, "main")

    assert made.base == "main"
    assert state(there) == state(project) == (("code.py", "old.py"), ("new file\n.py",))
    assert (there / "code.py").read_text() == "LAYERS = 4\n"
    assert (there / "new file\n.py").read_text() == "1\n"
    assert not (there / "old.py").exists()
    assert not (there / "weights.safetensors").exists()
    assert git(there, "rev-parse", "HEAD", "main") == git(project, "rev-parse", "HEAD", "main")
    assert git(there, "show", "main:code.py") == "LAYERS = 2\n"
    assert git(there, "rev-list", "--all", "--count") == "3\n"  # main, HEAD, and the working tree


NAMES = {"v1", "origin/main", "refs/heads/main"}  # which a node can have, too
ELSE = ("refs/sdbatch/head", "caf\udce9", "HEAD~1", "short", "@{-1}", "origin/HEAD", "origin", "slower@{upstream}")


@pytest.mark.parametrize("base", [*sorted(NAMES), *ELSE])
def test_a_base_may_be_whatever_git_takes(project: Path, base: str) -> None:
    """It keeps its name, but for one that means something in this clone alone: that is the commit."""
    git(project, "tag", "--annotate", "--message=1", "v1", "main")
    for name in ("refs/remotes/origin/main", "refs/sdbatch/head", "refs/heads/caf\udce9"):
        git(project, "update-ref", name, "main")
    git(project, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(project, "branch", "--quiet", "--set-upstream-to=main", "slower")
    base = git(project, "rev-parse", "--short", "main").strip() if base == "short" else base

    made, there = sent(project, base)

    commit_of_base = git(project, "rev-parse", "main").strip()
    assert made.base == (base if base in {*NAMES, "caf\udce9"} else commit_of_base)
    assert Repository(root=there).commit_of(made.base) == commit_of_base


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
def test_links_and_programs_stay_what_they_are(project: Path) -> None:
    """A zip of files makes copies of the ones, and takes the right to be run from the others."""
    (project / "link").symlink_to("code.py")
    (project / "build.sh").write_text("#!/bin/sh\n")
    (project / "build.sh").chmod(0o755)

    _, there = sent(project, "main")

    assert (there / "link").readlink() == Path("code.py")
    assert os.access(there / "build.sh", os.X_OK)
    assert state(there) == state(project)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such names")
def test_odd_names_and_what_takes_the_place_of_a_folder_arrive(project: Path) -> None:
    """A link for a folder, a folder for a file, names with what other programs take for the end of a line."""
    (project / "data").mkdir()
    for name in ("data/a.txt", "Icon\r", "two\nlines", "plain"):
        (project / name).write_text("1")
    commit(project)
    shutil.rmtree(project / "data")
    (project / "data").symlink_to("elsewhere")
    (project / "plain").unlink()
    (project / "plain").mkdir()
    (project / "plain" / "deep.py").write_text("2")
    (project / "Icon\r").write_text("2")

    _, there = sent(project, "main")

    assert state(there) == state(project)
    assert (there / "data").readlink() == Path("elsewhere")
    assert (there / "plain" / "deep.py").read_text() == (there / "Icon\r").read_text() == "2"
    assert (there / "two\nlines").read_text() == "1"


def test_a_commit_that_stands_for_another_does_not_travel(project: Path) -> None:
    """`git replace` is of one clone."""
    git(project, "replace", "HEAD", "HEAD~1")

    _, there = sent(project, "main")

    assert git(there, "rev-parse", "HEAD") == git(project, "rev-parse", "HEAD")
    assert git(there, "show", "HEAD:code.py") == "LAYERS = 3\n"


def test_the_repository_stays_as_it_is(project: Path) -> None:
    """Not one object, reference or entry of the index is added."""
    (project / "code.py").write_text("LAYERS = 4\n")
    before = files_of_git(project)

    sent(project, "main")

    assert files_of_git(project) == before
    assert git(project, "status", "--porcelain") == " M code.py\n"


def test_a_shallow_clone_is_enough_if_it_has_the_base(project: Path) -> None:
    """A runner of CI has no more."""
    clone = project.parent / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=2", f"file://{project}", str(clone)], check=True)

    _, there = sent(clone, "HEAD~1")

    assert git(there, "show", "HEAD:code.py") == "LAYERS = 3\n"
    assert git(there, "show", "refs/sdbatch/base:code.py") == "LAYERS = 2\n"


def test_a_new_file_that_is_too_large_is_named(project: Path) -> None:
    """It is left out, as from a sweep; a changed one is what it was in the commit."""
    (project / "large.bin").write_bytes(b"0" * 2000)
    (project / "code.py").write_text("LAYERS = 3" + " " * 2000)

    made, there = sent(project, "main", large_bytes=1000)

    assert made.left_out == (("code.py", 2010), ("large.bin", 2000))
    assert state(there) == ((), ())


def test_sides_that_are_too_large_are_refused(project: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(ClusterError, match="too large to be sent"):
        sent(project, "main", most_bytes=100)


def test_a_base_that_is_not_there_is_refused_as_ever(project: Path) -> None:
    """By the words that `ab` has for it here."""
    with pytest.raises(NoComparison, match="--base nothing: no such commit"):
        sent(project, "nothing")
