"""The files of both sides, from real repositories."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pytest_sdbatch.commands.ab.repository import GitError, Repository, open_repository, project_root
from pytest_sdbatch.commands.ab.trees import both_trees, link_data, paths_outside, share_benchmarks
from pytest_sdbatch.commands.children import stopped_by_signals


def git(folder: Path, *arguments: str) -> None:
    """Run git."""
    identity = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def write(root: Path, **texts: str) -> None:
    """Write files; ``__`` in a name is a slash, ``_dot_`` a dot."""
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Make a repository of one commit."""
    root = tmp_path / "project"
    write(root, app_dot_py="1", gone_dot_py="x", benchmarks__test_x_dot_py="old", benchmarks__lost_dot_py="x")
    write(root, _dot_gitignore="data/\n*.bin\n__pycache__/\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=first")
    return open_repository(root)


def contents(folder: Path) -> dict[str, str]:
    """Return the text of all files but git's."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".git" and path.name != ".gitignore"
    }


def test_the_candidate_is_the_working_tree_the_base_its_commit(repository: Repository, tmp_path: Path) -> None:
    """What is changed, staged, new and deleted is there as it is; what git ignores is not; nothing is left behind."""
    root = repository.root
    write(root, app_dot_py="2", staged_dot_py="s", new__file_dot_py="n", data__weights_dot_bin="w")
    git(root, "add", "staged.py")
    (root / "gone.py").unlink()
    (root / "link").symlink_to("app.py")

    with both_trees(repository, repository.commit_of("main"), repository.commit_of("HEAD")) as trees:
        base, candidate = contents(trees.base), contents(trees.candidate)
        assert (trees.candidate / "link").is_symlink()
        assert Repository(root=trees.base).commit_of("HEAD") == repository.commit_of("main")

    benchmarks = {"benchmarks/test_x.py": "old", "benchmarks/lost.py": "x"}
    assert base == {"app.py": "1", "gone.py": "x", **benchmarks}
    assert candidate == {"app.py": "2", "link": "2", "staged.py": "s", "new/file.py": "n", **benchmarks}
    assert not trees.folder.exists()
    listed = subprocess.run(["git", "-C", str(root), "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1


def test_an_environment_that_git_does_not_ignore_is_no_new_code(repository: Repository) -> None:
    """Gigabytes of packages would be copied, and nothing of them is the candidate's."""
    write(repository.root, env__pyvenv_dot_cfg="", env__lib__torch_dot_py="", new_dot_py="")

    assert repository.changes() == ((), ("new.py",))


@pytest.mark.parametrize("mark", ["--skip-worktree", "--assume-unchanged"])
def test_changes_that_git_was_told_to_overlook_are_the_candidates(repository: Repository, mark: str) -> None:
    """They are in the working tree, and run there; one that is marked and not changed is none."""
    git(repository.root, "update-index", mark, "app.py", "gone.py")
    write(repository.root, app_dot_py="2")

    assert repository.changes() == (("app.py",), ())
    assert repository.differing("main") == ("app.py",)
    with both_trees(repository, "main", "HEAD") as trees:
        assert contents(trees.candidate)["app.py"] == "2"
        assert contents(trees.base)["app.py"] == "1"


def test_a_disk_that_is_full_is_said(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git says it in a line before its last; and what to do is said."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    said = "error: unable to write file x.bin\nfatal: Could not reset index file"
    (bin_folder / "git").write_text(f"#!/bin/sh\nprintf '{said}' >&2\nexit 128\n")
    (bin_folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(bin_folder), prepend=":")

    with pytest.raises(GitError, match=r"unable to write file x\.bin") as refused:
        repository.add_worktree(tmp_path / "x", "main")
    assert "TMPDIR=FOLDER" in str(refused.value)


def test_a_tree_that_cannot_be_made_leaves_nothing_behind(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is taken back."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    with pytest.raises(GitError), both_trees(repository, "main", "nowhere"):
        pass

    assert list((tmp_path / "temporary").iterdir()) == []


def test_worktrees_of_the_user_are_left_alone(repository: Repository, tmp_path: Path) -> None:
    """One whose folder is away for a while, on a disk that is not mounted, is there when it comes back."""
    git(repository.root, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side").rename(tmp_path / "away")

    with both_trees(repository, "main", "HEAD"):
        pass

    (tmp_path / "away").rename(tmp_path / "side")
    git(tmp_path / "side", "status")
    assert len(list((repository.root / ".git" / "worktrees").iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("told", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_no_signal_stops_the_tidying(repository: Repository, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """CI sends a second one soon behind the first; all is gone, and git has forgotten it."""
    remove = shutil.rmtree

    def told_meanwhile(*arguments: Any, **options: Any) -> None:
        signal.raise_signal(getattr(signal, told))
        remove(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", told_meanwhile)
    with stopped_by_signals(), pytest.raises(KeyboardInterrupt), both_trees(repository, "main", "HEAD") as trees:
        raise KeyboardInterrupt

    assert not trees.folder.exists()
    assert not (repository.root / ".git" / "worktrees").exists()


def test_no_hook_of_the_project_runs(repository: Repository) -> None:
    """A checkout that nobody asked for must not start their tools."""
    hook = repository.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hook-ran\n")
    hook.chmod(0o755)

    with both_trees(repository, "main", "HEAD") as trees:
        assert not (trees.base / "hook-ran").exists()


def test_the_base_gets_the_candidates_benchmarks(repository: Repository) -> None:
    """Folders in place of its own, without what the candidate deleted; single files as they are; its code stays."""
    write(
        repository.root,
        app_dot_py="2",
        benchmarks__test_x_dot_py="new",
        benchmarks__help_dot_py="h",
        conftest_dot_py="c",
    )
    (repository.root / "benchmarks" / "lost.py").unlink()

    with both_trees(repository, "main", "HEAD") as trees:
        share_benchmarks(trees, [Path("conftest.py")], [Path("benchmarks")])
        found = contents(trees.base)

    assert found == {
        "app.py": "1",
        "gone.py": "x",
        "conftest.py": "c",
        "benchmarks/test_x.py": "new",
        "benchmarks/help.py": "h",
    }


def test_ignored_data_is_seen_by_both(repository: Repository) -> None:
    """Below the benchmarks, or named in an option; caches and what nobody named stay out."""
    root = repository.root
    write(
        root, data__weights="w", other_dot_bin="o", benchmarks__in_dot_bin="b", benchmarks____pycache____x_dot_bin="p"
    )

    with both_trees(repository, "main", "HEAD") as trees:
        link_data(trees, [Path("benchmarks")], ["--sd-models=data,tiny-sd", "-x"], called_in=root)
        for tree in (trees.base, trees.candidate):
            assert (tree / "data" / "weights").read_text() == "w"
            assert (tree / "benchmarks" / "in.bin").read_text() == "b"
            assert not (tree / "other.bin").exists()
            assert not (tree / "benchmarks" / "__pycache__").exists()
    assert (root / "data" / "weights").read_text() == "w"


def test_paths_out_of_the_repository_are_told(repository: Repository, tmp_path: Path) -> None:
    """From another folder they would lead elsewhere; absolute ones would not."""
    (tmp_path / "model").mkdir()
    words = ["--sd-models=../model,tiny-sd", f"--sd-models={tmp_path / 'model'}", "../nowhere", "benchmarks/../app.py"]

    assert paths_outside(words, called_in=repository.root, root=repository.root) == ["../model"]


def test_the_project_is_the_nearest_folder_that_says_so(repository: Repository) -> None:
    """In a repository of several; else all of it is."""
    write(repository.root, part__pyproject_dot_toml="", part__src__x_dot_py="")

    assert (
        project_root(repository.root / "part" / "src", repository, marks=["pyproject.toml"]) == repository.root / "part"
    )
    assert project_root(repository.root, repository, marks=["pyproject.toml"]) == repository.root
