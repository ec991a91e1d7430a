"""A board in a cluster of Ray, on which tasks and their caller write what they would have each other know."""

from __future__ import annotations

from typing import Any

ANSWER_S = 5.0  # within which a machine that is there takes a connection, and answers


def board_class() -> type:
    """Return where tasks say on which node they have begun, and what they would have the reader know.

    Ray tells it to nobody else without its dashboard. Not a class of this module: on the node where it lies that may be
    missing, or another.
    """
    import time

    class Board:
        def __init__(self) -> None:
            self._begun: dict[int, str] = {}
            self._said: list[str] = []
            self._is_enough = False
            self._end_s: float | None = None

        def begin(self, number: int, node: str) -> None:
            self._begun[number] = node

        def begun(self) -> dict[int, str]:
            return self._begun

        def say(self, line: str) -> None:
            self._said.append(line)

        def said(self) -> list[str]:
            lines, self._said = self._said, []
            return lines

        def end_in(self, left_s: float) -> None:
            self._end_s = time.monotonic() + left_s

        def left_s(self) -> float | None:
            return None if self._end_s is None else self._end_s - time.monotonic()

        def enough(self) -> None:
            self._is_enough = True

        def is_enough(self) -> bool:
            return self._is_enough

    return Board


class BoardCaller:
    """Implements :class:`~.machines.Caller` on a node.

    Args:
        board: of whom it calls.
        ray: the module, as it is in the process of a task.

    """

    def __init__(self, board: Any, ray: Any) -> None:
        self._board = board
        self._ray = ray

    def hear(self, line: str) -> None:
        """Put *line* on the board."""
        self._board.say.remote(line)

    def left_s(self) -> float | None:
        """Return what the clock of the board says, on which it waited for a place, too; None where it says nothing."""
        try:
            return self._ray.get(self._board.left_s.remote(), timeout=ANSWER_S)  # type: ignore[no-any-return]
        except self._ray.exceptions.RayError:
            return None

    def has_enough(self) -> bool:
        """Return what the board says; where it says nothing in time, that the task goes on."""
        try:
            return bool(self._ray.get(self._board.is_enough.remote(), timeout=ANSWER_S))
        except self._ray.exceptions.RayError:  # the caller is slow, or gone: of that Ray tells this task itself
            return False
