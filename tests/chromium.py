"""Debian's chromium, driven through its debugging pipe: open a page, click, ask, take a picture.

Knows nothing of keyreel. JSON messages end with a zero byte, on file descriptors 3 and 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

BROWSER = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--mute-audio",
    "--remote-debugging-pipe",
]


class Chromium:
    """One browser with one page; leave it with `with`."""

    def __init__(self, *, language: str = "en-GB"):
        self.profile = tempfile.mkdtemp(prefix="chromium-")
        theirs_in, self.to = os.pipe()
        self.back, theirs_out = os.pipe()
        # The browser reads descriptor 3 and writes 4: the shell moves ours there.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        arguments = [*QUIET, f"--lang={language}", f"--user-data-dir={self.profile}"]
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", BROWSER, *arguments],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LANGUAGE": language},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.number, self.buffer, self.session = 0, b"", None
        self.complaints: list[str] = []
        """What the console said: script errors, refused loads, policy violations."""
        self.requests: list[str] = []

    def __enter__(self) -> Chromium:
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = found["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        os.close(self.to)
        os.close(self.back)
        shutil.rmtree(self.profile, ignore_errors=True)

    def ask(self, method: str, **params):
        """Send one command and return its answer."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next(20)
            if found.get("id") == self.number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]

    def _next(self, seconds: float) -> dict:
        while b"\0" not in self.buffer:
            if not select.select([self.back], [], [], seconds)[0]:
                raise TimeoutError("chromium said nothing")
            self.buffer += os.read(self.back, 1 << 20)
        line, self.buffer = self.buffer.split(b"\0", 1)
        found = json.loads(line)
        params = found.get("params", {})
        match found.get("method"):
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
        return found

    def open(
        self, page: Path | str, view: str = "", *, width: int = 1440, dark: bool = False
    ) -> None:
        """Open a file or an address at a window width in pixels, with what stands after `#`."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url="about:blank")
        address = page if isinstance(page, str) else page.as_uri()
        self.ask("Page.navigate", url=address + (f"#{view}" if view else ""))
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str):
        """Return what a JavaScript expression gives."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = 10) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                said = self.value("document.body.innerText") or ""
                raise TimeoutError(f"never true: {expression}\n{self.complaints}\n{said[-2000:]}")
            time.sleep(0.05)

    def insist(self, press: Callable[[], object], expression: str, tries: int = 3) -> None:
        """Press until an expression holds: Prefect answers 503 while SQLite is locked."""
        for left in reversed(range(tries)):
            press()
            try:
                return self.until(expression, 30)
            except TimeoutError as error:
                print(error)
                if not left:
                    raise

    def click(self, selector: str) -> None:
        """Press the left button in the middle of the first element that matches."""
        box = self._at_rest(f"document.querySelector({json.dumps(selector)})")
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def _at_rest(self, element: str) -> dict[str, float]:
        """Scroll an element into view; return its box once pictures above push it no more."""
        self.until("document.readyState === 'complete'", 30)
        box = None
        for _ in range(100):
            self.value(f"{element}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
            before, box = box, self.value(f"{element}.getBoundingClientRect().toJSON()")
            if box == before:
                return box
            time.sleep(0.1)
        raise TimeoutError(f"never at rest: {element}")

    def picture(self, target: Path, *, whole: bool = True) -> Path:
        """Write a PNG of the page."""
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        target.write_bytes(base64.b64decode(found["data"]))
        return target
