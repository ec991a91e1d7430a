"""A headless Chromium, driven by the DevTools protocol over a pipe: no port, no driver, no package."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio", "--hide-scrollbars",
    "--force-device-scale-factor=1", "--remote-debugging-pipe",
)  # fmt: skip
# The browser reads from its descriptor 3 and writes to 4, whatever numbers the pipes have here.
_AS_3_AND_4 = """
import fcntl, os, sys
copies = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for copy, number in zip(copies, (3, 4)):
    os.dup2(copy, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
_DRAWN = """new Promise((done) => {
  const look = () => document.documentElement.dataset.drawn ? done(performance.now()) : setTimeout(look, 5);
  look();
})"""
_PATIENCE_S = 60.0  # a machine that others use, too


def find_browser() -> str | None:
    """Return the program, or None where there is none; ``SDBATCH_BROWSER`` names another one."""
    if os.name != "posix":  # pipes have numbers there alone
        return None
    named = os.environ.get("SDBATCH_BROWSER")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One process of the browser."""

    def __init__(self, program: str, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()  # what we say, what it says
        rights = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        starter = [sys.executable, "-S", "-c", _AS_3_AND_4, str(ours[0]), str(theirs[1])]
        self._process = subprocess.Popen(
            [*starter, program, *_FLAGS, *rights, f"--user-data-dir={profile}"],
            pass_fds=(ours[0], theirs[1]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self._out, self._in = os.fdopen(ours[1], "wb", buffering=0), theirs[0]
        os.set_blocking(self._in, False)
        self._read, self._number = b"", 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Return what the browser answers to a command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, method: str, session: str) -> dict[str, Any]:
        """Return the next event of this kind that was not taken yet."""
        while True:
            for at, event in enumerate(self.events):
                if event.get("method") == method and event.get("sessionId") == session:
                    return self.events.pop(at)
            self.events.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._read:
            with contextlib.suppress(BlockingIOError):
                part = os.read(self._in, 2**20)
                if not part:
                    raise RuntimeError(f"the browser ended with status {self._process.wait()}")
                self._read += part
                continue
            if time.monotonic() > until:
                raise TimeoutError("the browser does not answer")
            time.sleep(0.005)
        message, _, self._read = self._read.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(Exception):
            self.call("Browser.close")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        self._out.close()
        os.close(self._in)


class Tab:
    """One page in the browser, and all that it logged or asked for."""

    def __init__(self, browser: Browser, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.look(width=width, height=height, dark=dark)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return what the page answers to a command."""
        return self._browser.call(method, session=self._session, **parameters)

    def look(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Set the size of the window and the colours that its user prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path) -> float:
        """Open a page of ours and return the seconds from asking for it until its script had drawn all."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self._browser.wait_for("Page.loadEventFired", self._session)
        return float(self.run(_DRAWN)) / 1000

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def becomes(self, script: str, value: Any) -> bool:
        """Return whether a JavaScript expression has this value soon."""
        until = time.monotonic() + _PATIENCE_S
        while self.run(script) != value and time.monotonic() < until:
            time.sleep(0.02)
        return bool(self.run(script) == value)

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "End": 35}[key]
        text: Mapping[str, str] = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        shared = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **shared, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def screenshot(self, path: Path, *, whole: bool = False, top: float = 0, height: float | None = None) -> None:
        """Write a picture of what is seen, or of the whole page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        found: dict[str, Any] = {"format": "png"}
        if whole or height is not None:
            tall = size["height"] - top if height is None else height
            found["clip"] = {"x": 0, "y": top, "width": size["width"], "height": tall, "scale": 1}
            found["captureBeyondViewport"] = True
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", **found)["data"]))

    def complaints(self) -> list[str]:
        """Return all that was written to the console: errors, warnings, what a policy forbade."""
        self.run("1")  # so that all events before it have come
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [json.dumps(event["params"])[:500] for event in self._events() if event["method"] in kinds]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for, but for the page's own file and data within it."""
        self.run("1")
        asked = [e["params"]["request"]["url"] for e in self._events() if e["method"] == "Network.requestWillBeSent"]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def _events(self) -> list[dict[str, Any]]:
        return [event for event in self._browser.events if event.get("sessionId") == self._session]

    def close(self) -> None:
        """Close the page."""
        self._browser.call("Target.closeTarget", targetId=self._target)
