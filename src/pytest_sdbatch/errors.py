"""What went wrong, why, and what to do: the one shape every error of this package has."""

from __future__ import annotations

from collections.abc import Iterable


class SdbatchError(Exception):
    """An error a user can act on.

    Args:
        what: one sentence: what was wrong, with the value in question.
        why: the cause, if it is not plain from *what*.
        fix: what to do, as a command or a value where there is one.

    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def at(self, where: str) -> SdbatchError:
        """Return the same error, saying *where* it was made."""
        return type(self)(f"{where}: {self.what}", why=self.why, fix=self.fix)

    @property
    def line(self) -> str:
        """The same in one line, for tables and lines of progress: ``what: why; do: fix``."""
        from pytest_sdbatch.plain_text import plain

        text = f"{self.what}: {self.why}" if self.why else self.what
        return plain(f"{text}; do: {self.fix}" if self.fix else text)

    def __str__(self) -> str:
        """Return the parts on lines of their own; names in them may come from anybody, so they are shown as text."""
        from pytest_sdbatch.plain_text import plain_lines

        lines = []
        for label, text in (("", self.what), ("  why: ", self.why), ("  do:  ", self.fix)):
            if text or not label:
                first, *rest = plain_lines(text)
                lines += [f"{label}{first}", *(f"{' ' * max(len(label), 2)}{line}" for line in rest)]
        return "\n".join(lines)


class OptionError(SdbatchError):
    """A flag, an ini key or a marker has a value that cannot be used."""


class ModelError(SdbatchError):
    """A model cannot be found, read or run as asked."""


class DoesNotFit(ModelError):
    """A model takes more memory than the device has."""


class CannotRun(ModelError):
    """A variant needs what this machine or this model lacks; another one may have it, so the run goes on."""


class DeviceError(SdbatchError):
    """The device that was asked for is not there."""


class DeviceInUse(DeviceError):
    """Another process times on the device, and did not give it back in time."""


class RunFileError(SdbatchError):
    """A run file cannot be written, read or believed."""


class UnfitError(RunFileError):
    """Runs are not stored as a baseline for what they are, wherever it would lie."""


class BaselineError(RunFileError):
    """What a run is to be compared with is missing or cannot be believed: exit status 12."""


class TooFewSamples(SdbatchError, ValueError):
    """A statistic was asked of fewer values than it is defined for."""


def did_you_mean(word: str, known: Iterable[str], *, alike: float = 0.6) -> str:
    """Return ``did you mean ...?`` with the name that is meant by a mistyped *word*, or no text.

    Args:
        word: as it was typed.
        known: names that could be meant.
        alike: the least share of letters in common, of 1.

    """
    import difflib  # here: every pytest run imports this module

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=alike)
    return f"did you mean {near[0]}?" if near else ""
