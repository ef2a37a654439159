"""Small files in publishers' layouts become modules that compute what the references' own do.

The files are written from the manifests; the reference module is filled by diffusers' converters,
or by names spelt out here: never by the project's own patterns.
"""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from safetensors.torch import save_file

from gpu.checkpoint.network import blank, network
from gpu.checkpoint.tensors import open_tensors
from gpu.turbo.sla import Blocks, SLAProcessor
from tests.manifest import tensors

Z_IMAGE = {"dim": 96, "n_heads": 4, "n_kv_heads": 4, "n_layers": 2, "n_refiner_layers": 1,
           "cap_feat_dim": 64, "axes_dims": [8, 8, 8], "axes_lens": [64, 64, 64]}  # fmt: skip
VAE = {"block_out_channels": [32, 64, 128, 128], "latent_channels": 16, "layers_per_block": 2,
       "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
       "norm_num_groups": 32, "use_quant_conv": False, "use_post_quant_conv": False}  # fmt: skip
WAN = {"num_attention_heads": 3, "attention_head_dim": 12, "in_channels": 16, "out_channels": 12,
       "ffn_dim": 52, "text_dim": 20, "freq_dim": 8, "num_layers": 2}  # fmt: skip
TURBO = {**WAN, "num_attention_heads": 2, "attention_head_dim": 128, "ffn_dim": 384}
WAN_VAE = {"base_dim": 8, "z_dim": 16}
WAN_22_VAE = {"base_dim": 8, "decoder_base_dim": 12, "z_dim": 48, "is_residual": True,
              "in_channels": 12, "out_channels": 12, "patch_size": 2, "latents_mean": [0.0] * 48,
              "latents_std": [1.0] * 48, "scale_factor_spatial": 16}  # fmt: skip
QWEN = {"vocab_size": 1536, "hidden_size": 64, "intermediate_size": 56, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 12}  # fmt: skip
UMT5 = {"vocab_size": 333, "d_model": 40, "d_kv": 8, "num_heads": 4, "d_ff": 56, "num_layers": 2,
        "feed_forward_proj": "gated-gelu"}  # fmt: skip


def load(weights, path, kind, config, *, dtype=torch.float32, keep=False):
    """Return the module of `kind` read from a file of `weights`."""
    if path.suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    library = "transformers" if kind in ("Qwen3Model", "UMT5EncoderModel") else "diffusers"
    sla = Blocks(1) if any("proj_l" in key for key in weights) else None
    made = network(open_tensors(path), library, kind, config, sla)
    return made.fill(dtype=dtype, device="cpu", keep_packed=keep)


def reference(kind, config, weights):
    """Return diffusers' module of `config`, strictly filled with `weights` under its own names."""
    import diffusers

    module = getattr(diffusers, kind).from_config(config)
    module.load_state_dict({key: value.float() for key, value in weights.items()})
    return module.eval()


def converted(name, weights, **options):
    """Return `weights` under diffusers' names, by its own single-file converter."""
    from diffusers.loaders import single_file_utils

    return getattr(single_file_utils, name)(copy.copy(weights), **options)


def z_image(module):
    generator = torch.Generator().manual_seed(1)
    latents = [torch.randn(16, 1, 8, 8, generator=generator)]
    words = [torch.randn(5, module.config.cap_feat_dim, generator=generator)]
    with torch.no_grad():
        return module(latents, torch.tensor([0.3]), words).sample[0]


def wan(module):
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, module.config.in_channels, 2, 4, 4, generator=generator)
    words = torch.randn(1, 6, module.config.text_dim, generator=generator)
    with torch.no_grad():
        return module(latents, torch.tensor([500]), words).sample


def assert_same(module, weights):
    """Every parameter is that of `weights`, none is left over."""
    held = module.state_dict()
    assert held.keys() == weights.keys()
    assert not [key for key in held if not torch.equal(held[key], weights[key].float())]


def test_z_image_computes_what_diffusers_own_converter_makes(tmp_path):
    """ComfyUI's fused rows become query, key and value, in that order."""
    weights = tensors("z_image")
    ours = load(weights, tmp_path / "z.safetensors", "ZImageTransformer2DModel", Z_IMAGE)
    theirs = converted("convert_z_image_transformer_checkpoint_to_diffusers", weights)
    out = z_image(ours)
    assert torch.equal(out, z_image(reference("ZImageTransformer2DModel", Z_IMAGE, theirs)))
    assert out.std() > 0.01


def test_a_stray_norm_of_lumina_is_passed_over(tmp_path):
    """Community files carry it; pad tokens may lack their first axis (leejet's GGUF)."""
    weights = tensors("z_image")
    ours = load(weights, tmp_path / "a.safetensors", "ZImageTransformer2DModel", Z_IMAGE)
    weights |= {"norm_final.weight": torch.ones(96), "x_pad_token": weights["x_pad_token"][0]}
    other = load(weights, tmp_path / "b.safetensors", "ZImageTransformer2DModel", Z_IMAGE)
    assert torch.equal(z_image(ours), z_image(other))


def test_flux_autoencoder_is_what_diffusers_own_converter_makes(tmp_path):
    """Levels turned round, 1x1 convolutions of the attention made linear."""
    weights = tensors("ae")
    ours = load(weights, tmp_path / "ae.safetensors", "AutoencoderKL", VAE)
    theirs = converted("convert_ldm_vae_checkpoint", weights, config=VAE)
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["wan2.1_t2v_1.3b", "wan2.2_i2v_a14b"])
def test_wan_computes_what_diffusers_own_converter_makes(name, tmp_path):
    """Wan's names, with the swapped norms."""
    config = {**WAN, "in_channels": 36 if "i2v" in name else 16}
    weights = tensors(name)
    ours = load(weights, tmp_path / "wan.safetensors", "WanTransformer3DModel", config)
    theirs = converted("convert_wan_transformer_to_diffusers", weights)
    assert torch.equal(wan(ours), wan(reference("WanTransformer3DModel", config, theirs)))


def test_wan_21_image_to_video_has_the_image_branch(tmp_path):
    """The keys and values of CLIP's features, and their embedder."""
    config = {**WAN, "in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 36}
    weights = tensors("wan2.1_i2v_14b")
    ours = load(weights, tmp_path / "wan.safetensors", "WanTransformer3DModel", config)
    theirs = converted("convert_wan_transformer_to_diffusers", weights)
    assert_same(ours, theirs)


def test_wan_autoencoder_is_what_diffusers_own_converter_makes(tmp_path):
    """A pickle of plain tensors, as Wan publishes it."""
    weights = tensors("wan_2.1_vae")
    ours = load(weights, tmp_path / "Wan2.1_VAE.pth", "AutoencoderKLWan", WAN_VAE)
    theirs = converted("convert_wan_vae_to_diffusers", weights)
    assert_same(ours, theirs)


def test_wan_22_autoencoder_keeps_the_order_of_its_blocks(tmp_path):
    """diffusers 0.42.1 converts no such file: its blocks are nested as in the publisher's."""
    weights = tensors("wan2.2_vae")
    ours = load(weights, tmp_path / "vae.safetensors", "AutoencoderKLWan", WAN_22_VAE).state_dict()
    for theirs, name in {
        "encoder.downsamples.1.downsamples.0.residual.2.weight":
            "encoder.down_blocks.1.resnets.0.conv1.weight",
        "encoder.downsamples.1.downsamples.1.residual.6.bias":
            "encoder.down_blocks.1.resnets.1.conv2.bias",
        "encoder.downsamples.2.downsamples.2.time_conv.weight":
            "encoder.down_blocks.2.downsampler.time_conv.weight",
        "encoder.middle.2.residual.3.gamma": "encoder.mid_block.resnets.1.norm2.gamma",
        "decoder.upsamples.0.upsamples.2.residual.0.gamma":
            "decoder.up_blocks.0.resnets.2.norm1.gamma",
        "decoder.upsamples.2.upsamples.3.resample.1.weight":
            "decoder.up_blocks.2.upsampler.resample.1.weight",
        "decoder.middle.1.to_qkv.weight": "decoder.mid_block.attentions.0.to_qkv.weight",
        "conv1.weight": "quant_conv.weight",
        "decoder.head.2.weight": "decoder.conv_out.weight",
    }.items():  # fmt: skip
        assert torch.equal(ours[name], weights[theirs].float()), name


def test_turbo_diffusion_computes_what_its_dense_twin_does(tmp_path):
    """Its linear patch embedding is a convolution here; proj_l has a place, in float32."""
    weights = tensors("turbo_wan2.1_t2v_1.3b")
    ours = load(weights, tmp_path / "turbo.pth", "WanTransformer3DModel", TURBO)
    theirs = converted("convert_wan_transformer_to_diffusers", weights)
    shape = (256, 16, 1, 2, 2)
    theirs["patch_embedding.weight"] = theirs["patch_embedding.weight"].reshape(shape)
    loose = {key: theirs.pop(key) for key in list(theirs) if "proj_l" in key}
    for block in ours.blocks:
        assert isinstance(block.attn1.processor, SLAProcessor)
        block.attn1.set_processor(WanAttnProcessor())  # diffusers' dense one
    assert torch.equal(wan(ours), wan(reference("WanTransformer3DModel", TURBO, theirs)))
    for block, (name, value) in enumerate(
        (key, value) for key, value in loose.items() if key.endswith("weight")
    ):
        assert f"blocks.{block}." in name
        assert torch.equal(ours.blocks[block].attn1.proj_l.weight, value)


def test_qwen_computes_what_transformers_does(tmp_path):
    """ComfyUI's file has the names of the language model, of which this is the base."""
    from transformers import Qwen3Config, Qwen3Model

    weights = tensors("qwen_3_4b")
    ours = load(weights, tmp_path / "qwen.safetensors", "Qwen3Model", QWEN)
    theirs = Qwen3Model(Qwen3Config(**QWEN)).eval()
    theirs.load_state_dict({key.removeprefix("model."): w.float() for key, w in weights.items()})
    ids = torch.arange(7)[None]
    with torch.no_grad():
        assert torch.equal(ours(ids).last_hidden_state, theirs(ids).last_hidden_state)


def test_umt5_is_the_same_from_comfyui_and_from_wan(tmp_path):
    """The same tensors under Wan's names, spelt out here; the tokenizer inside is passed over."""
    from transformers import UMT5Config, UMT5EncoderModel

    config = {**UMT5, "relative_attention_num_buckets": 32}
    weights = tensors("umt5_xxl")
    layers = {"0.SelfAttention.q": "attn.q", "0.SelfAttention.k": "attn.k",
              "0.SelfAttention.v": "attn.v", "0.SelfAttention.o": "attn.o",
              "0.SelfAttention.relative_attention_bias": "pos_embedding.embedding",
              "0.layer_norm": "norm1", "1.layer_norm": "norm2", "1.DenseReluDense.wi_0":
              "ffn.gate.0", "1.DenseReluDense.wi_1": "ffn.fc1", "1.DenseReluDense.wo": "ffn.fc2",
              }  # fmt: skip
    wans = {"token_embedding.weight": weights["shared.weight"],
            "norm.weight": weights["encoder.final_layer_norm.weight"]} | {
        f"blocks.{n}.{theirs}.weight": weights[f"encoder.block.{n}.layer.{name}.weight"]
        for n in range(2) for name, theirs in layers.items()
    }  # fmt: skip
    first = load(weights, tmp_path / "umt5.safetensors", "UMT5EncoderModel", config)
    second = load(wans, tmp_path / "models_t5.pth", "UMT5EncoderModel", config)
    plain = UMT5EncoderModel(UMT5Config(**config)).eval()
    weights.pop("spiece_model")
    same = {"encoder.embed_tokens.weight": weights["shared.weight"], **weights}
    plain.load_state_dict({key: value.float() for key, value in same.items()})
    ids = torch.arange(7)[None]
    with torch.no_grad():
        out = plain(ids).last_hidden_state
        assert torch.equal(first(ids).last_hidden_state, out)
        assert torch.equal(second(ids).last_hidden_state, out)


@pytest.mark.parametrize(
    ("name", "kind", "config"),
    [("z_image", "ZImageTransformer2DModel", Z_IMAGE),
     ("wan2.1_t2v_1.3b", "WanTransformer3DModel", WAN)],
)  # fmt: skip
def test_number_formats_are_those_of_from_pretrained(name, kind, config, tmp_path):
    """Each parameter has the format, and the bits, that the Hub's folder gives."""
    import diffusers

    folder = tmp_path / "hub"
    load(tensors(name), tmp_path / "x.safetensors", kind, config).save_pretrained(folder)
    theirs = getattr(diffusers, kind).from_pretrained(folder, dtype=torch.bfloat16).state_dict()
    ours = load(tensors(name), tmp_path / "x.safetensors", kind, config, dtype=torch.bfloat16)
    for key, value in ours.state_dict().items():
        assert value.dtype == theirs[key].dtype, key
        assert torch.equal(value, theirs[key]), key


def test_the_hubs_own_names_load_too(tmp_path):
    """A single file in the layout of diffusers, whole or in shards with their index."""
    weights = tensors("z_image")
    ours = load(weights, tmp_path / "z.safetensors", "ZImageTransformer2DModel", Z_IMAGE)
    ours.save_pretrained(tmp_path / "hub", max_shard_size="200KB")
    index = tmp_path / "hub" / "diffusion_pytorch_model.safetensors.index.json"
    made = network(open_tensors(index), "diffusers", "ZImageTransformer2DModel", Z_IMAGE)
    again = made.fill(dtype=torch.float32, device="cpu", keep_packed=False)
    assert_same(again, ours.state_dict())


def test_a_blank_module_has_no_memory():
    """Built on the meta device; its buffers are real, for they are in no file."""
    module = blank("diffusers", "WanTransformer3DModel", WAN)
    assert {each.device.type for each in module.parameters()} == {"meta"}
    assert {each.device.type for each in module.buffers()} == {"cpu"}
