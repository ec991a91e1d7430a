"""Files appear whole or not at all, and never over another's: seen with real processes, a real full disk, faults."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.exclusive import check_target, read_whole, write_new

SOURCE = Path(__file__).parents[3] / "src"


def python(program: str, *arguments: object, wrapper: tuple[str, ...] = (), **options: Any) -> subprocess.Popen[str]:
    """Start a fresh interpreter with *program*."""
    head = f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n"
    command = [*wrapper, sys.executable, "-c", head + textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def output_of(process: subprocess.Popen[str]) -> str:
    """Return what *process* printed when it has ended."""
    return process.communicate(timeout=60)[0].strip()


WRITE = """
    from pathlib import Path
    from pytest_sdbatch.errors import RunFileError
    from pytest_sdbatch.storage.exclusive import write_new
    path, size = Path(sys.argv[1]), int(sys.argv[2])
    try:
        write_new(path, b"x" * size)
        print("written")
    except RunFileError as error:
        print(error.why)
"""


def test_a_new_file_holds_the_data(tmp_path: Path) -> None:
    """The content, the usual permissions, and no other file in the folder."""
    before = os.umask(0o022)
    try:
        write_new(tmp_path / "run.json", b"data\n")
    finally:
        os.umask(before)

    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == b"data\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.stat().st_nlink == 1


def test_the_umask_counts(tmp_path: Path) -> None:
    """Whoever keeps files to himself keeps these too."""
    before = os.umask(0o077)
    try:
        write_new(tmp_path / "run.json", b"")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


RACE = """
    import os
    from pathlib import Path
    from pytest_sdbatch.errors import RunFileError
    from pytest_sdbatch.storage import exclusive
    path, me, links = Path(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
    if links == "no":
        def refuse(*arguments):
            raise OSError(1, "no links here")
        os.link = refuse
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        exclusive.write_new(path, me * 2_000_000)
        print("won")
    except RunFileError as error:
        print(error.what)
"""


@pytest.mark.parametrize("links", ["yes", "no"])
def test_of_eight_writers_one_wins(tmp_path: Path, links: str) -> None:
    """Eight processes write one name: one file, whole and of one writer; the others are told; readers see no half."""
    path = tmp_path / "run.json"
    writers = [python(RACE, path, n, links, stdin=subprocess.PIPE) for n in range(8)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    sizes = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            sizes.add(len(path.read_bytes()))
    said = [output_of(writer) for writer in writers]

    assert said.count("won") == 1
    assert [text for text in said if text != "won"] == [f"{path} exists"] * 7
    assert path.read_bytes() == str(said.index("won")).encode() * 2_000_000
    assert sizes <= ({2_000_000} if links == "yes" else {0, 2_000_000})
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_ends_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A process that may write 4096 bytes a file (a real limit, reached in a real write) leaves no file behind."""
    # Nor one of what it imports: Python would keep half of the bytecode, and nobody could import that any more.
    limit = "sys.dont_write_bytecode = True\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    program = f"import resource, sys\n{limit}{textwrap.dedent(WRITE)}"

    said = output_of(python(program, tmp_path / "run.json", 100_000))

    assert said == "the file is larger than this process may write"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """On a file system of 64 KiB: the reason, and the folder as it was."""
    unshare = shutil.which("unshare")
    mount = f"mount -t tmpfs -o size=64k none {tmp_path} &&"
    wrapper = (unshare or "unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if unshare is None or subprocess.run([*wrapper, f"{mount} true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a small file system")
    program = WRITE + f"    print(list(Path({str(tmp_path)!r}).iterdir()))"

    process = python(program, tmp_path / "run.json", 100_000, wrapper=(*wrapper, f'{mount} exec "$@"', "sh"))

    assert output_of(process) == "the disk is full\n[]"


def fail_with(number: int) -> Callable[..., NoReturn]:
    """Return a system call that fails with *number*."""

    def fail(*_arguments: object, **_keywords: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["write", "fsync", "close", "link"])
@pytest.mark.parametrize(("number", "why"), [(errno.ENOSPC, "the disk is full"), (errno.EIO, "Input/output error")])
def test_a_fault_in_any_system_call_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, why: str
) -> None:
    """Wherever the disk fails: RunFileError with the reason, no file of the name and no temporary one."""
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_with(number))
        with pytest.raises(RunFileError, match="cannot be written") as caught:
            write_new(tmp_path / "run.json", b"data")

    assert caught.value.why == why
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while writing cleans up on its way."""

    def interrupt(*_arguments: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_new(tmp_path / "run.json", b"data")

    assert list(tmp_path.iterdir()) == []


def test_data_is_written_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that writes a little at a time gets all of it."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))

    write_new(tmp_path / "run.json", bytes(range(256)))

    assert (tmp_path / "run.json").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_file_systems_without_links_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Where no hard link can be made the file appears all the same, and never over another's."""
    monkeypatch.setattr(os, "link", fail_with(number))
    path = tmp_path / "run.json"

    write_new(path, b"first")
    monkeypatch.setattr("pytest_sdbatch.storage.exclusive.check_target", lambda *_a, **_k: None)
    with pytest.raises(RunFileError, match="exists"):
        write_new(path, b"second")

    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_without_links_a_failed_replacement_gives_the_name_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The empty file that claimed the name goes away with the rest."""
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    monkeypatch.setattr(Path, "replace", fail_with(errno.EIO))

    with pytest.raises(RunFileError, match="Input/output error"):
        write_new(tmp_path / "run.json", b"data")

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def targets(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Paths that must not be written."""
    (tmp_path / "taken.json").write_text("theirs")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "taken.json")
    (tmp_path / "dangling.json").symlink_to(tmp_path / "nowhere.json")
    yield {
        "exists": tmp_path / "taken.json",
        "it is a folder": tmp_path / "folder.json",
        "it is a symbolic link": tmp_path / "link.json",
        "symbolic link": tmp_path / "dangling.json",
        "does not exist": tmp_path / "none" / "run.json",
        "is no folder|a part of the path is no folder": tmp_path / "taken.json" / "run.json",
        "only .json run files are written": tmp_path / "run.csv",
        "only .json": tmp_path / "run",
        "only .json run": tmp_path / ".json",
        "only": Path(),
        "control characters": tmp_path / "a\nb.json",
        "control": tmp_path / "a\0b.json",
        "the name is too long": tmp_path / f"{'x' * 300}.json",
    }
    assert (tmp_path / "taken.json").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 4


def test_bad_targets_are_refused_before_and_while_writing(targets: dict[str, Path]) -> None:
    """What check_target refuses before a run, write_new refuses after it, with the same words."""
    for message, path in targets.items():
        for refuse in (check_target, lambda path: write_new(path, b"ours")):
            with pytest.raises(RunFileError, match=message):
                refuse(path)


def test_a_good_target_passes(tmp_path: Path) -> None:
    """The control: a new name in a folder, in any letter case, and nothing is made by checking."""
    check_target(tmp_path / "run.json")
    check_target(tmp_path / "RUN.JSON")
    check_target(tmp_path / "a" / "b" / "run.json", create_parents=True)

    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_where_asked(tmp_path: Path) -> None:
    """A baseline's folder is made with it; a file in its place is refused."""
    write_new(tmp_path / "a" / "b" / "run.json", b"data", create_parents=True)
    (tmp_path / "file").touch()

    assert (tmp_path / "a" / "b" / "run.json").read_bytes() == b"data"
    with pytest.raises(RunFileError, match="no folder"):
        check_target(tmp_path / "file" / "b" / "run.json", create_parents=True)


CHECK = """
    import os
    from pathlib import Path
    from pytest_sdbatch.errors import RunFileError
    from pytest_sdbatch.storage.exclusive import check_target
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        check_target(Path(sys.argv[1]))
        print("fine")
    except RunFileError as error:
        print(error.why)
"""


def test_an_unwritable_folder_is_refused() -> None:
    """A folder that this user may not write: said before the run, and as nobody, since root may write anywhere."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o555)
        assert output_of(python(CHECK, folder / "run.json")) == f"the folder {folder} is not writable"
        folder.chmod(0o777)
        assert output_of(python(CHECK, folder / "run.json")) == "fine"
    finally:
        shutil.rmtree(folder)


def test_an_error_says_what_why_and_what_to_do(tmp_path: Path) -> None:
    """The message of a taken name in full."""
    (tmp_path / "run.json").touch()

    with pytest.raises(RunFileError) as caught:
        check_target(tmp_path / "run.json")

    assert re.fullmatch(
        r".*run\.json exists\n  why: a run file is never written over\n  do:  choose another name, or move it",
        str(caught.value),
    )


def test_an_unreadable_file_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system says on opening becomes a RunFileError with its words."""
    monkeypatch.setattr(os, "open", fail_with(errno.EACCES))

    with pytest.raises(RunFileError, match="Permission denied"):
        read_whole(tmp_path / "run.json", most_bytes=10)
