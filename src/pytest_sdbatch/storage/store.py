"""Baselines in a store: what fsspec opens at a URL, such as a bucket.

A baseline is an object that is written once, ``URL/NAME/DEVICE-HASH/RUN-DIGEST.json``, and then the pointer that names
it, ``URL/NAME/DEVICE-HASH.json``. Whoever reads gets the one before or the one after, whole; of two who write at once
both objects stay, and the pointer is that of the later one. Nothing is ever removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError, did_you_mean
from pytest_sdbatch.records import Run
from pytest_sdbatch.storage.baselines import Content
from pytest_sdbatch.storage.plain import append_json, parse
from pytest_sdbatch.storage.run_file import MOST_BYTES, text_of
from pytest_sdbatch.storage.strict import convert

T = TypeVar("T")

POINTER_SCHEMA = 1
_KIND = "sdbatch-baseline"  # what a pointer says that it is
_OBJECT = re.compile(r"[0-9A-Za-z-]{1,64}-([0-9a-f]{16})\.json")
_MOST_BYTES_OF_POINTER = 4096
# Of what a URL is in its file system, but where that is still a URL: what nobody makes by writing.
_BUCKET = re.compile(r"/?[^/:]+(?=/|$)")
_REPOSITORY = re.compile(r"((datasets|spaces|buckets)/)?[^/]+/[^/]+")
_TRIED = "may-write"  # beside the objects: what was written to see whether it can be
# Their libraries go on trying for half an hour where nobody answers.
_ANSWERS_WITHIN_S = 60.0
_MOVES_WITHIN_S = 600.0  # an object, of 64 MiB at most
_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "az": "adlfs", "abfs": "adlfs",
    "abfss": "adlfs",
}  # fmt: skip
_DENIED = (401, 403)
_LONGEST = 300  # of what a library says; some print a page
_SIGNED = re.compile(r"(\w+://[^\s?'\"<>]*)\?[^\s'\"<>]*")
_WITH_PASSWORD = re.compile(r"(\w+://)\S*:\S*@")
_MEND = "see what wrote it, or record a new baseline: --sd-save moves the pointer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pointer:
    kind: str
    schema: int
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The baselines below a URL."""

    url: str
    files: Any  # fsspec's file system
    root: str  # what the URL is there

    def where(self, key: str) -> str:
        """Return the URL of *key*."""
        return f"{self.url}/{key}" if key else self.url

    def stored(self, name: str | None = None) -> list[str]:
        """Return the keys of the pointers, as :class:`pytest_sdbatch.storage.baselines.Baselines` has it."""
        names = self._names("", kind="directory") if name is None else [name]
        files = [(one, file) for one in names for file in self._names(one, kind="file")]
        return sorted(f"{one}/{file}" for one, file in files if file.endswith(".json"))

    def read(self, key: str) -> Content | None:
        """Return the object that the pointer *key* names; None: there is no pointer.

        Raises:
            RunFileError: where the store does not answer, refuses or is not there, the pointer is none, or what it
                names is not there or not what was written.

        """
        pointer = self._get(key, most_bytes=_MOST_BYTES_OF_POINTER, within_s=_ANSWERS_WITHIN_S)
        if pointer is None:
            return None
        name, digest = _named_by(pointer, self.where(key))
        place = _beside(key, name)
        data = self._get(place, most_bytes=MOST_BYTES, within_s=_MOVES_WITHIN_S)
        if data is None:
            raise RunFileError(
                f"{self.where(key)} points to nothing",
                why=f"{self.where(place)} does not exist",
                fix="bring it back, or record a new baseline: --sd-save moves the pointer",
            )
        if _digest(data) != digest:
            raise RunFileError(
                f"{self.where(place)} cannot be read: it is not what was written",
                why=f"its {len(data)} bytes do not have the digest in its name: some are missing, or changed",
                fix="bring it back, or record a new baseline: --sd-save moves the pointer",
            )
        return Content(data=data, file=self.where(place))

    def check_new(self, key: str) -> None:
        """Refuse a store that cannot be written to: only writing shows, so a few words are written beside the objects.

        Raises:
            RunFileError: says who refused and why.

        """
        self._put(_beside(key, _TRIED), b"Written to see whether it can be, before anything is measured.\n")

    def write(self, key: str, runs: Sequence[Run]) -> str:
        """Write *runs* as a new object, then the pointer *key* to it, and return what names what.

        Raises:
            RunFileError: where the store does not answer or refuses, or the runs are more than would be read; names the
                object where only the pointer is missing.

        """
        data = bytes(text_of(runs, self.where(key)))
        if len(data) > MOST_BYTES:
            raise RunFileError(
                f"{self.where(key)} was not written",
                why=f"its runs take more than {_amount(MOST_BYTES)}, which nothing would read",
                fix="store fewer cases, or fewer processes",
            )
        name = f"{_plain(runs[0].id)}-{_digest(data)}.json"
        pointer = bytearray()
        append_json({"kind": _KIND, "schema": POINTER_SCHEMA, "object": name}, pointer)
        self._put(_beside(key, name), data)
        try:
            self._put(key, bytes(pointer + b"\n"))  # last: until now nobody knows of the object
        except RunFileError as error:
            kept = self.where(_beside(key, name))
            fix = f"{error.fix}; look whether it moved all the same; the runs are kept in {kept}"
            raise RunFileError(error.what, why=error.why, fix=fix) from None
        return f"{self.where(key)} names {name}"

    def _names(self, folder: str, *, kind: str) -> list[str]:
        """Return the names of what of a *kind* lies in *folder*; none where that, but not the store, does not exist."""
        path = f"{self.root}/{folder}".rstrip("/")

        def listed() -> list[dict[str, Any]]:
            self.files.invalidate_cache()
            try:
                return list(self.files.ls(path, detail=True))
            except FileNotFoundError:
                self._check_there()
                return []

        found = _ask(listed, self.where(folder), "listed", within_s=_ANSWERS_WITHIN_S)
        return [entry["name"].rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == kind]

    def _get(self, path: str, *, most_bytes: int, within_s: float) -> bytes | None:
        """Return the content of the object at *path*; None: there is none."""
        whole, url = f"{self.root}/{path}", self.where(path)

        def got() -> bytes | None:
            self.files.invalidate_cache()
            try:
                # Asked first: some stores answer a range of an empty object by an error.
                size = self.files.info(whole).get("size")
                data = None if size is not None and size > most_bytes else bytes(self.files.cat_file(whole))
            except FileNotFoundError:
                self._check_there()
                return None
            if data is None or len(data) > most_bytes:
                raise RunFileError(f"{url} is not read", why=f"it is larger than {_amount(most_bytes)}", fix=_MEND)
            return data

        return _ask(got, url, "read", within_s=within_s)

    def _check_there(self) -> None:
        """Ask for the bucket, after nothing was found in it: one that is not there must not read as an empty one.

        What the URL names within it need not be there: a store of objects has no empty folders.

        Raises:
            FileNotFoundError: where there is no such bucket.

        """
        match = (_REPOSITORY if self.url.startswith("hf://") else _BUCKET).match(self.root)
        if match is None:
            return
        try:
            self.files.info(match[0])
        except FileNotFoundError:
            raise
        except Exception:  # noqa: BLE001 - who may read what is in it need not be allowed to ask for it
            return

    def _put(self, path: str, data: bytes) -> None:
        whole = f"{self.root}/{path}"

        def put() -> None:
            try:
                self.files.pipe_file(whole, data)
            except FileNotFoundError:  # the store has folders that are made, or not even a bucket
                self._make_folders(path)
                self.files.pipe_file(whole, data)

        within_s = _ANSWERS_WITHIN_S if len(data) <= _MOST_BYTES_OF_POINTER else _MOVES_WITHIN_S
        _ask(put, self.where(path), "written", within_s=within_s)

    def _make_folders(self, path: str) -> None:
        """Make the folders of *path* below the URL, and not what the URL itself names: whoever pays makes a bucket."""
        folder = self.root
        for part in path.split("/")[:-1]:
            folder = f"{folder}/{part}"
            with contextlib.suppress(FileExistsError):
                self.files.mkdir(folder, create_parents=False)


def open_store(url: str, *, option: str) -> Store:
    """Return the store at *url*, as :func:`pytest_sdbatch.grid.urls.parse_url` returned it.

    Raises:
        OptionError: for a protocol that fsspec does not know, or whose package is missing.
        RunFileError: where it cannot be opened.

    """
    import fsspec
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError:
        near = did_you_mean(protocol, fsspec.available_protocols())
        raise OptionError(
            f"{option}={url}: fsspec knows no protocol {protocol!r}", fix=near or "use one it knows: s3, gs, az, hf"
        ) from None
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        raise OptionError(
            f"{option}={url}: what reads {protocol}:// is not installed",
            why=f"{error} ({error.__cause__})" if error.__cause__ is not None else str(error),
            fix=f"pip install {package}" if package else "install it beside pytest-sdbatch",
        ) from None
    files, root = _ask(lambda: url_to_fs(url), url, "opened", within_s=_ANSWERS_WITHIN_S)
    return Store(url=url, files=files, root=root.rstrip("/"))


def _ask(call: Callable[[], T], url: str, done: str, *, within_s: float) -> T:
    """Return what *call* returns, which the store at *url* is asked for.

    Who does not answer in time is no longer waited for, and what was asked for may still happen.

    Raises:
        RunFileError: where it fails, or takes longer than *within_s*.

    """
    answer: Future[T] = Future()

    def wait() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for the answer
            answer.set_exception(error)

    threading.Thread(target=wait, daemon=True).start()
    try:
        error = answer.exception(within_s)
    except TimeoutError:
        error = TimeoutError(f"no answer within {within_s:g} seconds")
    if isinstance(error, Exception) and not isinstance(error, SdbatchError):
        raise _failure(error, url, done)
    return answer.result()


def _failure(error: Exception, url: str, done: str) -> RunFileError:
    """Return in words why what lies at *url* could not be *done*: opened, listed, read or written."""
    said = _said_by(error)
    if _denies(error):
        return RunFileError(
            f"{url} may not be {done}",
            why=f"the store refuses it: {said}",
            fix="use credentials that may; they are found where the store's own tools find them: variables, or a file",
        )
    if isinstance(error, FileNotFoundError):
        why = f"the store has no such place: {said}"
        return RunFileError(f"{url} cannot be {done}", why=why, fix="make the bucket first, or mend the URL")
    return RunFileError(
        f"{url} cannot be {done}", why=said, fix="look at the URL, the network, and the credentials in the environment"
    )


def _denies(error: Exception) -> bool:
    """Return whether *error* is a refusal: some libraries only carry the status of HTTP, and gcsfs its name."""
    response = getattr(error, "response", None)
    codes = (getattr(error, "code", None), getattr(error, "status", None), getattr(response, "status_code", None))
    if isinstance(error, PermissionError) or str(error).startswith("Forbidden"):
        return True
    return any(code == denied for code in codes for denied in _DENIED)


def _said_by(error: Exception) -> str:
    """Return what *error* says, in one line and without what is secret in the addresses that it names."""
    text = " ".join(str(error).split())
    text = _WITH_PASSWORD.sub(r"\1", _SIGNED.sub(r"\1", text))
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _named_by(pointer: bytes, url: str) -> tuple[str, str]:
    """Return the name of the object in *pointer*, which lies at *url*, with the digest in it.

    Raises:
        RunFileError: for anything but a whole pointer of a known schema.

    """
    try:
        value = parse(pointer)
        if not isinstance(value, dict) or value.get("kind") != _KIND:
            raise RunFileError("it is no pointer to a baseline", why="in a store one is written last, by --sd-save")
        if value.get("schema") != POINTER_SCHEMA:
            raise RunFileError(
                f"schema: {value.get('schema')!r}, and this version reads {POINTER_SCHEMA}",
                fix="pip install --upgrade pytest-sdbatch",
            )
        found = convert(value, _Pointer, "pointer")
        match = _OBJECT.fullmatch(found.object)
        if match is None:
            raise RunFileError(f"pointer.object: {found.object!r} is no name of one")
    except RunFileError as error:
        raise RunFileError(f"{url} cannot be read: {error.what}", why=error.why, fix=error.fix or _MEND) from None
    return found.object, match[1]


def _beside(key: str, name: str) -> str:
    """Return where the object *name* of the baseline *key* lies."""
    return f"{key.removesuffix('.json')}/{name}"


def _amount(count: int) -> str:
    return f"{count / 2**20:g} MiB" if count >= 2**20 else f"{count / 2**10:g} KiB"


def _plain(run_id: str) -> str:
    return re.sub(r"[^0-9A-Za-z-]+", "-", run_id)[:64] or "run"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
