"""The store: assets named by their bytes, node records named by their key.

A node record alone means done. It is written last, to a temporary name, fsynced and renamed.
"""

from __future__ import annotations

from pathlib import Path


class Store:
    """Placeholder of the contract; see catalogs/node.py for keys."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def output(self, key: str, port: str) -> Path:
        """Return the asset that the node `key` gave at `port`."""
        raise KeyError(key, port)
