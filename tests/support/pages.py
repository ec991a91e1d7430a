"""Pages taken apart: their elements, and the data that their script draws."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any


class Reader(HTMLParser):
    """Takes note of elements and of attributes that run or load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        """Take note of what a script or a style holds."""
        if self.tags and self.tags[-1] in self.raw and self.get_starttag_text():
            self.raw[self.tags[-1]].append(data)


def data_of(text: str) -> dict[str, Any]:
    """Return the data of a page."""
    found = re.search(r'<script type="application/(json|gzip)" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    raw = found[2] if found[1] == "json" else gzip.decompress(base64.b64decode(found[2])).decode()
    data: dict[str, Any] = json.loads(raw)
    return data
