"""Stores that are damaged, fail, refuse, do not answer or cannot be opened: one error each, never half a baseline."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec.implementations.local
import pytest
from stores import URL, Scripted, raising

from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.records import Run
from pytest_sdbatch.storage import store as store_module
from pytest_sdbatch.storage.run_file import runs_in
from pytest_sdbatch.storage.store import Store, open_store

MakeRun = Callable[..., Run]
KEY = "main/cpu-1234abcd.json"
BESIDE = "main/cpu-1234abcd"

# Damage.

NAME = "a-0123456789abcdef.json"
GOOD = {"kind": "sdbatch-baseline", "schema": 1, "object": NAME}
NO_NAMES = ("", "../x", "x.json", f"/{NAME}")


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"{", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b'{"schema": NaN}', "schema: not a finite number"),
        (b"[1]", "it is no pointer"),
        (b'{"benchmarks": []}', "it is no pointer"),
        (json.dumps({**GOOD, "kind": "x"}).encode(), "it is no pointer"),
        (json.dumps({**GOOD, "schema": 2}).encode(), "schema: 2, and this version reads 1"),
        (json.dumps({**GOOD, "schema": "1"}).encode(), "schema: '1', and this version reads 1"),
        (json.dumps({**GOOD, "more": 1}).encode(), "pointer.more: unknown key"),
        (json.dumps({**GOOD, "object": None}).encode(), "pointer.object: "),
        (json.dumps({"kind": "sdbatch-baseline", "schema": 1}).encode(), "pointer.object: missing"),
        (json.dumps(GOOD).encode()[:-1] + b', "object": "b"}', "object: appears twice"),
        *((json.dumps({**GOOD, "object": name}).encode(), "pointer.object: ") for name in NO_NAMES),
        (b" " * 5000, "is not read"),
    ],
)
def test_a_pointer_that_is_none_is_refused_with_its_url(
    store: Store, scripted: type[Scripted], pointer: bytes, said: str
) -> None:
    """It is believed whole or not at all, and leads nowhere but to an object beside it."""
    scripted.put(f"{BESIDE}/{NAME}", b"{}")
    scripted.put(KEY, pointer)

    with pytest.raises(RunFileError) as caught:
        store.read(KEY)

    assert caught.value.what.startswith(f"{URL}/{KEY} ")
    assert said in caught.value.what
    assert caught.value.fix


def damaged(kind: str, data: bytes) -> bytes:
    """Return *data* with a *kind* of damage."""
    return {
        "empty": b"",
        "cut": data[:-2],
        "longer": data + b" ",
        "changed": data.replace(b"0.5", b"0.4", 1),
        "another": b"{}",
    }[kind]


@pytest.mark.parametrize("kind", ["empty", "cut", "longer", "changed", "another"])
def test_an_object_that_is_not_what_was_written_is_refused(
    store: Store, scripted: type[Scripted], make_run: MakeRun, kind: str
) -> None:
    """Even where it still is a run file: one that was changed would move every verdict."""
    store.write(KEY, [make_run()])
    place = next(path for path in scripted.paths() if path != KEY)
    data = scripted.take(place)
    assert damaged(kind, data) != data
    scripted.put(place, damaged(kind, data))

    with pytest.raises(RunFileError, match="it is not what was written") as caught:
        store.read(KEY)

    assert caught.value.what.startswith(f"{URL}/{place} cannot be read")


def test_a_pointer_to_nothing_names_what_is_missing(store: Store, scripted: type[Scripted], make_run: MakeRun) -> None:
    """Somebody deleted the object; that is no missing baseline, which a gate might be told to overlook."""
    store.write(KEY, [make_run()])
    place = next(path for path in scripted.paths() if path != KEY)
    scripted.take(place)

    with pytest.raises(RunFileError, match="points to nothing") as caught:
        store.read(KEY)

    assert caught.value.why == f"{URL}/{place} does not exist"


def test_what_is_larger_than_a_run_file_may_be_is_neither_written_nor_read(
    store: Store, scripted: type[Scripted], make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written that nobody would read; the limit is that of files."""
    store.write(KEY, [make_run(id="a")])
    before = scripted.paths()
    monkeypatch.setattr(store_module, "MOST_BYTES", 1024)

    with pytest.raises(RunFileError, match="was not written") as caught:
        store.write(KEY, [make_run(id="b")])
    assert "1 KiB" in caught.value.why
    assert scripted.paths() == before
    with pytest.raises(RunFileError, match="is not read") as caught:
        store.read(KEY)
    assert "record a new baseline" in caught.value.fix


# Stores that fail.


class Answer(Exception):
    """What some libraries raise: only its answer tells that it is a refusal."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} for https://host/bucket?X-Signature=hunter2")
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("error", "what", "why"),
    [
        (PermissionError("Access Denied"), "may not be", "the store refuses it: PermissionError: Access Denied"),
        (OSError("Forbidden: bucket/x\nno"), "may not be", "the store refuses it: OSError: Forbidden: bucket/x no"),
        (Answer(403), "may not be", "the store refuses it: Answer: 403 for https://host/bucket"),
        (Answer(503), "cannot be", "Answer: 503 for https://host/bucket"),
        (ConnectionError("no route to ftp://me:hunter2@host"), "cannot be", "ConnectionError: no route to ftp://host"),
        (
            ConnectionError("no route to ftp://me@x.org:hunter2@host"),
            "cannot be",
            "ConnectionError: no route to ftp://host",
        ),
        (RuntimeError(), "cannot be", "RuntimeError"),
        (OSError("x" * 1000), "cannot be", f"OSError: {'x' * 300}..."),
    ],
)
def test_a_store_that_fails_is_told_in_one_error(
    store: Store, scripted: type[Scripted], make_run: MakeRun, error: Exception, what: str, why: str
) -> None:
    """What was to be done where, why it was not, what to look at; and nothing that was secret in an address."""
    store.write(KEY, [make_run()])
    scripted.before = raising(error)
    asked: dict[str, Callable[[], object]] = {
        "written": lambda: store.check_new(KEY),
        "read": lambda: store.read(KEY),
        "listed": store.stored,
    }

    for done, ask in asked.items():
        with pytest.raises(RunFileError) as caught:
            ask()
        assert caught.value.what.startswith(URL)
        assert caught.value.what.endswith(f" {what} {done}")
        assert caught.value.why == why
        assert caught.value.fix


def test_runs_whose_pointer_cannot_be_written_are_not_lost(
    store: Store, scripted: type[Scripted], make_run: MakeRun
) -> None:
    """They took an hour to measure: the error names the object, of which only the pointer has to be told."""
    scripted.before = raising(ConnectionError("no route"), when=lambda verb, path: path.endswith(KEY))

    with pytest.raises(RunFileError) as caught:
        store.write(KEY, [make_run()])

    (place,) = scripted.paths()
    assert caught.value.what == f"{URL}/{KEY} cannot be written"
    assert caught.value.fix.endswith(f"look whether it moved all the same; the runs are kept in {URL}/{place}")


def test_a_store_that_does_not_answer_is_not_waited_for(
    store: Store, scripted: type[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where packets are dropped, libraries go on trying for half an hour."""
    monkeypatch.setattr(store_module, "_ANSWERS_WITHIN_S", 0.05)
    scripted.before = lambda verb, path: time.sleep(5)
    start = time.monotonic()

    with pytest.raises(RunFileError, match="cannot be written") as caught:
        store.check_new(KEY)

    assert caught.value.why == "TimeoutError: no answer within 0.05 seconds"
    assert time.monotonic() - start < 4


def test_a_store_that_cannot_be_listed_is_named_as_it_was_given(store: Store, scripted: type[Scripted]) -> None:
    """Without a slash behind it, by which it would be another place."""
    scripted.before = raising(ConnectionError("no route"))

    with pytest.raises(RunFileError) as caught:
        store.stored()

    assert caught.value.what == f"{URL} cannot be listed"


def test_a_store_that_is_not_there_is_not_an_empty_one(scripted: type[Scripted]) -> None:
    """One with nothing in it has no baseline; of a mistyped bucket nobody knows."""
    empty, mistyped = (open_store(f"scripted://{name}/x", option="sd_baselines") for name in ("bucket", "their"))
    assert (empty.stored(), empty.stored("main"), empty.read(KEY)) == ([], [], None)

    for ask in (mistyped.stored, lambda: mistyped.stored("main"), lambda: mistyped.read(KEY)):
        with pytest.raises(RunFileError, match=r"^scripted://their/x.* cannot be (listed|read)") as caught:
            ask()
        assert caught.value.why.startswith("the store has no such place: ")
        assert caught.value.fix == "make the bucket first, or mend the URL"


@pytest.mark.parametrize(
    ("url", "root", "asked"),
    [
        ("s3://bucket/x/y", "bucket/x/y", ["bucket"]),
        ("s3://bucket", "bucket", ["bucket"]),
        ("sftp://host/srv/x", "/srv/x", ["/srv"]),
        ("hf://datasets/owner/name@main/x", "datasets/owner/name@main/x", ["datasets/owner/name@main"]),
        ("hf://owner/name", "owner/name", ["owner/name"]),
        ("https://host/x", "https://host/x", []),
        ("github://", "", []),
    ],
)
def test_what_nobody_makes_by_writing_is_asked_for(url: str, root: str, asked: list[str]) -> None:
    """A bucket, or a repository; who may not ask for it may read what is in it all the same."""
    seen: list[str] = []

    def refuses(path: str) -> None:
        seen.append(path)
        raise PermissionError("Access Denied")

    def finds_nothing(path: str, detail: bool) -> None:
        raise FileNotFoundError(path)

    files = SimpleNamespace(invalidate_cache=lambda: None, ls=finds_nothing, info=refuses)

    assert Store(url=url, files=files, root=root).stored() == []
    assert seen == asked


class Disk(fsspec.implementations.local.LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store with folders that must be made first, such as SFTP."""

    protocol = "disk"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.removeprefix("disk://"))


def test_folders_are_made_below_the_url_and_never_the_bucket(tmp_path: Path, make_run: MakeRun) -> None:
    """What the URL names is somebody's to make: a mistyped bucket is not found, and not created."""
    fsspec.register_implementation("disk", Disk, clobber=True)
    there, mistyped = (open_store(f"disk://{tmp_path}/{name}", option="sd_baselines") for name in ("there", "their"))
    (tmp_path / "there").mkdir()

    there.check_new(KEY)
    there.write(KEY, [make_run(id="a")])
    found = there.read(KEY)
    assert found is not None
    assert [run.id for run in runs_in(found.data, found.file)] == ["a"]
    assert there.stored() == [KEY]
    assert mistyped.stored() == []
    with pytest.raises(RunFileError, match="cannot be written") as caught:
        mistyped.check_new(KEY)
    assert caught.value.why.startswith("the store has no such place: ")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


# What cannot be opened.


def test_an_unknown_protocol_is_refused_with_what_was_meant() -> None:
    """From among those that fsspec knows."""
    with pytest.raises(OptionError, match="fsspec knows no protocol 'sftpp'") as caught:
        open_store("sftpp://host/folder", option="-o sd_baselines")
    assert caught.value.fix == "did you mean sftp?"
    assert caught.value.what.startswith("-o sd_baselines=sftpp://host/folder: ")


@pytest.mark.parametrize(("protocol", "fix"), [("s3", "pip install s3fs"), ("lacking", "install it beside")])
def test_a_protocol_whose_package_is_missing_says_which(
    protocol: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the words of fsspec, and as a command where the name of the package is known here."""
    known = sys.modules["fsspec.registry"]  # fsspec itself has a table of that name
    row = {"class": "no_such_package.Files", "err": "Install no_such_package to use this"}
    monkeypatch.setattr(known, "registry", {name: kind for name, kind in known.registry.items() if name != protocol})
    monkeypatch.setitem(known.known_implementations, protocol, row)

    with pytest.raises(OptionError, match=f"what reads {protocol}:// is not installed") as caught:
        open_store(f"{protocol}://bucket", option="sd_baselines")

    assert caught.value.why == "Install no_such_package to use this (No module named 'no_such_package')"
    assert caught.value.fix.startswith(fix)


def test_a_file_system_that_cannot_be_made_is_told() -> None:
    """Some look for credentials at once."""

    class Locked(Scripted):
        protocol = "locked"

        def __init__(self, **options: Any) -> None:
            raise PermissionError("no credentials")

    fsspec.register_implementation("locked", Locked, clobber=True)

    with pytest.raises(RunFileError, match="locked://bucket may not be opened"):
        open_store("locked://bucket", option="sd_baselines")
