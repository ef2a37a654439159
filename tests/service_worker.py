"""A worker whose work is words: what it does is written down, so that tests can count it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from configs.errors import Interrupted, Rejected


class Words:
    """Does what its body says: `seconds` of steps, `fail`, `die` once, `bug`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loaded = folder, ""

    def prepare(self):
        if (self.folder / "broken").exists():
            raise ImportError("no such library")

    def work(self, body, told):
        name = str(body["name"])
        with (self.folder / "done").open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        if body.get("fail"):
            raise Rejected("the picture is black")
        if body.get("bug"):
            raise ZeroDivisionError("by zero")
        if body.get("die") and self._times(name) <= int(body["die"]):
            os._exit(9)
        self.loaded = str(body.get("needs", ""))
        steps = round(float(body.get("seconds", 0)) / 0.02)
        for step in range(steps):
            time.sleep(0.02)
            told.say({"done": step + 1, "total": steps})
            if told.cancelled():
                raise Interrupted("stopped")
        return {"name": name, "pid": os.getpid()}

    def _times(self, name: str) -> int:
        return (self.folder / "done").read_text("utf-8").split().count(name)

    def holds(self, needs):
        return needs == self.loaded

    def status(self):
        return {"loaded": self.loaded}


def open_words(folder: str) -> Words:
    return Words(Path(folder))
