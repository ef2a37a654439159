"""Weights are loaded once, lent for one piece of work, and dropped when the budget is short."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from configs.errors import BadFile
from gpu.device import GB
from gpu.folder import check
from gpu.weights import Stats, Weights, shared

pytestmark = pytest.mark.slow


@pytest.fixture
def size(tiny_clip):
    """Gigabytes of the tiny model in float32."""
    return 4 * check(tiny_clip.folder, tiny_clip.pipeline) / GB


@pytest.fixture
def others(tiny_clip):
    """Three recipes of the same folder that count as three models."""
    return [replace(tiny_clip, fingerprint=name) for name in "abc"]


class Loader:
    """A loader that counts, and may be held up or fail."""

    def __init__(self, failures=0):
        self.loaded: list[str] = []
        self.failures = failures
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, spec):
        self.begun.set()
        self.go.wait(5)
        if self.failures:
            self.failures -= 1
            raise BadFile("half-downloaded")
        self.loaded.append(spec.fingerprint)
        return object()


def lease(weights, spec):
    with weights.lease(spec) as pipe:
        return pipe


def test_a_lease_is_a_live_pipeline(tiny_clip):
    """What is lent is a pipeline of the class that the recipe names."""
    with Weights(1).lease(tiny_clip) as pipe:
        assert type(pipe).__name__ == tiny_clip.pipeline


def test_the_second_lease_is_a_hit(tiny_clip, size):
    """Loaded once, lent twice; the statistics say so."""
    weights = Weights(1, load=Loader())
    assert lease(weights, tiny_clip) is lease(weights, tiny_clip)
    stats = weights.stats()
    assert stats == Stats(loads=1, hits=1, seconds=stats.seconds, bytes=round(size * GB))


@pytest.mark.parametrize(
    "change", [{"fingerprint": "x"}, {"dtype": "bfloat16"}, {"pipeline": "WanPipeline"}]
)
def test_other_weights_are_not_shared(tiny_clip, change):
    """Fingerprint, pipeline and number format tell weights apart."""
    weights = Weights(1, load=Loader(), weigh=lambda _: 1)
    assert lease(weights, tiny_clip) is not lease(weights, replace(tiny_clip, **change))


def test_the_folder_does_not_matter(tiny_clip, tmp_path):
    """Two folders of equal fingerprint hold the same weights."""
    weights = Weights(1, load=Loader())
    assert lease(weights, tiny_clip) is lease(weights, replace(tiny_clip, folder=tmp_path))


def test_two_threads_load_once(tiny_clip):
    """The second asks while the first loads: it waits, and both hold the same pipeline."""
    loader = Loader()
    loader.go.clear()
    weights = Weights(1, load=loader)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(lease, weights, tiny_clip)
        loader.begun.wait(5)
        second = pool.submit(lease, weights, tiny_clip)
        wait_for(lambda: weights.stats().waits)
        loader.go.set()
        assert first.result() is second.result()
    assert weights.stats().loads == 1


def test_loads_take_turns(others):
    """Two models asked for at once: modules built without memory patch torch for all threads."""
    begun = []

    class Slow(Loader):
        def __call__(self, spec):
            begun.append(spec.fingerprint)
            time.sleep(0.05)
            begun.append(spec.fingerprint)
            return super().__call__(spec)

    weights = Weights(1, load=Slow())
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda spec: lease(weights, spec), others))
    assert begun[::2] == begun[1::2]


def test_a_failed_load_is_heard_by_all_and_tried_again(tiny_clip):
    """Both threads get the error; the next lease loads afresh."""
    loader = Loader(failures=1)
    loader.go.clear()
    weights = Weights(1, load=loader)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(lease, weights, tiny_clip)
        loader.begun.wait(5)
        second = pool.submit(lease, weights, tiny_clip)
        wait_for(lambda: weights.stats().waits)
        loader.go.set()
        for asked in (first, second):
            with pytest.raises(BadFile, match="half-downloaded"):
                asked.result()
    assert weights.stats().bytes == 0
    assert lease(weights, tiny_clip)


def test_pieces_of_work_take_turns(tiny_clip):
    """A pipeline keeps its step on itself, so a second lease waits for the first to end."""
    weights = Weights(1, load=Loader())
    order = []

    def work(name):
        with weights.lease(tiny_clip):
            order.append(f"{name} begins")
            time.sleep(0.01)
            order.append(f"{name} ends")

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, "ab"))
    assert [word.split()[1] for word in order] == ["begins", "ends", "begins", "ends"]


def test_the_least_recently_used_makes_room(others, size):
    """Three models, room for two: the one not asked for longest is dropped."""
    weights = Weights(2.5 * size, load=(loader := Loader()))
    a, b, c = others
    for spec in (a, b, a, c, a, b):
        lease(weights, spec)
    assert loader.loaded == ["a", "b", "c", "b"]
    assert weights.stats().evictions == 2


def test_a_leased_model_is_never_dropped(others, size):
    """While it is lent the budget is overdrawn, and made good afterwards."""
    weights = Weights(1.5 * size, load=(loader := Loader()))
    a, b, _ = others
    with weights.lease(a):
        lease(weights, b)
        assert weights.stats().bytes == round(2 * size * GB)
        assert weights.release_all() == round(size * GB)
    lease(weights, a)
    assert loader.loaded == ["a", "b"]


def test_a_model_larger_than_the_budget_still_runs(others, size):
    """It is kept until another is asked for."""
    weights = Weights(0.5 * size, load=(loader := Loader()))
    a, b, _ = others
    for spec in (a, a, b):
        lease(weights, spec)
    assert loader.loaded == ["a", "b"]
    assert weights.stats().bytes == round(size * GB)


def test_weights_that_overlapped_are_dropped_when_both_are_done(others, size):
    """The budget is made good at the end of a lease, not only at the next load."""
    weights = Weights(1.5 * size, load=Loader())
    a, b, _ = others
    with weights.lease(a), weights.lease(b):
        pass
    assert weights.stats().bytes == round(size * GB)


def test_prewarm_loads_before_the_first_lease(others):
    """Afterwards every lease is a hit."""
    weights = Weights(1, load=Loader())
    weights.prewarm(others)
    lease(weights, others[0])
    assert (weights.stats().loads, weights.stats().hits) == (3, 1)


def test_release_all_starts_afresh(others, size):
    """It says how many bytes are free again, and the next lease loads."""
    weights = Weights(1, load=(loader := Loader()))
    weights.prewarm(others[:2])
    assert weights.release_all() == round(2 * size * GB)
    lease(weights, others[0])
    assert loader.loaded == ["a", "b", "a"]


def test_a_broken_folder_fails_before_room_is_made(others, size, tmp_path):
    """Nothing is dropped for a model that cannot be loaded."""
    weights = Weights(1.5 * size, load=Loader())
    lease(weights, others[0])
    with pytest.raises(BadFile, match="model_index"):
        lease(weights, replace(others[1], folder=tmp_path))
    assert weights.stats().evictions == 0


def test_one_cache_for_the_process():
    """Stages share it; the budget is the last one's."""
    assert shared(1) is shared(2)
    assert shared(2).budget == 2 * GB


def wait_for(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened in 5 s")
