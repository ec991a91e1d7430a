"""What the text of a model means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import ModelError
from pytest_sdbatch.pipelines.sources import Folder, HubId, SingleFile, parse


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "org" / "here").mkdir(parents=True)
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "org" / "model.ckpt").touch()


@pytest.mark.parametrize("text", ["org", "org/here", "./org", "~/org", "org/"])
def test_a_folder_that_exists_is_a_folder(text: str) -> None:
    """What lies on disk comes before the hub."""
    assert isinstance(parse(text), Folder)


def test_a_file_that_exists_is_a_file(tmp_path: Path) -> None:
    """By relative and by absolute path."""
    assert parse("model.safetensors") == SingleFile(path=Path("model.safetensors"))
    assert parse(str(tmp_path / "model.safetensors")) == SingleFile(path=tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("text", "repository", "revision"),
    [
        ("stabilityai/sd-turbo", "stabilityai/sd-turbo", None),
        ("org/name@fp16", "org/name", "fp16"),
        ("org/name-1.5@refs/pr/3", "org/name-1.5", "refs/pr/3"),
    ],
)
def test_org_and_name_are_a_hub_id(text: str, repository: str, revision: str | None) -> None:
    """With a branch, tag or commit behind @."""
    assert parse(text) == HubId(repository=repository, revision=revision)


@pytest.mark.parametrize("text", ["sd15", "tiny-sd", "a model", "x@y", ""])
def test_a_plain_word_is_a_name(text: str) -> None:
    """The catalog says whether it knows it."""
    assert parse(text) is None


@pytest.mark.parametrize(
    "text",
    ["./nowhere", "/nowhere/at/all", "C:\\models\\sd", "a/b/c", "org/name@", "nope/..", "~/nope", "/" + "x" * 5000],
)
def test_a_path_that_leads_nowhere_says_so(text: str) -> None:
    """A mistyped path is not looked up on the hub."""
    with pytest.raises(ModelError, match="no such folder"):
        parse(text)


def test_a_missing_file_says_so() -> None:
    """The ending tells what was meant."""
    with pytest.raises(ModelError, match="no such file"):
        parse("org/none.safetensors")


def test_a_pickle_is_no_model() -> None:
    """Files that run code when they are read are refused by their ending."""
    with pytest.raises(ModelError, match=r"is not a \.safetensors file") as error:
        parse("org/model.ckpt")

    assert "run code" in error.value.why


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text ends in another error than ModelError."""
    try:
        source = parse(text)
    except ModelError:
        return
    assert source is None or isinstance(source, Folder | HubId | SingleFile)
