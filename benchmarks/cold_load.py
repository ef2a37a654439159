"""How fast weights reach a card: from local safetensors, and back from parking in main memory.

A network of full size and random weights is written to disk, then read in turns: its bytes alone,
by the same threads into the same locked memory, which is as fast as this machine gives them; our
load of the whole network; and the ways that were left. Once out of the page cache, and once with
the file put out of it. `--cast` does the same with a file in float32, which is twice as large.

    python -m benchmarks.cold_load [--architecture z-image-turbo] [--folder /tmp] [--cast]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from benchmarks.figures import Figure, at_least, write
from benchmarks.random_weights import fill
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.checkpoint.network import Network, blank, network
from gpu.checkpoint.stream import Span, stream
from gpu.checkpoint.tensors import open_tensors
from gpu.device import GB, detect
from gpu.folder import quiet, read_header, read_json
from gpu.locked import Locked
from gpu.parking import Parked

SLICE = 256 << 20
"""Bytes of a raw read that one tensor takes."""
LEAST = 0.8
"""Of the raw read's speed."""

OTHERS = {
    "plain": "read by one thread",
    "mapped": "mapped, tensor by tensor",
    "straight": "safetensors onto the card",
}


class Case:
    """One component of an architecture, and its file."""

    def __init__(self, architecture: str, component: str, folder: Path) -> None:
        self.room = ARCHITECTURES / architecture
        self.component = component
        self.library, self.kind = read_json(self.room / "model_index.json")[component]  # type: ignore[misc]
        self.path = folder / f"{component}.safetensors"

    @property
    def config(self) -> dict[str, Any]:
        """Of the network."""
        return read_json(self.room / self.component / "config.json")

    def save(self, dtype: torch.dtype, device: str) -> int:
        """Write random weights; returns the file's bytes."""
        module = fill(blank(self.library, self.kind, self.config), dtype, device)
        save_file({name: one.cpu() for name, one in module.state_dict().items()}, self.path)
        os.sync()
        return self.path.stat().st_size

    def build(self, _device: str = "") -> Network:
        """Do what comes before the weights: header, module without memory, every key's place."""
        return network(open_tensors(self.path), self.library, self.kind, self.config)

    def load(self, device: str) -> torch.nn.Module:
        """Load the network as a pipeline's loading does."""
        return self.build().fill(dtype=torch.bfloat16, device=device, keep_packed=False)

    def read(self, device: str) -> list[torch.Tensor]:
        """Read the file's bytes onto the card and nothing else."""
        _, begin = read_header(self.path)
        end = self.path.stat().st_size
        cuts = [(at, min(at + SLICE, end)) for at in range(begin, end, SLICE)]
        spans = [Span(torch.uint8, (to - at,), at, to) for at, to in cuts]
        return list(stream(self.path, spans, device))

    def plain(self, device: str) -> torch.Tensor:
        """Read with one thread into one locked buffer, as the simplest program would."""
        out = torch.empty(SLICE, dtype=torch.uint8, device=device)
        with self.path.open("rb", buffering=0) as file, Locked(SLICE) as memory:
            view = memoryview(memory.bytes.numpy())
            while got := file.readinto(view):
                out[:got].copy_(memory.bytes[:got])
        return out

    def mapped(self, device: str) -> list[torch.Tensor]:
        """Map the file, and copy tensor by tensor: what this replaced."""
        with safe_open(self.path, framework="pt") as file:
            return [file.get_tensor(name).to(device) for name in file.offset_keys()]

    def straight(self, device: str) -> list[torch.Tensor]:
        """Let safetensors put each tensor onto the card itself."""
        with safe_open(self.path, framework="pt", device=device) as file:
            return [file.get_tensor(name) for name in file.offset_keys()]


def put_out(path: Path) -> None:
    """Let the kernel forget a file's pages; a host below this machine may keep its own."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached_gb() -> float:
    """Return what the page cache holds."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Cached:")) * 1024 / GB


def seconds(work: Callable[[str], object], device: str) -> float:
    """Return how long `work` takes until the card has all of it, whose memory is free again."""
    started = time.perf_counter()
    made = work(device)
    finish(device)
    took = time.perf_counter() - started
    del made
    if device == "cuda":
        torch.cuda.empty_cache()
    return took


def finish(device: str) -> None:
    """Wait for the card."""
    if device == "cuda":
        torch.cuda.synchronize()


def rates(case: Case, size: int, device: str, cold: bool, times: int) -> Iterator[Figure]:
    """Yield the speed of each way, the best of a few times, and the bar of ours."""
    state = "page cache dropped" if cold else "page cache"
    best: dict[str, float] = {}
    others = () if cold else tuple(OTHERS)  # a disk makes them all alike
    for way in (*others, *("raw", "ours") * times):  # in turns: disks tire
        work = {"raw": case.read, "ours": case.load}.get(way) or getattr(case, way)
        if cold:
            put_out(case.path)
        before = cached_gb()
        took = seconds(work, device)
        best[way] = min(best.get(way, took), took)
        speed = f"{took:.2f} s, {size / took / GB:.2f} GB/s"
        print(f"{state} ({before:.1f} GB cached): {way} {speed}", flush=True)
    built = min(seconds(case.build, device) for _ in range(times))
    name = f"{case.kind}, {size / GB:.1f} GB, {state}"
    yield Figure(f"{name}: raw read", size / best["raw"] / GB, "GB/s")
    yield at_least(
        f"{name}: our load", best["raw"] / best["ours"], "of the raw read", LEAST,
        f"{size / best['ours'] / GB:.2f} GB/s, {best['ours']:.2f} s; the module is built in "
        f"{built:.2f} s of it",
    )  # fmt: skip
    for way in others:
        yield Figure(f"{name}: {OTHERS[way]}", size / best[way] / GB, "GB/s")


def parking(case: Case, device: str) -> Iterator[Figure]:
    """Yield the seconds of putting a network out, of its return, and of putting it out again."""
    from types import SimpleNamespace

    pipe: Any = SimpleNamespace(components={case.component: case.load(device)})
    place: list[Parked] = []
    first = seconds(lambda _: place.append(Parked(pipe)), "cpu")
    put = seconds(lambda _: place[0].put(), device)
    back = seconds(place[0].bring, device)
    name, size = f"{case.kind}, {place[0].bytes / GB:.1f} GB", place[0].bytes / GB
    locked = "locked" if place[0]._memory.locked else "not locked"
    yield Figure(f"{name}: memory to park in, once", first, "s", note=locked)
    yield Figure(f"{name}: put out", put, "s", note=f"{size / put:.1f} GB/s")
    yield Figure(f"{name}: back from parking", back, "s", note=f"{size / back:.1f} GB/s")
    place[0].close()


def main() -> None:
    """Measure, and write `results/cold_load.json` where a card did it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--architecture", default="z-image-turbo")
    parser.add_argument("--component", default="transformer")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--cast", action="store_true", help="a file in float32, too")
    parser.add_argument("--times", type=int, default=3)
    words = parser.parse_args()
    device = detect().kind
    figures: list[Figure] = []
    with quiet(), tempfile.TemporaryDirectory(dir=words.folder) as folder:
        case = Case(words.architecture, words.component, Path(folder))
        for dtype in (torch.bfloat16, torch.float32) if words.cast else (torch.bfloat16,):
            started = time.perf_counter()
            size = case.save(dtype, device)
            took = time.perf_counter() - started
            print(f"{size / GB:.1f} GB written in {took:.1f} s", flush=True)
            figures += rates(case, size, device, cold=False, times=words.times)
            figures += rates(case, size, device, cold=True, times=2)
            if dtype == torch.bfloat16:
                figures += parking(case, device)
    if device == "cuda":
        write("cold_load", figures, device=torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
