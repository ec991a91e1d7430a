"""A side's environment: what the caller has installed, without the project, and an install of the side's own code."""

from __future__ import annotations

import os
import re
import site
import sysconfig
import tempfile
import time
import tomllib
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.commands.ab.repository import without_hook
from pytest_sdbatch.commands.children import run_child

MARKS = ("pyproject.toml", "setup.py", "setup.cfg")  # the root of a project has one
GRACE_S = 10.0  # for a process whose time is over
LINES_SHOWN = 15  # of the output of a process that failed
# Nothing is downloaded; the project that the caller has installed is left alone; no setting of the caller's pip counts.
_INSTALL = ("-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-deps",
            "--no-build-isolation", "--no-index", "--ignore-installed")  # fmt: skip
_IMPORTED = re.compile(r"import\s+([\w.]+)")


def shared_folders() -> tuple[Path, ...]:
    """Return the folders that hold what the caller has installed."""
    listed = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return tuple(dict.fromkeys(Path(folder).resolve() for folder in listed if Path(folder).is_dir()))


def shared_lines(folders: Sequence[Path], project: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield ``.pth`` files, by name, that make a new environment see what lies in *folders*.

    These folders, and what their own ``.pth`` files add, which Python reads only in an environment's own folder. Left
    out is what leads to *project*: an editable install of the candidate would else be imported on both sides, be it a
    path or an import hook.
    """
    yield "sdbatch-0.pth", [str(folder) for folder in folders]
    files = [file for folder in folders for file in sorted(folder.glob("*.pth"))]
    for number, file in enumerate(files, start=1):
        # One for each: a line that fails ends the reading of its file.
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        kept = [found for line in lines if (found := _shared_line(line, file.parent, folders, project)) is not None]
        if kept:
            yield f"sdbatch-{number:04}-{file.name}", kept


def _shared_line(line: str, folder: Path, folders: Sequence[Path], project: Path) -> str | None:
    """Return what *line* of a ``.pth`` file in *folder* is elsewhere; None where it says nothing or is left out."""
    if line.startswith(("import ", "import\t")):
        return None if _mentions(line, folder, project) else line
    if not line.strip() or line.startswith("#"):
        return None
    path = (folder / line.strip()).resolve()
    within = path.is_relative_to(project) and not any(map(path.is_relative_to, folders))
    return str(path) if path.exists() and not within else None


def _mentions(line: str, folder: Path, project: Path) -> bool:
    """Return whether a line of a ``.pth`` file, or a module beside it that the line imports, names *project*."""
    texts = [line]
    for module in _IMPORTED.findall(line):
        file = folder / f"{module.replace('.', '/')}.py"
        if file.is_file():
            texts.append(file.read_text(encoding="utf-8", errors="replace"))
    spelled = (str(project), str(project).replace("\\", "\\\\"), project.as_posix())
    # Whole: a neighbour's name may begin with the project's.
    named = re.compile("|".join(rf"{re.escape(name)}(?![\w.-])" for name in spelled))
    return any(named.search(text) for text in texts)


def make_environment(folder: Path, *, project: Path) -> Path:
    """Make an environment without the *project* of the caller in *folder* and return its Python."""
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt").create(folder)
    for name, lines in shared_lines(shared_folders(), project):
        (own_folder(folder) / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    if os.name == "posix":  # else the `pip` of a --setup is the caller's, which installs a side into the caller's own
        for name in ("pip", "pip3"):
            (_scripts(folder) / name).write_text(
                '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n', encoding="utf-8"
            )
            (_scripts(folder) / name).chmod(0o755)
    return _scripts(folder) / ("python.exe" if os.name == "nt" else "python")


def own_folder(environment: Path) -> Path:
    """Return the folder of an environment in which a project is installed."""
    scheme = "nt" if os.name == "nt" else "posix_prefix"
    return Path(sysconfig.get_path("purelib", scheme, {"base": str(environment), "platbase": str(environment)}))


def _scripts(environment: Path) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin")


def variables_for(environment: Path, first: Sequence[Path], kept: Sequence[Path]) -> dict[str, str]:
    """Return the variables of a process in *environment* that looks for modules in *first*, then in *kept*."""
    variables = without_hook(dict(os.environ))
    variables.pop("PYTHONHOME", None)
    variables["VIRTUAL_ENV"] = str(environment)
    variables["PATH"] = os.pathsep.join([str(_scripts(environment)), variables.get("PATH", os.defpath)])
    variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(str(path) for path in (*first, *kept)))
    return variables


def install(python: Path, tree: Path, variables: Mapping[str, str], *, until_s: float | None = None) -> str | None:
    """Install the project in *tree* into the environment of *python*; return None, or why that cannot be done.

    Raises:
        KeyboardInterrupt: if this process was told to stop meanwhile.
    """
    if not _can_be_installed(tree):
        return "it says nowhere how to build it"
    status, output = _run([str(python), *_INSTALL, str(tree)], tree, variables, until_s)
    if status == 0:
        return None
    if status is None:
        return "pip did not end in time"
    said = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in said if "Error" in line or line.lower().startswith("error")] or said
    return telling[0] if telling else f"pip ended with {status}"


def _run(
    command: Sequence[str] | str, folder: Path, variables: Mapping[str, str], until_s: float | None
) -> tuple[int | None, str]:
    """Run *command* in *folder* and return its exit status, None where its time was over, and what it printed."""
    with tempfile.TemporaryFile() as output:
        status, stopped = run_child(
            command, env=variables, cwd=folder, output=cast("BinaryIO", output), until_s=until_s, grace_s=GRACE_S
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    if stopped and (until_s is None or time.monotonic() < until_s):
        raise KeyboardInterrupt
    return (None if stopped else status), said


def _can_be_installed(tree: Path) -> bool:
    if (tree / "setup.py").is_file():
        return True
    try:
        table = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False
    return "project" in table or "build-system" in table


def set_up(command: str, tree: Path, variables: Mapping[str, str], *, side: str, until_s: float | None = None) -> None:
    """Run the user's *command* in *tree*.

    Raises:
        NoComparison: with the last lines of its output, if it fails, or has not ended by *until_s*.
        KeyboardInterrupt: if this process was told to stop meanwhile.
    """
    status, output = _run(command, tree, variables, until_s)
    if status != 0:
        how = "did not end within --minutes" if status is None else "failed"
        number = "" if status is None else f" (exit status {status})"
        raise NoComparison(
            f"--setup {how} for the {side}{number}: {command}",
            why=last_lines(output),
            fix=f"it runs in a checkout of the {side}, with the Python of its environment first on PATH",
        )


def last_lines(output: str) -> str:
    """Return the last lines of *output*, indented below a first one."""
    lines = [line for line in output.splitlines() if line.strip()][-LINES_SHOWN:]
    return "\n".join(["it printed last:", *(f"    {line}" for line in lines)])


def source_folders(tree: Path) -> tuple[Path, ...]:
    """Return where the modules of a project lie that is not installed."""
    return tuple(folder for folder in (tree / "src", tree) if folder.is_dir())


def is_installed(environment: Path) -> bool:
    """Return whether something was installed into *environment*."""
    return any(own_folder(environment).glob("*.dist-info")) or any(own_folder(environment).glob("*.egg-link"))
