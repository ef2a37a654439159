"""Renders product scenes as signed distance fields; knows nothing of words or models.

One C source serves both machines: NVRTC compiles it on a GPU, gcc on a CPU (tests, previews).
"""

from gpu.mini.render.renderer import render

__all__ = ["render"]
