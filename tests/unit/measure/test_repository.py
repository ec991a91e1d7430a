"""The commit that is measured, from a real git and without one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.measure.repository import read_committed, read_repository, without_user

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder*, whatever is configured on this machine."""
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "file.txt").write_text("one")
    git(tmp_path, "add", "file.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


@needs_git
def test_commit_and_changes_are_read(repository: Path) -> None:
    """A clean tree is not dirty, a new file does not make it so, a changed one does; subfolders count."""
    (repository / "inside").mkdir()
    (repository / "inside" / "new.txt").write_text("untracked")
    clean = read_repository(repository / "inside")
    (repository / "file.txt").write_text("two")
    changed = read_repository(repository)

    assert clean.commit == git(repository, "rev-parse", "HEAD")
    assert (clean.dirty, changed.dirty) == (False, True)
    assert clean.remote is None
    assert clean.unknown["remote"]


@needs_git
def test_the_remote_is_shown_without_its_user(repository: Path) -> None:
    """A token in the URL does not get into any file."""
    git(repository, "remote", "add", "origin", "https://robot:s3cret@example.org/team/app.git")

    assert read_repository(repository).remote == "https://example.org/team/app.git"


@needs_git
def test_outside_a_repository_everything_is_unknown_with_the_reason(tmp_path: Path) -> None:
    """No repository, and a repository without a commit, have reasons; paths are not in them."""
    outside = read_repository(tmp_path)
    git(tmp_path, "init", "-q")
    empty = read_repository(tmp_path)
    missing = read_repository(tmp_path / "missing")

    for state in (outside, empty, missing):
        assert (state.commit, state.dirty, state.remote) == (None, None, None)
        assert state.unknown.keys() == {"commit", "dirty", "remote"}
        assert str(tmp_path) not in "".join(state.unknown.values())
    assert "not a git repository" in outside.unknown["commit"]


def test_without_git_the_reason_is_told(tmp_path: Path) -> None:
    """A machine without git measures all the same."""
    state = read_repository(tmp_path, git="no-such-program-anywhere")

    assert state.commit is None
    assert state.unknown["commit"].startswith("git cannot be run")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a script")
def test_a_git_that_fails_silently_has_a_reason_too(tmp_path: Path) -> None:
    """Exit code 1 without a word is no answer."""
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)

    assert read_repository(tmp_path, git=str(script)).unknown["commit"] == "git has no such value"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://user@example.org/a/b", "https://example.org/a/b"),
        ("https://x-access-token:abc@def@example.org:8443/a", "https://example.org:8443/a"),
        ("https://example.org/a?private_token=abc#frag", "https://example.org/a"),
        ("ssh://git@example.org:22/a/b", "ssh://example.org:22/a/b"),
        ("git@example.org:team/app.git", "example.org:team/app.git"),
        ("example.org:team/app.git", "example.org:team/app.git"),
        ("/home/person/app", None),
        ("../app", None),
        ("file:///home/person/app", None),
        ("C:/Users/person/app", None),
        ("C:\\Users\\person\\app", None),
    ],
)
def test_urls_lose_user_and_secrets_and_folders_are_not_shown(url: str, shown: str | None) -> None:
    """What is left names the repository only."""
    assert without_user(url) == shown


@needs_git
def test_a_committed_file_is_read_whatever_lies_in_the_tree(repository: Path) -> None:
    """Byte for byte, from any folder of the work tree."""
    inside = repository / "inside"
    inside.mkdir()
    (inside / "data.bin").write_bytes(b"one\r\n\xff")
    git(repository, "add", "inside")
    git(repository, "-c", "core.autocrlf=false", "commit", "-q", "-m", "second")
    (inside / "data.bin").write_bytes(b"changed since")

    assert read_committed(inside, "HEAD", "data.bin") == b"one\r\n\xff"
    assert read_committed(repository, "HEAD", "inside/data.bin") == b"one\r\n\xff"


@needs_git
@pytest.mark.parametrize(
    ("staged", "why", "fix"),
    [
        (False, "it lies here uncommitted", "git add data.bin && git commit"),
        (True, "it lies here, but not in that commit", "commit it there, too"),
    ],
)
def test_a_file_that_only_lies_here_is_said_to(repository: Path, staged: bool, why: str, fix: str) -> None:
    """What was recorded and never committed is what a gate asks for first."""
    (repository / "data.bin").touch()
    if staged:
        git(repository, "add", "data.bin")

    with pytest.raises(RunFileError) as raised:
        read_committed(repository, "HEAD", "data.bin")

    assert (raised.value.why, raised.value.fix) == (why, fix)


@needs_git
@pytest.mark.parametrize(
    ("commit", "path", "said"),
    [
        ("origin/main", "file.txt", "the commit origin/main is not here"),
        ("HEAD", "other.txt", "HEAD has no other.txt"),
        ("--output=x", "file.txt", "names no commit"),
        ("", "file.txt", "names no commit"),
    ],
)
def test_what_git_does_not_have_is_said(repository: Path, commit: str, path: str, said: str) -> None:
    """A shallow clone lacks the commit; an option of git is no commit."""
    with pytest.raises(RunFileError) as raised:
        read_committed(repository, commit, path)

    assert said in raised.value.what
