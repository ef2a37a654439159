"""The durable invisible mark of stills: forty bits in the pixels that outlive their metadata."""

from typing import Final

LEAST: Final = 192
"""Pixels a side: smaller pictures hold fewer pixels than the mark needs."""
