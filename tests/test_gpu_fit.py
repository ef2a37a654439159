"""Offload, tiling, attention and compile, through diffusers' own switches, on real small models."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from configs.errors import BadInput, StageFailed
from configs.model import Profile
from gpu.device import Device, fit_for, offload_for, pixels
from gpu.fit import Fallback, Fit, fitted, out_of_memory
from gpu.image import PictureRequest, draw
from gpu.video import ClipRequest, animate
from gpu.weights import Weights

pytestmark = pytest.mark.slow  # whole pictures, clips and downloads: half a minute together

CARD = Device("cuda", "card", 25.4, capability=(8, 9))
CPU = Device("cpu", "any", 64, amx=True)


@pytest.fixture(scope="module")
def weights():
    return Weights(4)


@pytest.fixture
def picture(mini_picture, weights):
    """Draw with the shipped model, fitted: `picture(fit) -> Image`."""

    def make(fit):
        spec = replace(mini_picture, fit=fit)
        return draw(PictureRequest(spec, "red mug", 64, 64, 2, 7, max_tokens=128), weights)

    return make


@pytest.fixture
def clip(tiny_clip, weights):
    """Animate with the tiny model, fitted: `clip(fit) -> frames`."""

    def make(fit):
        image = Image.linear_gradient("L").convert("RGB")
        spec = replace(tiny_clip, fit=fit)
        return animate(
            ClipRequest(spec, image, "orbit left", 96, 64, 9, steps=2, seed=7, max_tokens=64),
            weights,
        )

    return make


@pytest.mark.parametrize("offload", ["model", "group"])
def test_an_offload_changes_no_byte_of_a_picture(picture, mini_picture, weights, offload):
    """Weights are moved by diffusers' hooks, which are really there."""
    assert picture(Fit(offload)).tobytes() == picture(Fit()).tobytes()
    with weights.lease(replace(mini_picture, fit=Fit(offload))) as pipe:
        if offload == "model":
            assert len(pipe._all_hooks) == 3
        else:
            hooks = pipe.transformer._diffusers_hook
            assert hooks.get_hook("group_offloading") or any(
                hasattr(part, "_diffusers_hook") for part in pipe.transformer.modules()
            )


@pytest.mark.parametrize("offload", ["model", "group"])
def test_an_offload_changes_no_byte_of_a_clip(clip, offload):
    """Nor of frames, whose autoencoder keeps state between groups."""
    assert (clip(Fit(offload)) == clip(Fit())).all()


def test_a_plain_fit_has_no_hooks(mini_picture, weights):
    """With room for everything nothing stands between layers."""
    with weights.lease(mini_picture) as pipe:
        assert not any(hasattr(part, "_diffusers_hook") for part in pipe.transformer.modules())
        assert not pipe.vae.use_tiling


def test_tiles_change_pixels_and_so_the_key(picture, mini_picture, weights):
    """Above one tile's size the seams are blended: tiling is not neutral."""
    tiled = Fit(tiling=True)
    with weights.lease(replace(mini_picture, fit=tiled)) as pipe:
        pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = 32, 4  # a small picture's
    assert picture(tiled).tobytes() != picture(Fit()).tobytes()
    assert tiled.pixels != Fit().pixels


def test_a_switched_attention_is_the_one_that_runs(mini_picture, weights):
    """And a model without a choice of its own does not inherit it."""
    with weights.lease(replace(mini_picture, fit=Fit(attention="_native_math"))) as pipe:
        used = {part.processor._attention_backend for part in attentions(pipe)}
    assert used == {"_native_math"}
    fresh = Weights(1)
    with fresh.lease(replace(mini_picture, fingerprint="another")) as pipe:
        assert {part.processor._attention_backend for part in attentions(pipe)} == {"native"}


def attentions(pipe):
    return [part for part in pipe.transformer.modules() if hasattr(part, "processor")]


@pytest.mark.parametrize("backend", ["flash", "sage", "xformers"])
def test_an_attention_that_is_not_installed_is_an_error(mini_picture, backend):
    """It says what to write; nothing falls back in silence."""
    spec = replace(mini_picture, fit=Fit(attention=backend))
    with (
        pytest.raises(BadInput, match=f"attention {backend} does not work here .*native"),
        Weights(1).lease(spec),
    ):
        pass


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # torch's own
def test_compiling_is_asked_for_block_by_block(mini_picture, weights):
    """Every repeated block runs by its class's shelf, which is filled when one first runs."""
    with weights.lease(replace(mini_picture, fit=Fit(compile=True))) as pipe:
        blocks = [*pipe.transformer.layers, *pipe.transformer.noise_refiner]
        (shelf,) = {id(block.forward.func): block.forward.func for block in blocks}.values()
        assert (shelf.kind, shelf.forms) == (type(blocks[0]), [])


def test_fits_share_no_weights(mini_picture):
    """Hooks and tiles are on the pipeline itself."""
    keys = {replace(mini_picture, fit=fit).key for fit in (Fit(), Fit("group"), Fit(tiling=True))}
    assert len(keys) == 3


def test_the_key_says_what_changes_pixels_and_no_more():
    """Old keys stand: what is off is not in them. An offload never is."""
    plain = {"dtype": "bfloat16", "quantisation": "none", "attention": "native", "device": "cuda"}
    assert pixels(CARD, fit=Fit("group")) == plain
    profile = Profile(
        device="cuda", picture="p", clip="c", budget_gb=1,
        vae_tiling=True, compile=True, attention="_native_cudnn", offload="group",
    )  # fmt: skip
    told = pixels(CARD, fit=fit_for(profile))
    assert told == {
        **plain, "attention": "_native_cudnn", "vae": "tiled", "blocks": "compiled",
    }  # fmt: skip
    assert Fit.of(told, "model") == replace(fit_for(profile), offload="model")
    assert Fit.of(plain, "none") == Fit()


@pytest.mark.parametrize(
    ("device", "wanted", "memory_gb", "chosen"),
    [
        (CARD, "auto", 21, "none"),
        (CARD, "auto", 24.5, "model"),
        (CARD, "none", 78, "none"),
        (CARD, "group", 1, "group"),
        (CPU, "group", 78, "none"),
        (CPU, "auto", 78, "none"),
    ],
)
def test_an_offload_suits_device_and_model(device, wanted, memory_gb, chosen):
    """A processor computes where the weights are."""
    assert offload_for(device, wanted, memory_gb) == chosen


def test_experts_in_eight_bits_stay_on_a_card_of_80_gb():
    """TurboDiffusion's and the plain A14B; in bfloat16 they take turns."""
    from configs.home import Home
    from configs.library import Library

    models = Library.open(Home(Path("no-home"))).models
    card = Device("cuda", "a card", 85)
    for name in ("turbowan2.2-i2v-a14b", "wan2.2-i2v-a14b"):
        ways = [offload_for(card, "auto", models[name].memory(kind)) for kind in ("none", "fp8")]
        assert ways == ["model", "none"]


def test_the_neutral_ways_come_first():
    """From fastest to smallest, then tiles."""
    ways = list(Fit().smaller())
    assert [way.offload for way in ways] == ["model", "group", "group"]
    assert [way.pixels == Fit().pixels for way in ways] == [True, True, False]
    assert list(Fit("group", tiling=True).smaller()) == []


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes cannot be multiplied"), False),
        (ValueError("CUDA out of memory"), False),
    ],
)
def test_running_out_of_memory_has_many_names(error, is_one):
    """Other errors are not taken for it."""
    assert out_of_memory(error) is is_one


class Short:
    """Work that has room only from a certain fit on; a real allocation fails before that."""

    def __init__(self, enough):
        self.enough, self.tried = enough, []

    def __call__(self, pipe):
        self.tried.append(pipe.fit)
        if pipe.fit != self.enough:
            torch.empty(1 << 60, dtype=torch.uint8)  # torch's own allocator refuses
        return "made"


class Pipe:
    def __init__(self, fit):
        self.fit = fit


@pytest.fixture
def cache():
    """A cache whose pipelines tell their fit."""
    return Weights(1, load=lambda spec: Pipe(spec.fit))


def test_memory_that_runs_out_is_found_elsewhere(cache, tiny_clip):
    """The work is done anew, one way after the other, and what ran is told once."""
    work, told = Short(Fit("group")), []
    assert fitted(tiny_clip, cache, (64, 64), work, told.append) == "made"
    assert work.tried == [Fit(), Fit("model"), Fit("group")]
    (fallback,) = told
    assert not fallback.changes_pixels
    assert str(fallback).startswith("offload none, attention native -> offload group")
    assert "out of memory: " in str(fallback)


def test_weights_without_room_are_gone_before_others_come(tiny_clip):
    """Only the collector frees networks, which refer to each other; nothing may still name them."""
    made = []

    def load(spec):
        assert all(one() is None for one in made)
        pipe = Pipe(spec.fit)
        pipe.itself = pipe
        made.append(weakref.ref(pipe))
        return pipe

    fitted(tiny_clip, Weights(1, load=load), (64, 64), Short(Fit("group")), lambda _: None)
    assert len(made) == 3


def test_what_fitted_is_remembered_for_its_shape(cache, tiny_clip):
    """The next shot of the same size runs at once, and is flagged as well; another size is not."""
    for shape, tried in (((64, 64), 4), ((64, 64), 1), ((32, 32), 4)):
        work, told = Short(Fit("group", tiling=True)), []
        fitted(tiny_clip, cache, shape, work, told.append)
        assert len(work.tried) == tried
        assert isinstance(told[0], Fallback)
        assert told[0].changes_pixels
        assert "`vae_tiling: true` in the profile plans it so" in str(told[0])


def test_no_fit_is_small_enough(cache, tiny_clip):
    """The end is one sentence with size and advice, not a traceback."""
    with pytest.raises(StageFailed, match=r"64x48 does not fit .* take a smaller size or profile"):
        fitted(tiny_clip, cache, (64, 48), Short(None), lambda _: None)
    assert cache.stats().bytes == 0


def test_an_error_without_words_is_told_by_its_name(cache, tiny_clip):
    """Python's own MemoryError mostly has none."""
    told = []

    def work(pipe):
        if pipe.fit == Fit():
            raise MemoryError
        return "made"

    fitted(tiny_clip, cache, (64, 64), work, told.append)
    assert told[0].reason == "out of memory: MemoryError"


def test_other_errors_are_not_hidden(cache, tiny_clip):
    """A bug stays a bug."""

    def broken(_):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        fitted(tiny_clip, cache, (64, 64), broken, lambda _: None)


def test_weights_that_failed_to_load_are_gone_before_less_is_tried(tiny_clip):
    """Half of a model of 60 GB would lie beside the next one."""
    half, alive = [], []

    def load(spec):
        alive.extend(one() is not None for one in half)
        if spec.fit.offload == "none":
            network = torch.nn.Linear(2, 2)
            network.itself = [network]  # as hooks make modules refer to each other
            half.append(weakref.ref(network))
            raise MemoryError
        return SimpleNamespace()

    weights = Weights(1, load=load, weigh=lambda _: 1)
    assert fitted(tiny_clip, weights, (1,), lambda _: "made", lambda _: None) == "made"
    assert alive == [False]
