"""Adapters over networks of the production classes: every key style, summed, swapped, taken off."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diffusers import WanPipeline, ZImagePipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from configs.errors import BadFile, BadInput
from gpu.checkpoint.packed import Fp8Linear
from gpu.image import PictureRequest, draw
from gpu.lora import _Extra, _shapes, wear
from gpu.turbo import graphs, zimage
from gpu.turbo.int8 import Int8Linear
from gpu.video import ClipRequest, animate
from gpu.weights import Weights
from tests.lora_data import DIFFS, STYLES, merged, network, on, see, write

pytestmark = pytest.mark.slow


@pytest.fixture
def pipe():
    """Put a network where a pipeline has it: `pipe("Wan diffusers")`."""
    return lambda style: SimpleNamespace(transformer=copy.deepcopy(network(style.split()[0])))


@pytest.mark.parametrize("style", STYLES)
def test_every_key_style_is_weight_times_alpha_over_rank_times_ba(style, pipe, tmp_path):
    """The whole network's output equals that of matrices changed by hand; off, it is as before."""
    made = pipe(style)
    before = see(made.transformer)
    added = write(tmp_path / "a.safetensors", style, made.transformer)
    expected = merged(made.transformer, (0.7, added))
    wear(made, (on(tmp_path / "a.safetensors", 0.7),))
    worn = see(made.transformer)
    assert (expected - before).abs().max() > 0.01
    torch.testing.assert_close(worn, expected, rtol=1e-4, atol=1e-5)
    wear(made, ())
    assert torch.equal(see(made.transformer), before)


@pytest.mark.parametrize(
    "style",
    [
        "Z-Image diffusers", "Z-Image ai-toolkit", "Z-Image kohya", "Z-Image DiffSynth",
        "Wan diffusers", "Wan ai-toolkit",
    ],
)  # fmt: skip
def test_diffusers_own_loader_draws_the_same(style, pipe, tmp_path):
    """The same file as `load_lora_weights` reads it (0.42.1).

    It refuses the other styles of these files, or leaves out layers of theirs without an error.
    """
    made = pipe(style)
    write(tmp_path / "a.safetensors", style, made.transformer)
    theirs = copy.deepcopy(made.transformer)
    kind = ZImagePipeline if style.startswith("Z-Image") else WanPipeline
    told = kind.lora_state_dict(tmp_path / "a.safetensors")
    kind.load_lora_into_transformer(told, theirs, adapter_name="a")
    theirs.set_adapters("a", 0.7)
    wear(made, (on(tmp_path / "a.safetensors", 0.7),))
    torch.testing.assert_close(see(made.transformer), see(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [None, *DIFFS])
def test_diffs_of_lightx2v_are_added_too(name, pipe, tmp_path):
    """Biases, norms, modulations, the patches' convolution and a full matrix; each, and all."""
    made = pipe("Wan")
    before = see(made.transformer)
    state = {key: tensor.clone() for key, tensor in made.transformer.state_dict().items()}
    diffs = {name: DIFFS[name]} if name else DIFFS
    path = tmp_path / "a.safetensors"
    added = write(path, "Wan LightX2V", made.transformer, diffs=diffs)
    expected = merged(made.transformer, (0.5, added))
    wear(made, (on(path, 0.5),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)
    wear(made, ())
    assert torch.equal(see(made.transformer), before)
    assert all(torch.equal(state[key], left) for key, left in made.transformer.state_dict().items())


def test_a_low_rank_change_of_the_patches_convolution(pipe, tmp_path):
    """kohya writes A with the convolution's own sides, and B with sides of 1."""
    made = pipe("Wan")
    weight = made.transformer.patch_embedding.weight
    down, up = torch.randn(2, *weight.shape[1:]), torch.randn(len(weight), 2, 1, 1, 1)
    name = "lora_unet_patch_embedding"
    tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up,
               f"{name}.alpha": torch.tensor(1.0)}  # fmt: skip
    save_file(tensors, tmp_path / "a.safetensors")
    added = torch.einsum("or,ri...->oi...", up[..., 0, 0, 0], down) / 2
    expected = merged(made.transformer, (1.0, {"patch_embedding.weight": added}))
    wear(made, (on(tmp_path / "a.safetensors"),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("told", "scale"),
    [
        ({"r": 4, "lora_alpha": 8}, 2.0),
        ({"r": 4, "lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"r": 4, "lora_alpha": 4}, 1.0),
    ],
)
def test_the_scale_that_diffusers_keeps_in_the_header_counts(told, scale, pipe, tmp_path):
    """alpha / rank, or alpha / √rank where it is rank-stabilised."""
    made, style = pipe("Z-Image"), "Z-Image diffusers"
    words = json.dumps({f"transformer.{name}": value for name, value in told.items()})
    path = tmp_path / "a.safetensors"
    added = write(path, style, made.transformer, metadata={"lora_adapter_metadata": words})
    expected = merged(made.transformer, (scale, added))
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", ["Z-Image", "Wan"])
def test_two_adapters_at_once_are_summed_each_by_its_weight(family, pipe, tmp_path):
    """Of different styles and ranks, over the same layers; then swapped for one alone."""
    made = pipe(family)
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    styles = [style for style in STYLES if style.startswith(family)]
    one = write(first, styles[0], made.transformer, seed=1)
    two = write(second, styles[2], made.transformer, seed=2, rank=3)
    both = merged(made.transformer, (0.8, one), (-0.5, two))
    alone = merged(made.transformer, (1.0, two))
    wear(made, (on(first, 0.8), on(second, -0.5)))
    torch.testing.assert_close(see(made.transformer), both, rtol=1e-4, atol=1e-5)
    wear(made, (on(second),))
    torch.testing.assert_close(see(made.transformer), alone, rtol=1e-4, atol=1e-5)


def test_what_is_on_stays_on_and_a_changed_file_is_put_on_anew(pipe, tmp_path):
    """A second shot reads no file; another hash of the same path does."""
    made, path = pipe("Wan"), tmp_path / "a.safetensors"
    write(path, "Wan musubi", made.transformer, seed=1)
    wear(made, (on(path, sha256="1"),))
    first = see(made.transformer)
    path.unlink()
    wear(made, (on(path, sha256="1"),))
    assert torch.equal(see(made.transformer), first)
    expected = write(path, "Wan musubi", made.transformer, seed=2)
    wear(made, (on(path, sha256="2"),))
    second = see(made.transformer)
    wear(made, ())
    torch.testing.assert_close(
        second, merged(made.transformer, (1.0, expected)), rtol=1e-4, atol=1e-5
    )


def test_each_expert_wears_its_own(tmp_path):
    """Wan 2.2 A14B has two: `high-noise` changes the first, `low-noise` the second."""
    made = SimpleNamespace(
        transformer=copy.deepcopy(network("Wan")), transformer_2=copy.deepcopy(network("Wan"))
    )
    base = see(made.transformer)
    path = tmp_path / "a.safetensors"
    expected = merged(network("Wan"), (1.0, write(path, "Wan musubi", network("Wan"))))
    wear(made, (on(path, expert="low-noise"),))
    assert torch.equal(see(made.transformer), base)
    torch.testing.assert_close(see(made.transformer_2), expected, rtol=1e-4, atol=1e-5)
    wear(made, (on(path, expert="high-noise"),))
    assert torch.equal(see(made.transformer_2), base)
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)
    wear(made, (on(path),))
    assert torch.equal(see(made.transformer), see(made.transformer_2))


def test_an_expert_that_the_model_lacks_is_an_error(pipe, tmp_path):
    """Never silence: an adapter for one of two experts has nowhere to go."""
    made = pipe("Wan")
    write(tmp_path / "a.safetensors", "Wan musubi", made.transformer)
    with pytest.raises(BadInput, match=r"a\.safetensors: .*low-noise expert.*one transformer"):
        wear(made, (on(tmp_path / "a.safetensors", expert="low-noise"),))


def test_packed_weights_wear_adapters_as_plain_ones_do(pipe, tmp_path):
    """An fp8 layer's weight cannot be added to; its output can."""
    made, name = pipe("Wan"), "blocks.0.attn1.to_q"
    layer = made.transformer.get_submodule(name)
    packed = layer.weight.to(torch.float8_e4m3fn)
    layer.weight.data = packed.float()
    path = tmp_path / "a.safetensors"
    diffs = {"blocks.0.self_attn.k.diff": "blocks.0.attn1.to_k.weight"}
    added = write(path, "Wan LightX2V", made.transformer, diffs=diffs)
    expected = merged(made.transformer, (1.0, added))
    made.transformer.set_submodule(name, Fp8Linear(layer, packed, None))
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)


def test_8_bit_layers_of_turbodiffusion_wear_adapters():
    """Their module is no nn.Linear; what is added is B·A·x all the same."""
    levels = torch.randint(-128, 128, (128, 256), dtype=torch.int8)
    layers = torch.nn.Sequential(Int8Linear(levels, torch.full((1, 2), 0.01), torch.zeros(128)))
    assert _shapes(layers) == {"0.bias": (128,), "0.weight": (128, 256)}
    down, up = torch.randn(4, 256), torch.randn(128, 4)
    extra, x = _Extra(), torch.randn(3, 5, 256)
    extra.add(down, up, torch.float32)
    before = layers(x)
    layers[0].register_forward_hook(extra)
    torch.testing.assert_close(layers(x) - before, x @ down.T @ up.T, rtol=1e-4, atol=1e-3)


def test_a_picture_with_an_adapter_and_without_it_again(mini_picture, tmp_path):
    """The model is loaded once; without the adapter the same bytes come as before it."""
    request = PictureRequest(mini_picture, "red mug", 96, 64, steps=2, seed=7, max_tokens=128)
    weights, path = Weights(1), tmp_path / "a.safetensors"
    before = draw(request, weights).tobytes()
    with weights.lease(mini_picture) as pipe:
        write(path, "Z-Image kohya fused", pipe.transformer, parts=["layers"])
    worn = replace(request, loras=(on(path),))
    assert draw(worn, weights).tobytes() == draw(worn, Weights(1)).tobytes() != before
    assert draw(request, weights).tobytes() == before
    assert weights.stats().loads == 1


def test_a_clip_with_an_adapter_and_without_it_again(tiny_clip, tmp_path):
    """Likewise; and one that does not fit leaves the model as it was."""
    picture = Image.linear_gradient("L").convert("RGB")
    request = ClipRequest(
        tiny_clip, picture, "orbit", 64, 64, frames=5, steps=2, seed=7, max_tokens=64
    )
    weights, path = Weights(1), tmp_path / "a.safetensors"
    before = animate(request, weights)
    with weights.lease(tiny_clip) as pipe:
        write(path, "Wan LightX2V", pipe.transformer, diffs=DIFFS)
    assert (animate(replace(request, loras=(on(path),)), weights) != before).any()
    save_file({"double_blocks.0.img_attn.proj.lora_A.weight": torch.zeros(4, 4)}, path)
    with pytest.raises(BadFile, match="seems made for FLUX"):
        animate(replace(request, loras=(on(path, sha256="changed"),)), weights)
    assert (animate(request, weights) == before).all()
    assert weights.stats().loads == 1


@pytest.mark.parametrize("offload", ["leaf_level", "block_level"])
def test_offloaded_groups_wear_adapters_too(offload, pipe, tmp_path):
    """Layers that wait in main memory come with their change, and leave without it."""
    made, path = pipe("Wan"), tmp_path / "a.safetensors"
    added = write(path, "Wan LightX2V", made.transformer, diffs=DIFFS)
    base, expected = see(made.transformer), merged(made.transformer, (1.0, added))
    made.transformer.enable_group_offload(
        onload_device=torch.device("cpu"), offload_type=offload, num_blocks_per_group=1
    )
    see(made.transformer)
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)
    wear(made, ())
    assert torch.equal(see(made.transformer), base)


@pytest.mark.slow
def test_compiled_blocks_wear_adapters_too(pipe, tmp_path):
    """What was compiled before has no hooks in it, and no guard that would tell."""
    made, path = pipe("Wan"), tmp_path / "a.safetensors"
    added = write(path, "Wan LightX2V", made.transformer, diffs=DIFFS)
    expected = merged(made.transformer, (1.0, added))
    made.transformer.compile_repeated_blocks(backend="eager")
    base = see(made.transformer)
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)
    wear(made, ())
    torch.testing.assert_close(see(made.transformer), base, rtol=0, atol=0)


@pytest.mark.slow
def test_compiled_blocks_wear_an_adapter_of_some_of_them(pipe, tmp_path):
    """Blocks share compiled code; one without an adapter must not lend its own to one with."""
    made, path = pipe("Z-Image"), tmp_path / "a.safetensors"
    added = write(path, "Z-Image kohya fused", made.transformer)  # of the second of two layers
    expected = merged(made.transformer, (1.0, added))
    made.transformer.compile_repeated_blocks(backend="eager")
    see(made.transformer)
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor compiles for a CPU with g++")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # by Inductor's own import
@pytest.mark.timeout(240)
def test_blocks_kept_compiled_on_disk_wear_an_adapter_of_some_of_them(pipe, tmp_path):
    """What a file holds has no guard on hooks: a block with an adapter does without it."""
    made, path = pipe("Z-Image"), tmp_path / "a.safetensors"
    added = write(path, "Z-Image kohya fused", made.transformer)
    expected = merged(made.transformer, (1.0, added))
    zimage.rotate_reals(made.transformer)
    put = graphs.shelves(tmp_path / "graphs", {"dynamic": True}, 8, "native")
    for block in (*made.transformer.layers, *made.transformer.noise_refiner):
        put(block)
    base = see(made.transformer)
    assert list((tmp_path / "graphs").rglob("*.graph"))
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)
    wear(made, ())
    torch.testing.assert_close(see(made.transformer), base, rtol=0, atol=0)


def test_q_k_and_v_written_fused_and_apart_count_once(pipe, tmp_path):
    """Files for several programs hold both; twice the change would be another picture."""
    made, path = pipe("Z-Image"), tmp_path / "a.safetensors"
    added = write(path, "Z-Image kohya fused", made.transformer)
    expected = merged(made.transformer, (1.0, added))
    tensors, name = load_file(path), "lora_unet_layers_1_attention"
    for part, rows in zip("qkv", tensors[f"{name}_qkv.lora_up.weight"].chunk(3), strict=True):
        tensors |= {
            f"{name}_to_{part}.lora_up.weight": rows.clone(),
            f"{name}_to_{part}.lora_down.weight": tensors[f"{name}_qkv.lora_down.weight"].clone(),
            f"{name}_to_{part}.alpha": tensors[f"{name}_qkv.alpha"].clone(),
        }
    save_file(tensors, path)
    wear(made, (on(path),))
    torch.testing.assert_close(see(made.transformer), expected, rtol=1e-4, atol=1e-5)


def test_a_bad_file_beside_a_good_one_leaves_the_model_as_it_was(pipe, tmp_path):
    """All are checked before the first is put on; what was on is off."""
    made, good, bad = pipe("Wan"), tmp_path / "good.safetensors", tmp_path / "bad.safetensors"
    before = see(made.transformer)
    write(good, "Wan musubi", made.transformer)
    save_file({"diffusion_model.blocks.7.ffn.0.diff_b": torch.zeros(32)}, bad)
    wear(made, (on(good),))
    with pytest.raises(BadFile, match=r"bad\.safetensors: does not fit"):
        wear(made, (on(good), on(bad)))
    assert torch.equal(see(made.transformer), before)
