"""What is being done during a long case: one line that is overwritten on a terminal, now and then a line in a log."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from pytest_sdbatch.report.escape import plain, shortened

if TYPE_CHECKING:
    from pytest_sdbatch.host import Host

_SILENCE_S = 60.0  # in a log, after which a line says that the case is not stuck
_SHORTEST = 20  # columns; with less room nothing is shown
_CLEAR = "\x1b[K"  # to the end of the line


class Writer(Protocol):
    """What is asked of pytest's terminal writer."""

    @property
    def fullwidth(self) -> int:
        """Columns of the screen."""
        ...

    @property
    def width_of_current_line(self) -> int:
        """Columns that are written already."""
        ...


class Live:
    """Writes to the screen beside pytest, while that captures what tests write."""

    def __init__(
        self, screen: TextIO, writer: Writer, *, terminal: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._screen = screen
        self._writer = writer
        self._terminal = terminal
        self._clock = clock
        self._quiet_since_s = clock()
        self._shown = False

    def tell(self, doing: str) -> None:
        """Show *doing*, one line of text: behind what pytest has written of its line, where that goes on later."""
        if self._terminal:
            room = self._writer.fullwidth - self._writer.width_of_current_line - 1
            if room >= _SHORTEST:
                text = shortened(plain(doing), room)
                self._write(f"{_CLEAR}{text}\x1b[{len(text)}D")  # the cursor goes back to where it was
                self._shown = True
        elif self._clock() - self._quiet_since_s >= _SILENCE_S:
            self._write(("\n" if self._writer.width_of_current_line else "") + f"sdbatch: {plain(doing)}\n")
            self._quiet_since_s = self._clock()

    def clear(self) -> None:
        """Leave the line to pytest, which is about to write."""
        if self._shown:
            self._write(_CLEAR)
        self._shown = False
        self._quiet_since_s = self._clock()

    def close(self) -> None:
        """Give the screen back."""
        self._screen.close()

    def _write(self, text: str) -> None:
        self._screen.write(text)
        self._screen.flush()


def begin(host: Host) -> None:
    """Let the session tell what it does, unless it shall be quiet or others tell it; call it outside of tests.

    There pytest captures nothing, so that a copy of the descriptor of stdout leads to the screen for good.
    """
    config = host.config
    if host.is_worker or host.is_controller or host.only_check or config.get_verbosity() < 0:
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    terminal = sys.stdout.isatty()
    if reporter is None or (terminal and not reporter.hasmarkup):  # no colours: it may know no other codes either
        return
    try:
        screen = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding=sys.stdout.encoding, errors="replace")
    except OSError:  # no file: something else reads what is printed
        return
    host.live = Live(screen, config.get_terminal_writer(), terminal=terminal)
    host.session.tell = host.live.tell


def clear(host: Host) -> None:
    """Leave the line to pytest, which is about to report."""
    if host.live is not None:
        host.live.clear()


def end(host: Host) -> None:
    """Tell no more."""
    if host.live is not None:
        host.live.close()
        host.live = None
