"""URLs of stores as the value of an option."""

from __future__ import annotations

import pytest

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.urls import parse_url


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/baselines",
        "gs://bucket",
        "hf://datasets/owner/name@main/folder",
        "abfs://container@account.dfs.core.windows.net/folder",
        "sftp://user@host/folder",
    ],
)
def test_the_url_of_a_store_is_taken_as_it_is(text: str) -> None:
    """A user, a container or a revision before or behind an @ is no secret; slashes at the end say nothing."""
    assert parse_url(text, option="sd_baselines") == text
    assert parse_url(f" {text}// ", option="sd_baselines") == text


@pytest.mark.parametrize(
    "text",
    [
        "ftp://user:hunter2@host/folder",
        "ftp://user:hunter2/more@host/folder",
        "ftp://me@company.com:hunter2@host/folder",
        "ftp://me:hunter2\n@host/folder",
        "s3://key:hunter2@bucket",
        "https://host/folder?sig=hunter2",
        "abfs://container/folder?hunter2",
        "simplecache::ftp://user:hunter2@host",
    ],
)
def test_what_may_be_a_secret_is_refused_and_not_repeated(text: str) -> None:
    """The text of an option would be shown, and kept in run files; the error says where credentials belong."""
    with pytest.raises(OptionError, match="a password or a query") as caught:
        parse_url(text, option="sd_baselines")

    assert "hunter2" not in str(caught.value)
    assert "credentials" in caught.value.fix


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        ("s3://", "no URL of a store", "write s3://BUCKET/FOLDER"),
        ("://bucket", "no URL of a store", "write s3://BUCKET/FOLDER"),
        ("S3://bucket", "no URL of a store", "write s3://BUCKET/FOLDER"),
        ("simplecache::s3://bucket", "no URL of a store", "write s3://BUCKET/FOLDER"),
        ("s3:///folder", "no bucket, or an empty folder", "write s3://BUCKET/FOLDER"),
        ("s3://bucket//folder", "no bucket, or an empty folder", "write s3://BUCKET/FOLDER"),
        ("file:///srv/baselines", "the URL of a folder", "write its path: /srv/baselines"),
        ("local://baselines", "the URL of a folder", "write its path: baselines"),
        ("memory://baselines", "no store", "write s3://BUCKET/FOLDER"),
    ],
)
def test_what_is_no_store_is_refused_with_what_is_one(text: str, said: str, fix: str) -> None:
    """A cache shows what was there yesterday, a folder of this machine has a path, and its memory forgets."""
    with pytest.raises(OptionError, match=said) as caught:
        parse_url(text, option="sd_baselines")

    assert text in caught.value.what
    assert caught.value.fix.startswith(fix)
