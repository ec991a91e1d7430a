"""Which commit is measured, as git tells it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pytest_sdbatch.errors import RunFileError

_TIMEOUT_S = 5.0
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@{}~^+-]*")  # no option of git, whatever stands in a file
_SCP_LIKE = re.compile(r"(?:[^@/]+@)?([^:/@]+:[^@]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A state of a repository. Unknown is None; ``unknown`` holds the reason by field."""

    commit: str | None = None  # full hash
    dirty: bool | None = None  # whether tracked files differ from the commit
    remote: str | None = None  # of "origin", without user, password or query
    unknown: Mapping[str, str] = field(default_factory=dict)


class _NoAnswer(Exception):
    """Git could not say; the message is the reason."""


def read_repository(folder: Path, *, git: str = "git") -> Repository:
    """Return the state of the repository that *folder* is in.

    Args:
        folder: anywhere inside the work tree.
        git: the program.

    """
    unknown: dict[str, str] = {}

    def ask(name: str, *arguments: str) -> str | None:
        try:
            return _run(git, folder, *arguments)
        except _NoAnswer as reason:
            unknown[name] = str(reason)
            return None

    commit = ask("commit", "rev-parse", "--verify", "HEAD")
    if commit is None:
        unknown |= {"dirty": unknown["commit"], "remote": unknown["commit"]}
        return Repository(unknown=unknown)
    changes = ask("dirty", "status", "--porcelain", "--untracked-files=no")
    url = ask("remote", "config", "--get", "remote.origin.url")
    remote = without_user(url) if url is not None else None
    if url is not None and remote is None:
        unknown["remote"] = "a folder of this machine"
    return Repository(commit=commit, dirty=None if changes is None else changes != "", remote=remote, unknown=unknown)


def read_committed(folder: Path, commit: str, path: str, *, git: str = "git") -> bytes:
    """Return the content of the file *path* as it is in *commit*, whatever the work tree says.

    Args:
        folder: inside the work tree; *path* is relative to it, with slashes.
        commit: a branch, tag or hash that is here.
        path: of the file.
        git: the program.

    Raises:
        RunFileError: for a commit that is not here, or a file that it does not have.

    """
    if _COMMIT.fullmatch(commit) is None:
        raise RunFileError(f"{commit!r} names no commit", fix="name a branch, a tag or a hash")
    try:
        _ask(git, folder, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    except _NoAnswer as reason:
        raise RunFileError(
            f"the commit {commit} is not here",
            why=str(reason),
            fix="fetch it: git fetch origin BRANCH; a checkout in CI needs fetch-depth: 0",
        ) from None
    try:
        return _ask(git, folder, "show", f"{commit}:./{path}")
    except _NoAnswer as reason:
        what = f"{commit} has no {path}"
        if not (folder / path).is_file():
            why = "git knows no such file there" if str(reason).startswith("path") else str(reason)
            raise RunFileError(what, why=why) from None
        if is_tracked(folder, path, git=git):
            raise RunFileError(what, why="it lies here, but not in that commit", fix="commit it there, too") from None
        raise RunFileError(
            what, why="it lies here uncommitted", fix=f"git add {shlex.quote(path)} && git commit"
        ) from None


def is_tracked(folder: Path, path: str, *, git: str = "git") -> bool:
    """Return whether the repository that *folder* is in has the file *path*, relative to it; False: git cannot say."""
    try:
        _ask(git, folder, "ls-files", "--error-unmatch", "--", path)
    except _NoAnswer:
        return False
    return True


def without_user(url: str) -> str | None:
    """Return *url* without user, password, query and fragment; None for a folder, whose path may name a person."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ssh", "git", "ftp", "ftps", "git+ssh"):
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    scp_like = _SCP_LIKE.fullmatch(url)
    if scp_like is None or "://" in url or re.match(r"[A-Za-z]:[\\/]", url):
        return None
    return scp_like[1]


def _run(git: str, folder: Path, *arguments: str) -> str:
    return _ask(git, folder, *arguments).decode("utf-8", "replace").strip()


def _ask(git: str, folder: Path, *arguments: str) -> bytes:
    # Without optional locks, so that asking never touches the index of a repository in use.
    variables = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [git, "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            env=variables,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _NoAnswer(f"git did not answer within {_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise _NoAnswer(f"git cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        # Without quoted paths: they may name a person.
        reason = re.sub(r" ?(at )?'[^']*'", "", said[0].removeprefix("fatal: ")) if said else "git has no such value"
        raise _NoAnswer(reason)
    return done.stdout
