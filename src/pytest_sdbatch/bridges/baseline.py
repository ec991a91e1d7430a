"""The baseline that ``--sd-baseline`` names: where it lies, and the runs that are in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch.bridges import arguments
from pytest_sdbatch.errors import BaselineError, RunFileError, did_you_mean
from pytest_sdbatch.options import Origin, is_url

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.sides import SideRun
    from pytest_sdbatch.host import Host


def look_for(host: Host) -> None:
    """Refuse a typed baseline that is not there; one that is stored by device is looked for once that is known.

    Raises:
        BaselineError: says how to record it.

    """
    from pytest_sdbatch.storage.names import check_name

    name = host.options.text("baseline")
    if name is None or host.options.origin("baseline") is not Origin.COMMAND_LINE or host.only_check:
        return
    commit, stored = _parts(host, name)
    if _is_file(name):
        read(host, name)
        return
    with _told_of(name):
        try:
            check_name(stored)
        except RunFileError as error:
            raise _no_name(host, commit, stored, error) from None
        if not commit and not host.baselines.stored(stored):
            raise _missing(host, name, host.baselines.where(stored))


def read(host: Host, name: str) -> tuple[SideRun, ...]:
    """Return the runs of the baseline *name*.

    Raises:
        BaselineError: names the file, and the key where one is wrong.

    """
    from pytest_sdbatch.storage.sides import read_side_runs, side_runs_of

    commit, stored = _parts(host, name)
    with _told_of(name):
        if _is_file(name):
            path = host.path_of("baseline", name)
            if not path.exists():
                raise _missing(host, name, str(path))
            where, runs = str(path), read_side_runs(path)
        else:
            key = host.baseline_key(stored)
            where = host.baselines.where(key)
            if commit:
                runs = side_runs_of(*_committed(host, commit, Path(where)))
            elif (found := host.baselines.read(key)) is not None:
                runs = side_runs_of(found.data, found.file)
            else:
                raise _missing(host, name, where)
    if not any(run.cases for run in runs):
        raise BaselineError(f"--sd-baseline={name}: no case is in {where}")
    return runs


def own_words(host: Host, name: str) -> Iterator[str]:
    """Yield what is to be said where a pull request brings its baseline along, or the address of one."""
    from pytest_sdbatch.measure.repository import is_tracked

    if not os.environ.get("CI") or ":" in name or _is_file(name):
        return
    place = host.options.place()
    if is_url(place):
        if host.options.origin("baselines") is not Origin.COMMAND_LINE:
            yield f"where baselines lie comes from this tree; name it in the job: -o sd_baselines={place}"
        return
    path = Path(host.baselines.where(host.baseline_key(name)))
    if is_tracked(host.config.rootpath, Path(arguments.relative(path, host.config.rootpath)).as_posix()):
        yield f"the baseline comes from this tree; name the base commit: --sd-baseline=REF:{name}"


@contextlib.contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Let what is wrong with a file or a store be an error of the baseline *name*."""
    try:
        yield
    except BaselineError:
        raise
    except RunFileError as error:
        raise BaselineError(f"--sd-baseline={name}: {error.what}", why=error.why, fix=error.fix) from None


def _committed(host: Host, commit: str, path: Path) -> tuple[bytes, str]:
    """Return what the file at *path* is in *commit*, and what to call it."""
    from pytest_sdbatch.measure.repository import read_committed
    from pytest_sdbatch.storage.run_file import MOST_BYTES

    inside = Path(arguments.relative(path, host.config.rootpath)).as_posix()
    data = read_committed(host.config.rootpath, commit, inside)
    if len(data) > MOST_BYTES:
        raise RunFileError(f"{commit}:{inside} is larger than {MOST_BYTES / 2**20:g} MiB")
    return data, f"{commit}:{inside}"


def _is_file(name: str) -> bool:
    """Return whether *name* is that of a file: also one of another kind, which says better what it is."""
    return name.lower().endswith((".json", ".jsonl", ".html", ".md", ".csv"))


def _parts(host: Host, name: str) -> tuple[str, str]:
    """Return commit and name of ``REF:NAME``; no commit where none is given.

    Raises:
        BaselineError: for a colon without a commit, a commit where baselines lie in a store, or the URL of one.

    """
    if is_url(name):  # not shown: nobody has looked yet whether it holds a password
        raise BaselineError(
            "--sd-baseline: a URL is no name of a baseline",
            fix="say where baselines lie by -o sd_baselines=URL, and which one by its name: --sd-baseline=main",
        )
    if _is_file(name):
        return "", name
    commit, colon, stored = name.rpartition(":")
    place = host.options.place()
    if colon and is_url(place):
        raise BaselineError(
            f"--sd-baseline={name}: no commit has what lies at {place}",
            why="a store is in no repository",
            fix=f"write --sd-baseline={stored}",
        )
    if colon and not commit:
        raise BaselineError(
            f"--sd-baseline={name} names no commit before its colon",
            why="a variable was empty, perhaps: without a commit the baseline would come from the tree that is gated",
            fix=f"write --sd-baseline=REF:{stored}, or --sd-baseline={stored} for the tree's own",
        )
    return commit, stored


def _no_name(host: Host, commit: str, stored: str, error: RunFileError) -> BaselineError:
    from pytest_sdbatch.storage.baselines import BaselineFolder

    spelled = f"--sd-baseline={commit}{':' if commit else ''}"
    folder = host.config.invocation_params.dir / stored
    if not folder.is_dir():
        return BaselineError(f"{spelled}{stored}: no name of a baseline", why=error.why, fix=error.fix)
    files = sorted(folder.glob("*.json"))
    names = _names(host)
    place = host.baselines
    if isinstance(place, BaselineFolder) and folder.resolve().parent == place.path.resolve() and folder.name in names:
        fix = f"did you mean {spelled}{folder.name}?"
    elif len(files) == 1 and not commit:
        fix = f"did you mean {spelled}{arguments.relative(files[0], host.config.invocation_params.dir)}?"
    else:
        fix = f"name what is stored: {', '.join(names)}" if names else "name a baseline, such as main, or a .json file"
    return BaselineError(f"{spelled}{stored}: a folder, not a name", fix=fix)


def _names(host: Host) -> list[str]:
    return sorted({key.partition("/")[0] for key in host.baselines.stored()})


def _missing(host: Host, name: str, where: str) -> BaselineError:
    if _is_file(name):
        if not name.lower().endswith(".json"):
            fix = "name a baseline, such as main, or a run file, which ends in .json"
            return BaselineError(f"no baseline {where}", why="there is no such file", fix=fix)
        fix = f"record one: sdbatch sweep --processes=5 --sd-report={name} -- {arguments.to_measure(host.config)}"
        return BaselineError(f"no baseline {where}", why="there is no such file", fix=fix)
    stored = _names(host)
    others = f"; stored for some device: {', '.join(stored)}" if stored else ""
    meant = "" if name in stored else did_you_mean(name, stored)
    record = f"record one: sdbatch sweep --processes=5 --sd-save={name} -- {arguments.to_measure(host.config)}"
    return BaselineError(
        f"no baseline {name} of this device",
        why=f"{where} does not exist{others}",
        fix=f"{meant} Else {record}" if meant else record,
    )
