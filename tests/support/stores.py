"""A store in memory that does, before it is asked for something, what a test wants: refuse, fail or wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

# pytester forgets what a run in this process has imported, and with it what lies in memory.
import fsspec
import fsspec.implementations.memory
import pytest

from pytest_sdbatch.storage.store import Store, open_store

URL = "scripted://bucket/baselines"
_BUCKET = "/bucket"
_ROOT = f"{_BUCKET}/baselines/"

Before = Callable[[str, str], None]  # of a verb, write, read or list, and a path


def nothing(verb: str, path: str) -> None:
    """Let it be done."""


class Scripted(fsspec.implementations.memory.MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """What lies in the memory of one test."""

    protocol = "scripted"
    cachable = False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = ["", _BUCKET]
    before: ClassVar[Before] = nothing

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.replace("scripted://", "memory://", 1))

    def pipe_file(self, path: str, value: bytes, **options: Any) -> Any:
        type(self).before("write", path)
        return super().pipe_file(path, value, **options)

    def cat_file(self, path: str, **options: Any) -> Any:
        type(self).before("read", path)
        return super().cat_file(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        type(self).before("list", path)
        return super().ls(path, detail=detail, **options)

    @classmethod
    def empty(cls) -> None:
        """Forget everything but the bucket."""
        cls.store, cls.pseudo_dirs, cls.before = {}, ["", _BUCKET], nothing

    @classmethod
    def put(cls, path: str, data: bytes) -> None:
        """Put *data* at *path* below the URL, in place of what is there."""
        cls().open(f"{_ROOT}{path}", "wb", data=data)

    @classmethod
    def take(cls, path: str) -> bytes:
        """Take away what is at *path* below the URL, and return it."""
        return bytes(cls.store.pop(f"{_ROOT}{path}").getvalue())

    @classmethod
    def paths(cls) -> list[str]:
        """Return the paths of all objects below the URL, sorted."""
        return sorted(path.removeprefix(_ROOT) for path in cls.store)


@pytest.fixture
def scripted() -> Iterator[type[Scripted]]:
    """Return the file system of ``scripted://``, which is empty and does as it is told."""
    fsspec.register_implementation(Scripted.protocol, Scripted, clobber=True)
    Scripted.empty()
    yield Scripted
    Scripted.empty()


@pytest.fixture
def store(scripted: type[Scripted]) -> Store:
    """Return a store of baselines in it."""
    return open_store(URL, option="sd_baselines")


def raising(error: BaseException, *, when: Callable[[str, str], bool] = lambda verb, path: True) -> Before:
    """Return what raises *error* before what *when* says of a verb and a path."""

    def before(verb: str, path: str) -> None:
        if when(verb, path):
            raise error

    return before
