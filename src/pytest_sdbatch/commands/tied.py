"""A process that ends with the one that started it, however that ended: they share a pipe, its standard input."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable


def tie(tidy_up: Callable[[], None] | None = None) -> int:
    """End this process, and its group, which it leads, when nobody is left who holds the other end of its input.

    Who started it may be killed without a word; what it does would go on for nobody, in the way of the next. Reading
    its input, a benchmark finds that it has ended.

    Args:
        tidy_up: is called then, by another thread than the main one.

    Returns:
        The pipe.

    """
    pipe, nothing = os.dup(sys.stdin.fileno()), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    threading.Thread(target=_end_with, args=(pipe, tidy_up), daemon=True).start()
    return pipe


def _end_with(pipe: int, tidy_up: Callable[[], None] | None) -> None:
    os.read(pipe, 1)
    if tidy_up is not None:
        tidy_up()
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
