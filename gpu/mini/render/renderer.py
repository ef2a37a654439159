"""Compiles the C source and renders batches of scene vectors to uint8 pictures with a mask."""

import ctypes
import functools
import hashlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpu.mini.render import params
from gpu.mini.untyped import Untyped

_FILES: Final = (
    "shapes.h", "products_care.h", "products_home.h", "products_wear.h", "props.h",
    "scene.h", "air.h", "surface.h", "shade.h", "pixel.h",
)  # fmt: skip
_FAST: Final = (
    "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fassociative-math",
    "-freciprocal-math", "-ffinite-math-only",
)  # fmt: skip
"""-ffast-math, spelt out: with that name gcc also links a start-up that flushes subnormal floats to
zero in the whole process that loads the library."""
_CHUNK: Final = 256  # scenes a launch: a grid's second dimension stays small, progress visible


def source() -> str:
    """The whole C source: vectors, parameter offsets, then the scene files in order."""
    here = Path(__file__).parent
    read = [(here / name).read_text(encoding="utf-8") for name in ("vec.h", *_FILES)]
    at = "FN vec vec_at(const float *P, int i) { return V(P[i], P[i + 1], P[i + 2]); }\n"
    return "\n".join([read[0], params.header(), at, *read[1:]])


def _own_folder() -> Path:
    """A folder that no other user of the machine can put a library into.

    Raises:
        PermissionError: where somebody else has made it before.
    """
    folder = Path(tempfile.gettempdir()) / f"keyreel-render-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder}: must be a folder of your own that nobody else can write")
    return folder


@functools.cache
def _cpu() -> Untyped:
    """The shared library, built once per source text."""
    text = source()
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    library = _own_folder() / f"{name}.so"
    if not library.exists():
        made = library.with_suffix(f".{os.getpid()}")
        flags = ["-O3", "-march=native", *_FAST, "-fopenmp", "-shared", "-fPIC"]
        command = ["gcc", "-x", "c++", *flags, "-", "-o", str(made), "-lm"]
        subprocess.run(command, input=text.encode(), check=True)
        made.rename(library)
    return ctypes.CDLL(str(library))


@functools.cache
def _kernel() -> Untyped:
    import cupy

    options = ("--std=c++14", "--use_fast_math")
    return cupy.RawModule(code=source(), options=options, backend="nvrtc").get_function("render")


def render(scenes: NDArray[np.float32], width: int, height: int, samples: int = 2) -> Untyped:
    """Scenes [B, params.SIZE] -> uint8 [B, 4, height, width] (RGB, product mask) on the CPU.

    ``samples`` is the side of the sample grid in a pixel: 2 means 4 rays.
    """
    scenes = np.ascontiguousarray(scenes, np.float32)
    out = np.empty((len(scenes), 4, height, width), np.uint8)
    where = [a.ctypes.data_as(ctypes.c_void_p) for a in (scenes, out)]
    _cpu().render(*where, len(scenes), width, height, samples)
    return out


def render_cuda(scenes: NDArray[np.float32], width: int, height: int, samples: int = 2) -> Untyped:
    """As `render`, on the GPU: a torch uint8 tensor [B, 4, height, width]."""
    import cupy
    import torch

    given = torch.from_numpy(np.ascontiguousarray(scenes, np.float32)).cuda()
    out = torch.empty((len(given), 4, height, width), dtype=torch.uint8, device="cuda")
    tiles = ((width + 15) // 16) * ((height + 7) // 8)
    with cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream):
        for i in range(0, len(given), _CHUNK):
            n = min(_CHUNK, len(given) - i)
            pointers = [cupy.uintp(t[i : i + n].data_ptr()) for t in (given, out)]
            sizes = [np.int32(v) for v in (n, width, height, samples)]
            _kernel()((tiles, n), (128,), (*pointers, *sizes))
    return out
