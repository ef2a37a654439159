"""Adapters over networks of the production classes: every key style, summed, swapped, refused."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diffusers import (
    WanPipeline,
    WanTransformer3DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from PIL import Image
from safetensors.torch import load_file, save_file

from configs.errors import BadFile, BadInput
from gpu.checkpoint.packed import Fp8Linear
from gpu.image import PictureRequest, draw
from gpu.lora import LoraFile, wear
from gpu.video import ClipRequest, animate
from gpu.weights import Weights
from tests.lora_data import DIFFS, STYLES, write


@pytest.fixture(scope="module")
def networks():
    """Random networks, a few thousand numbers each, with every kind of block."""
    torch.manual_seed(0)
    z_image = ZImageTransformer2DModel(
        in_channels=4, dim=48, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
        cap_feat_dim=16, axes_dims=[8, 8, 8], axes_lens=[64, 16, 16],
    )  # fmt: skip
    wan = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=32,
        freq_dim=16, ffn_dim=32, num_layers=1, rope_max_seq_len=64,
    )  # fmt: skip
    for network in (z_image, wan):
        for tensor in network.parameters():  # pad tokens are left empty, modulations small
            torch.nn.init.normal_(tensor, std=0.2)
        network.eval().requires_grad_(False)
    return {"Z-Image": z_image, "Wan": wan}


@pytest.fixture
def pipe(networks):
    """Put a network where a pipeline has it: `pipe("Wan diffusers")`."""
    return lambda style: SimpleNamespace(transformer=copy.deepcopy(networks[style.split()[0]]))


def see(network):
    """Return what a network makes of one fixed input."""
    random = torch.Generator().manual_seed(5)
    if isinstance(network, ZImageTransformer2DModel):
        picture = torch.randn(4, 1, 8, 8, generator=random)
        words = torch.randn(7, 16, generator=random)
        return network([picture], torch.tensor([0.3]), [words], return_dict=False)[0][0]
    clip = torch.randn(1, 4, 2, 4, 4, generator=random)
    words = torch.randn(1, 7, 32, generator=random)
    return network(clip, torch.tensor([300]), words, return_dict=False)[0]


def merged(network, *changes):
    """Return what the network makes of it with the changes added into its matrices."""
    with_them = copy.deepcopy(network)
    for weight, added in changes:
        for name, matrix in added.items():
            with_them.get_parameter(name).data += weight * matrix
    return see(with_them)


def on(path, weight=1.0, expert="both", sha256=""):
    return LoraFile(path, sha256 or str(path), weight, expert)


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
    """Where PEFT is installed: the same file as `load_lora_weights` reads it (0.42.1).

    It refuses the other styles of these files, or leaves out layers of theirs without an error.
    """
    pytest.importorskip("peft")
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


def test_each_expert_wears_its_own(networks, tmp_path):
    """Wan 2.2 A14B has two: `high-noise` changes the first, `low-noise` the second."""
    made = SimpleNamespace(
        transformer=copy.deepcopy(networks["Wan"]), transformer_2=copy.deepcopy(networks["Wan"])
    )
    base = see(made.transformer)
    path = tmp_path / "a.safetensors"
    expected = merged(networks["Wan"], (1.0, write(path, "Wan musubi", networks["Wan"])))
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


def wider(key, tensor):
    return {key: torch.zeros(4, 5120)} if key.endswith("self_attn.q.lora_A.weight") else {}


WRONG = {
    "another model's": (
        lambda key, _: {"double_blocks.0.img_attn.proj.lora_A.weight": torch.zeros(4, 4)},
        r"key 'double_blocks.* seems made for FLUX",
    ),
    "a wider one's": (
        wider,
        r"self_attn.q.lora_A.weight' has shape \[4, 5120\], expected \[4, 24\]; .* Wan 14B$",
    ),
    "for image-to-video": (
        lambda key, _: {
            f"diffusion_model.blocks.0.cross_attn.k_img.lora_{part}.weight": torch.zeros(4, 4)
            for part in "AB"
        },
        r"k_img\.lora_A\.weight' is of no layer that Wan.* Wan image-to-video$",
    ),
    "for the text encoder": (
        lambda key, _: {"lora_te1_layers_0_q.lora_down.weight": torch.zeros(4, 4)},
        r"lora_te1.*changes the text encoder too",
    ),
    "a DoRA": (
        lambda key, _: {"diffusion_model.blocks.0.self_attn.q.dora_scale": torch.zeros(24, 1)},
        r"dora_scale'.*it is a DoRA: export it as a LoRA",
    ),
    "a LoKr": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.lokr_w1": torch.zeros(4, 4)},
        r"lokr_w1'.*it is a LoKr",
    ),
    "half a pair": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.lora_A.weight": torch.zeros(4, 24)},
        r"ffn\.0\.lora_A\.weight' has no partner",
    ),
    "an alpha alone": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.alpha": torch.tensor(1.0)},
        r"ffn\.0\.alpha' has no partner",
    ),
    "an alpha of two": (
        lambda key, _: {"diffusion_model.blocks.0.self_attn.q.alpha": torch.ones(2)},
        r"self_attn\.q\.alpha' is not one number",
    ),
    "an endless alpha": (
        lambda key, _: {"diffusion_model.blocks.0.self_attn.q.alpha": torch.tensor(torch.inf)},
        r"has the alpha inf",
    ),
    "another bias": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.diff_b": torch.zeros(7)},
        r"ffn\.0\.diff_b' has shape \[7\], expected \[32\]",
    ),
    "the same layer twice": (
        lambda key, _: {
            f"transformer.blocks.0.attn1.to_q.lora_{part}.weight": torch.zeros(4, 24).reshape(shape)
            for part, shape in (("A", (4, 24)), ("B", (24, 4)))
        },
        r"changes blocks\.0\.attn1\.to_q\.weight unlike .* does",
    ),
    "whole numbers": (
        lambda key, _: {"diffusion_model.blocks.0.ffn.0.diff_b": torch.zeros(32).char()},
        r"is stored as I8, expected BF16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_one_error_and_changes_nothing(wrong, pipe, tmp_path):
    """File, key, what was expected and which model it seems made for; the good half is not on."""
    made, path = pipe("Wan"), tmp_path / "a.safetensors"
    before = see(made.transformer)
    write(path, "Wan ai-toolkit", made.transformer)
    change, message = WRONG[wrong]
    tensors = load_file(path)
    for key, tensor in list(tensors.items()):
        tensors |= change(key, tensor)
    save_file(tensors, path)
    good = tmp_path / "good.safetensors"
    write(good, "Wan musubi", made.transformer)
    with pytest.raises(BadFile, match=message) as error:
        wear(made, (on(good), on(path)))
    assert str(error.value).startswith(f"{path}: does not fit WanTransformer3DModel: key '")
    assert torch.equal(see(made.transformer), before)


@pytest.mark.parametrize("style", STYLES)
def test_one_misspelt_key_is_named(style, pipe, tmp_path):
    """Whatever the style, a single key too many is enough."""
    made, path = pipe(style), tmp_path / "a.safetensors"
    write(path, style, made.transformer)
    tensors = load_file(path)
    key = next(key for key in tensors if "layers" in key or "blocks" in key)
    tensors[key.replace("layers", "lairs").replace("blocks", "blacks")] = tensors.pop(key)
    save_file(tensors, path)
    with pytest.raises(BadFile, match=r"key '.*(lairs|blacks)"):
        wear(made, (on(path),))


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


@pytest.mark.parametrize("words", ["[]", "{", '{"transformer.alpha_pattern": {"to_q": 2}}'])
def test_metadata_that_is_not_understood_is_an_error(words, pipe, tmp_path):
    """A scale that is not read would be a wrong picture."""
    made, path = pipe("Z-Image"), tmp_path / "a.safetensors"
    write(path, "Z-Image diffusers", made.transformer, metadata={"lora_adapter_metadata": words})
    with pytest.raises(BadFile, match=r"metadata|alpha_pattern"):
        wear(made, (on(path),))


def test_a_file_that_is_empty_or_cut_short_is_an_error(pipe, tmp_path):
    """No module matched is never silence."""
    made, path = pipe("Wan"), tmp_path / "a.safetensors"
    save_file({}, path)
    with pytest.raises(BadFile, match="changes nothing in WanTransformer3DModel"):
        wear(made, (on(path),))
    write(path, "Wan musubi", made.transformer)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadFile, match=r"a\.safetensors: has \d+ of \d+ bytes"):
        wear(made, (on(path),))


@pytest.mark.parametrize("family", ["Wan", "Z-Image"])
def test_the_other_familys_adapter_names_its_own(family, pipe, networks, tmp_path):
    """A Wan adapter on Z-Image, and the other way round."""
    other = {"Wan": "Z-Image", "Z-Image": "Wan"}[family]
    path = tmp_path / "a.safetensors"
    write(path, f"{other} ai-toolkit", networks[other])
    with pytest.raises(BadFile, match=rf"seems made for {other}"):
        wear(pipe(family), (on(path),))
