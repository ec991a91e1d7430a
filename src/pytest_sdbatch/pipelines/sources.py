"""What the text of a model means: a folder, a file, a hub id, or a name of the catalog."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pytest_sdbatch.errors import ModelError

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_HUB_ID = re.compile(rf"({_PART}/{_PART})(?:@([A-Za-z0-9_][A-Za-z0-9._/-]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that ``save_pretrained`` made, or should have."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleFile:
    """A ``.safetensors`` file with a whole checkpoint."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HubId:
    """A repository of the Hugging Face hub."""

    repository: str  # org/name
    revision: str | None  # branch, tag or commit; None: the default branch


Source = Folder | SingleFile | HubId


def parse(text: str) -> Source | None:
    """Return the source that *text* names, or None where it can only be a name of the catalog.

    What lies on disk comes first, so a folder ``org/name`` is not looked up on the hub.

    Raises:
        ModelError: for a path that does not exist or is neither a folder nor a ``.safetensors`` file.

    """
    looks_like_path = text.startswith((".", "~", "/")) or "\\" in text or text.endswith(".safetensors")
    # os.path, not Path: it answers for an unknown ~user and for names that no file system takes, where Path raises.
    expanded = os.path.expanduser(text)  # noqa: PTH111
    if os.path.isdir(expanded):  # noqa: PTH112
        return Folder(path=Path(expanded))
    if os.path.isfile(expanded) and (looks_like_path or "/" in text):  # noqa: PTH113
        return _file(Path(expanded), text)
    if not looks_like_path and (match := _HUB_ID.fullmatch(text)):
        return HubId(repository=match[1], revision=match[2])
    if looks_like_path or "/" in text:
        what = "file" if text.endswith(".safetensors") else "folder"
        raise ModelError(f"model {text!r}: no such {what}", fix=f"check the path; the current folder is {Path.cwd()}")
    return None


def _file(path: Path, text: str) -> SingleFile:
    if path.suffix != ".safetensors":
        raise ModelError(
            f"model {text!r} is not a .safetensors file",
            why="other checkpoint files are pickles, which run code when they are read",
            fix="convert it, or save the pipeline as a folder: pipeline.save_pretrained(FOLDER)",
        )
    return SingleFile(path=path)
