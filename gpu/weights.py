"""The cache of loaded weights: each model is loaded once, and leased for one piece of work.

`WeightsSpec` is the recipe, a lease is the right to the live pipeline. Knows nothing of pictures.

    with shared(budget_gb=4).lease(spec) as pipe:
        pipe(prompt=...)
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from configs.model import Turbo
from gpu import fit as fits
from gpu import folder
from gpu.checkpoint import assemble
from gpu.checkpoint.assemble import Files
from gpu.device import GB, LOADING, use_allowed_cores
from gpu.fit import ROOMY, Fallback, Fit
from gpu.parking import Parking

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from gpu.embeddings import Embeddings

BYTES = {"bfloat16": 2, "float32": 4}

Key = tuple[str, str, str, Fit, Turbo | None, str]
"""Fingerprint, pipeline, number format, fit, way of few steps, device."""

_LOADING = threading.Lock()
"""One load at a time: while modules are built without memory, accelerate patches torch itself for
all threads, and two at once would leave it patched. Loading is the disk's work anyway."""


@dataclass(frozen=True, slots=True)
class WeightsSpec:
    """A recipe for loaded weights; two with equal `key` share them."""

    folder: Path
    pipeline: str
    """Class of diffusers, e.g. `ZImagePipeline`."""
    fingerprint: str
    """Hash of the weight files: a changed file is another model."""
    dtype: str
    device: str
    files: Files | None = None
    """The networks' weights, where they are single files."""
    fit: Fit = ROOMY

    @property
    def key(self) -> Key:
        """What the cache tells weights apart by."""
        turbo = self.files.turbo if self.files else None
        return self.fingerprint, self.pipeline, self.dtype, self.fit, turbo, self.device


@dataclass(frozen=True, slots=True)
class Stats:
    """What the cache has done since it began."""

    loads: int = 0
    hits: int = 0
    """Leases of weights that were there already."""
    waits: int = 0
    """Leases that waited for another thread's load."""
    evictions: int = 0
    returns: int = 0
    """Leases for which parked weights came back onto the card."""
    seconds: float = 0.0
    """Spent loading."""
    bytes: int = 0
    """Held now."""
    parked: int = 0
    """Bytes of main memory kept for weights that are put out."""


@dataclass(slots=True)
class _Loaded:
    """Live weights, or the promise of them while one thread loads."""

    spec: WeightsSpec
    pipe: Future[DiffusionPipeline] = field(default_factory=Future)
    turn: threading.Lock = field(default_factory=threading.Lock)
    """A pipeline keeps its step and its frame caches on itself: one piece of work at a time."""
    leases: int = 0
    bytes: int = 0


def import_libraries(pipeline: str) -> None:
    """Import what loading a pipeline needs, so that those seconds are not counted as its own."""
    import diffusers

    with folder.quiet():
        getattr(diffusers, pipeline)


def load(spec: WeightsSpec) -> DiffusionPipeline:
    """Return the pipeline of `spec`, loaded from its folder or files, and fitted."""
    from gpu.checkpoint import whole

    use_allowed_cores()
    place = spec.device if spec.fit.offload == "none" else "cpu"
    how = {"dtype": spec.dtype, "device": place}
    with LOADING:
        if spec.files:
            pipe = assemble.load(spec.folder, spec.files, spec.pipeline, **how)
        else:
            pipe = whole.load(spec.folder, spec.pipeline, **how)
        fits.apply(pipe, spec.fit, spec.device)
    return pipe


def weigh(spec: WeightsSpec) -> int:
    """Return how many bytes the weights of `spec` take, having checked their files; loads none.

    Raises:
        BadFile: where a file is missing, broken, hostile or of another model.
    """
    if spec.files:
        return assemble.check(spec.folder, spec.files, BYTES[spec.dtype])
    return folder.check(spec.folder, spec.pipeline) * BYTES[spec.dtype]


class Weights:
    """Loaded weights under a memory budget.

    Args:
        budget_gb: gigabytes of 1e9 bytes. Idle weights above it are dropped, least recently used
            first; leased ones never are, so that a model larger than the budget still runs.
        load: makes the live pipeline of a spec.
        weigh: says what it will take, in bytes, before it is made.
        parking: where weights put out of a card wait.
    """

    def __init__(
        self,
        budget_gb: float,
        *,
        load: Callable[[WeightsSpec], DiffusionPipeline] = load,
        weigh: Callable[[WeightsSpec], int] = weigh,
        parking: Parking | None = None,
    ) -> None:
        self.budget = budget_gb * GB
        self._load, self._weigh = load, weigh
        self._parking = parking or Parking()
        self._lock = threading.Lock()
        self._held: OrderedDict[Key, _Loaded] = OrderedDict()
        self._stats = Stats()
        self.learned: dict[tuple[Key, tuple[int, ...]], Fallback] = {}
        """What ran, by weights and shape, where memory had run out: see `gpu.fit.fitted`."""

    @cached_property
    def embeddings(self) -> Embeddings:
        """Prompts that have been encoded."""
        from gpu.embeddings import Embeddings

        return Embeddings()

    @contextlib.contextmanager
    def lease(self, spec: WeightsSpec) -> Iterator[DiffusionPipeline]:
        """Lend the live pipeline of `spec` for one piece of work, loading it where needed.

        Raises:
            BadFile: where the folder cannot be loaded; every thread that waited for it hears so,
                and the next lease tries again.
        """
        loaded = self._take(spec)
        try:
            pipe = loaded.pipe.result()
            with loaded.turn:
                yield pipe
        finally:
            self._give(loaded)

    def prewarm(self, specs: Iterable[WeightsSpec]) -> None:
        """Load `specs` before they are asked for."""
        for spec in specs:
            with self.lease(spec):
                pass

    def release_all(self) -> int:
        """Drop all weights that are not leased, and parked ones; returns the bytes freed."""
        with self._lock:
            before = self._bytes()
            self._parking.clear()
            self._drop(until=0.0, park=False)
            freed = before - self._bytes()
        gc.collect()  # weights that failed to load hang in the traceback of that
        return freed

    def holds(self, fingerprint: str) -> bool:
        """Say whether weights of this fingerprint are loaded."""
        with self._lock:
            return any(key[0] == fingerprint and one.bytes for key, one in self._held.items())

    def stats(self) -> Stats:
        """Return what the cache did so far and holds now."""
        with self._lock:
            return replace(self._stats, bytes=self._bytes(), parked=self._parking.bytes)

    def _take(self, spec: WeightsSpec) -> _Loaded:
        """Count a lease of `spec`, loading it in this thread if no other has begun to."""
        with self._lock:
            loaded = self._held.get(spec.key)
            first = loaded is None
            if loaded is None:
                loaded = self._held[spec.key] = _Loaded(spec)
            loaded.leases += 1
            self._held.move_to_end(spec.key)
            if not first:
                self._count(**({"hits": 1} if loaded.pipe.done() else {"waits": 1}))
        if first:
            self._fill(spec, loaded)
        return loaded

    def _fill(self, spec: WeightsSpec, loaded: _Loaded) -> None:
        started = time.perf_counter()
        try:
            with _LOADING:
                loaded.bytes = self._weigh(spec)
                with self._lock:
                    self._drop(until=self.budget)
                parked = self._return(spec)
                pipe = parked or self._load(spec)
        except BaseException as error:
            with self._lock:
                del self._held[spec.key]
            loaded.pipe.set_exception(error)
            return
        with self._lock:
            took = time.perf_counter() - started
            self._count(loads=not parked, returns=bool(parked), seconds=took)
        loaded.pipe.set_result(pipe)

    def _return(self, spec: WeightsSpec) -> DiffusionPipeline | None:
        """Bring back the weights of `spec` where they are parked."""
        with self._lock:
            return self._parking.take(spec)

    def _give(self, loaded: _Loaded) -> None:
        with self._lock:
            loaded.leases -= 1
            newest = next(reversed(self._held.values()), None)
            if loaded is not newest:
                self._drop(until=self.budget)

    def _drop(self, until: float, *, park: bool = True) -> None:
        """Put out idle weights, least recently used first, until `until` bytes are held."""
        for key in [key for key, loaded in self._held.items() if not loaded.leases]:
            if self._bytes() <= until:
                break
            _return_memory(self._put_out(key, park=park))

    def _put_out(self, key: Key, *, park: bool) -> str:
        """Forget weights, and return their device: no name of them is left to hold their memory."""
        loaded = self._held.pop(key)
        self._count(evictions=1)
        if park:
            self._parking.put(loaded.spec, loaded.pipe.result())
        return loaded.spec.device

    def _bytes(self) -> int:
        return sum(loaded.bytes for loaded in self._held.values())

    def _count(self, **more: float) -> None:
        self._stats = replace(
            self._stats, **{name: getattr(self._stats, name) + n for name, n in more.items()}
        )


def _return_memory(device: str) -> None:
    """Hand freed weights back: modules refer to each other, so they wait for the collector."""
    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()


_SHARED = Weights(0)


def shared(budget_gb: float | None = None) -> Weights:
    """Return this process's one cache, its budget set to `budget_gb` where that is given."""
    if budget_gb is not None:
        _SHARED.budget = budget_gb * GB
    return _SHARED
