"""URLs of stores as the value of an option: what is refused of them before anybody is asked."""

from __future__ import annotations

import re

from pytest_sdbatch.errors import OptionError

_PROTOCOL = re.compile(r"[a-z][a-z0-9+.-]*")
_PASSWORD = re.compile(r"://.*:.*@", re.DOTALL)  # up to the last @: a user may be a mail address
_THIS_MACHINE = ("file", "local")
_FORMS = "write s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, hf://datasets/OWNER/NAME/FOLDER, or the path of a folder"


def parse_url(text: str, *, option: str) -> str:
    """Return the URL of a store, without slashes at its end.

    Raises:
        OptionError: for a password or a query, which may be a token: the text of an option is shown, and kept in run
            files. For what names no store: several file systems in a row, no bucket, an empty folder, a folder or the
            memory of this machine.

    """
    url = text.strip().rstrip("/")
    protocol, _, rest = url.partition("://")
    if _PASSWORD.search(url) or "?" in url:
        raise OptionError(  # the one message that must not show what was given
            f"{option}: a URL with a password or a query",
            why="it would be shown, and kept in run files",
            fix="leave it out: credentials are taken where the store's own tools take them, from variables or a file",
        )
    if "::" in url or _PROTOCOL.fullmatch(protocol) is None or not rest:
        raise OptionError(f"{option}={text}: no URL of a store", fix=_FORMS)
    if protocol in _THIS_MACHINE:
        raise OptionError(f"{option}={text}: the URL of a folder", fix=f"write its path: {rest}")
    if "" in rest.split("/"):  # which some stores write to, and do not list
        raise OptionError(f"{option}={text}: a URL with no bucket, or an empty folder", fix=_FORMS)
    if protocol == "memory":
        raise OptionError(f"{option}={text}: no store", why="it lasts no longer than this process", fix=_FORMS)
    return url
