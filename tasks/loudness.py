"""How loud a sound is, and the gain that brings it to a target (EBU R 128, ITU-R BS.1770)."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tasks import ffmpeg

SILENCE = -60.0
"""LUFS; below, a file is silent and no gain makes it heard. The gate of BS.1770 is at -70."""

MOST_GAIN = 30.0
"""dB: more would lift a file's noise."""

_INTEGRATED = re.compile(r"lavfi\.r128\.I=(-?[0-9.]+)")


def measure(path: Path) -> float:
    """Return the integrated loudness of a sound file in LUFS; -70 is silence."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        meter = f"ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file={told}"
        ffmpeg.run(["-i", str(path), "-af", meter, "-f", "null", "-"])
        found = _INTEGRATED.findall(told.read_text())
    return float(found[-1]) if found else -70.0


def gain_to(target: float, loudness: float) -> float:
    """Return the gain in dB from one loudness to another; none for silence."""
    return 0.0 if loudness < SILENCE else min(MOST_GAIN, target - loudness)
