"""On a CUDA card, with the shipped models: offload, tiles, compiled blocks, adapters, a full card.

`pytest -m gpu tests/test_card.py tests/test_gpu_parking.py`; nothing here runs without a card.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.fit import Case
from benchmarks.random_weights import make
from configs.home import Home
from configs.library import Library
from configs.model import Profile
from gpu.checkpoint.tensors import open_tensors
from gpu.device import GB
from gpu.fit import OFFLOADS, Fit
from gpu.image import PictureRequest, draw
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights
from tests.lora_data import on, write

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.timeout(150),
    pytest.mark.filterwarnings("default"),  # of compilers, and of a card's own libraries
]


PROFILE = Profile(device="cuda", picture="p", clip="c", budget_gb=1)


@pytest.fixture(scope="module")
def weights():
    return Weights(8)


@pytest.fixture
def picture(mini_picture):
    spec = replace(mini_picture, device="cuda")
    return PictureRequest(spec, "a red mug on oak", 512, 512, steps=8, seed=7, max_tokens=128)


@pytest.fixture
def clip(mini_picture):
    spec = replace(
        mini_picture, device="cuda", folder=mini_picture.folder.parent / "video",
        pipeline="WanImageToVideoPipeline", fingerprint="mini-clip",
    )  # fmt: skip
    grey = Image.linear_gradient("L").convert("RGB")
    return ClipRequest(spec, grey, "orbit left", 288, 288, 17, steps=4, seed=7, max_tokens=64)


def fitted(request, **fit):
    return replace(request, spec=replace(request.spec, fit=Fit(**fit)))


def vivid(spec):
    """A small pipeline of random weights, whose decoder is loud enough to see by."""
    pipe = make(spec, tiny=True)
    pipe.vae.decoder.conv_out.weight.data.mul_(300)
    return pipe


def levels(a, b):
    """Mean difference of two pictures, of 255."""
    return np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean()


@pytest.mark.parametrize("offload", ["model", "group"])
def test_an_offload_changes_no_byte(picture, clip, weights, offload):
    """Layers that come in on a stream of their own, one ahead."""
    assert draw(fitted(picture, offload=offload), weights).tobytes() == (
        draw(picture, weights).tobytes()
    )
    assert (animate(fitted(clip, offload=offload), weights) == animate(clip, weights)).all()


@pytest.mark.parametrize("name", ["turbowan2.1-t2v-1.3b", "turbowan2.2-i2v-a14b-quant"])
def test_sparse_attention_and_int8_layers_come_in_like_others(tmp_path, name):
    """Their weights are in modules of our own, which an offload must find."""
    model = Case.of(name, Library.open(Home(tmp_path)), steps=2, tiny=True)
    grey = Image.linear_gradient("L").convert("RGB") if model.model.makes == "clip" else None
    spec = replace(model.spec(80, "cuda", PROFILE), fit=Fit())
    clip = ClipRequest(spec, grey, "orbit", 64, 64, 17, steps=2, seed=7, max_tokens=64)
    small = Weights(8, load=vivid, weigh=lambda _: 1)
    whole, *moved = (animate(fitted(clip, offload=way), small) for way in OFFLOADS)
    assert whole.std() > 20
    assert all((frames == whole).all() for frames in moved)


def test_the_same_request_gives_the_same_bytes(picture, clip, weights):
    """Drawn again, and by weights loaded anew."""
    assert draw(picture, weights).tobytes() == draw(picture, Weights(8)).tobytes()
    assert (animate(clip, weights) == animate(clip, Weights(8))).all()


def test_tiles_are_near_the_whole(picture, weights):
    """Other pixels at the seams, the same picture."""
    tiled = fitted(picture, tiling=True)
    with weights.lease(tiled.spec) as pipe:
        pipe.vae.tile_sample_min_size, pipe.vae.tile_latent_min_size = 256, 32
    assert 0 < levels(draw(tiled, weights), draw(picture, weights)) < 6


def test_compiled_blocks_take_an_adapter_on_and_off(picture, weights, tmp_path):
    """Compiled code sees hooks come and go; without the adapter the same bytes come again."""
    compiled = fitted(picture, compile=True)
    with weights.lease(compiled.spec) as pipe:
        write(tmp_path / "a.safetensors", "Z-Image kohya fused", pipe.transformer, parts=["layers"])
    # At its full weight this random adapter leaves no picture, and rounding decides the rest.
    worn = (on(tmp_path / "a.safetensors", 0.05),)
    before = draw(compiled, weights)
    assert levels(before, draw(picture, weights)) < 3
    changed = draw(replace(compiled, loras=worn), weights)
    assert levels(changed, draw(replace(picture, loras=worn), weights)) < levels(changed, before)
    assert draw(compiled, weights).tobytes() == before.tobytes()


def test_a_full_card_falls_back_and_says_so(picture):
    """A real limit on the card's memory: what ran is told, and its bytes are those of that fit."""
    large = replace(picture, width=1024, height=1024, steps=1)
    weights, told = Weights(8), []
    total = torch.cuda.mem_get_info()[1]
    with weights.lease(picture.spec):
        torch.cuda.empty_cache()
        held = torch.cuda.memory_reserved()
    try:
        torch.cuda.set_per_process_memory_fraction((held + 0.2 * GB) / total)
        made = draw(large, weights, Watch(on_fallback=told.append))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    (fallback,) = told
    assert "out of memory" in fallback.reason
    assert draw(fitted(large, offload=fallback.ran.offload, tiling=fallback.ran.tiling),
                Weights(8)).tobytes() == made.tobytes()  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.int8])
def test_a_file_reaches_the_card_bit_for_bit(tmp_path, dtype):
    """Through locked memory, more of it than the ring holds, in pieces of all lengths."""
    torch.manual_seed(0)
    sizes = (1, 77, 1 << 20, 230_000_003)
    tensors = {str(n): torch.randint(-99, 99, (n,), dtype=torch.int8).to(dtype) for n in sizes}
    save_file(tensors, tmp_path / "a.safetensors")
    file = open_tensors(tmp_path / "a.safetensors")
    for name, tensor in zip(file.entries, file.read_all(list(file.entries), "cuda"), strict=True):
        assert tensor.is_cuda
        assert tensor.cpu().equal(tensors[name])
