"""Which errors say that memory ran out. Libraries do not agree on a class, so some are known by their words."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Sequence

# Seen on Linux ("can't allocate memory") and Windows ("not enough memory"): torch's CPU allocator raises RuntimeError.
HOST_WORDS = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory", "std::bad_alloc")


def says_out_of_memory(error: BaseException, *, words: Sequence[str] = ()) -> bool:
    """Return whether *error*, or an error it was raised from, says that memory ran out.

    Args:
        error: what a call raised. Errors that are no ``Exception`` (an interrupt, a test's skip) never say so.
        words: parts of a RuntimeError's message that say so on the device at hand, besides the host's.

    """
    return any(_says(link, (*HOST_WORDS, *words)) for link in _causes(error))


def _says(error: Exception, words: Sequence[str]) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    torch = sys.modules.get("torch")  # an error of torch cannot come from a process that has not imported it
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _causes(error: BaseException | None) -> Iterator[Exception]:
    """Yield *error* and what it was explicitly raised ``from``."""
    seen: set[int] = set()
    while isinstance(error, Exception) and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
