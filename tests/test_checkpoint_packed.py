"""Weights in 8 bits or fewer: widened as their formula says, and the same whether kept or not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gpu.checkpoint.network import network
from gpu.checkpoint.packed import Fp8Linear, widen_fp8
from gpu.checkpoint.tensors import open_tensors
from gpu.turbo.int8 import Int8Linear
from gpu.turbo.sla import Blocks
from tests.manifest import tensors
from tests.test_checkpoint_load import QWEN, TURBO, UMT5, WAN, Z_IMAGE, load, wan, z_image

FP8 = torch.float8_e4m3fn


def fp8(weights, *, scale_name=None, where="layers."):
    """Return `weights` as ComfyUI repackages them: linear weights of blocks in fp8, scaled."""
    made, plain = {}, {}
    for key, value in weights.items():
        made[key] = plain[key] = value
        if where in key and key.endswith(".weight") and value.ndim == 2:
            scale = value.abs().max().float() / 448 if scale_name else torch.tensor(1.0)
            made[key] = (value.float() / scale).to(FP8)
            plain[key] = made[key].float() * scale
            if scale_name:
                made[key.removesuffix(".weight") + scale_name] = scale
    return made, plain


@pytest.mark.parametrize("scale_name", [None, ".scale_weight", ".weight_scale"])
def test_fp8_weights_are_the_stored_ones_times_their_scale(scale_name, tmp_path):
    """Cast or scaled; the fused rows of query, key and value share one scale."""
    packed, plain = fp8(tensors("z_image"), scale_name=scale_name)
    kind = "ZImageTransformer2DModel"
    ours = load(packed, tmp_path / "fp8.safetensors", kind, Z_IMAGE)
    theirs = load(plain, tmp_path / "plain.safetensors", kind, Z_IMAGE)
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.get_parameter(key), value), key


def test_kept_fp8_draws_the_same_in_half_the_memory(tmp_path):
    """Bit for bit in bfloat16; embedders, which read their weight's format, are widened."""
    packed, _ = fp8(tensors("z_image"), scale_name=".weight_scale", where=".")
    packed |= {"layers.0.feed_forward.w1.comfy_quant": torch.zeros(27, dtype=torch.uint8)}
    path, kind = tmp_path / "fp8.safetensors", "ZImageTransformer2DModel"
    wide = load(packed, path, kind, Z_IMAGE, dtype=torch.bfloat16)
    kept = load(packed, path, kind, Z_IMAGE, dtype=torch.bfloat16, keep=True)
    assert isinstance(kept.layers[0].attention.to_k, Fp8Linear)
    assert kept.layers[0].attention.to_k.weight.dtype == FP8
    assert kept.t_embedder.mlp[0].weight.dtype == torch.bfloat16
    assert kept.cap_embedder[1].weight.dtype == torch.bfloat16
    assert torch.equal(out := draw_bf16(kept), draw_bf16(wide))
    assert out.isfinite().all()
    made = network(open_tensors(path), "diffusers", kind, Z_IMAGE)
    assert held(kept.layers) < 0.55 * held(wide.layers)
    assert made.bytes(2, keep_packed=True) == pytest.approx(held(kept), rel=0.01)


def held(module):
    return sum(each.nbytes for each in module.state_dict().values())


def draw_bf16(module):
    with torch.no_grad():
        latents = [torch.ones(16, 1, 8, 8, dtype=torch.bfloat16)]
        words = [torch.ones(5, 64, dtype=torch.bfloat16)]
        return module(latents, torch.tensor([0.3]), words).sample[0]


def test_turbo_diffusions_int8_file_keeps_its_own_numbers(tmp_path):
    """Ten layers a block multiply in 8 bits, as published; nearly what the widened weights give."""
    weights = tensors("turbo_wan2.1_t2v_1.3b_quant")
    plain = {key: value for key, value in weights.items() if not key.endswith(".scale")}
    for key in [key for key in plain if key.endswith(".int8_weight")]:
        stem = key.removesuffix(".int8_weight")
        tiles = weights[f"{stem}.scale"].repeat_interleave(128, 0).repeat_interleave(128, 1)
        plain[f"{stem}.weight"] = plain.pop(key) * tiles
    kind = "WanTransformer3DModel"
    ours = load(weights, tmp_path / "quant.pth", kind, TURBO)
    wide = load(plain, tmp_path / "wide.pth", kind, TURBO)
    layers = [each for each in ours.blocks[0].modules() if isinstance(each, Int8Linear)]
    assert len(layers) == 10
    q = ours.blocks[1].attn1.to_q
    assert torch.equal(q.int8_weight, weights["blocks.1.self_attn.q.int8_weight"])
    assert torch.equal(q.scale, weights["blocks.1.self_attn.q.scale"])
    assert torch.equal(q.bias, weights["blocks.1.self_attn.q.bias"].float())
    out, expected = wan(ours), wan(wide)
    assert (out - expected).norm() < 0.05 * expected.norm()
    made = network(open_tensors(tmp_path / "quant.pth"), "diffusers", kind, TURBO, Blocks(1))
    assert made.bytes(4, keep_packed=False) == pytest.approx(held(ours), rel=0.01)


def test_fp8_files_of_wan_keep_their_embedders_wide(tmp_path):
    """The time embedder casts its input to its weight's format: fp8 there would compute in fp8."""
    packed, _ = fp8(tensors("wan2.1_t2v_1.3b"), scale_name=".scale_weight", where="e")
    kind = "WanTransformer3DModel"
    kept = load(packed, tmp_path / "w.safetensors", kind, WAN, keep=True)
    wide = load(packed, tmp_path / "w.safetensors", kind, WAN)
    assert kept.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
    assert torch.equal(wan(kept), wan(wide))


def test_a_kept_text_encoder_encodes_the_same(tmp_path):
    """umT5's `wo` casts its input to its weight's format, so it is widened; the rest is kept."""
    packed, _ = fp8(tensors("umt5_xxl"), scale_name=".scale_weight", where=".")
    config = {**UMT5, "relative_attention_num_buckets": 32}
    path = tmp_path / "umt5.safetensors"
    kept, wide = (
        load(packed, path, "UMT5EncoderModel", config, dtype=torch.bfloat16, keep=keep)
        for keep in (True, False)
    )
    layer = kept.encoder.block[1].layer[1].DenseReluDense
    assert (layer.wi_1.weight.dtype, layer.wo.weight.dtype) == (FP8, torch.bfloat16)
    ids = torch.arange(7)[None]
    with torch.no_grad():
        assert torch.equal(kept(ids).last_hidden_state, wide(ids).last_hidden_state)


def test_gguf_is_read_as_llama_cpps_own_library_reads_it(tmp_path):
    """Blocks of 32 in 8 bits: widened to what `gguf` makes of them; kept, they draw the same."""
    gguf = pytest.importorskip("gguf")
    weights, path = tensors("z_image"), tmp_path / "z.gguf"
    writer = gguf.GGUFWriter(path, "lumina2")
    expected = {}
    for key, value in weights.items():
        numbers = value.float().numpy()
        if key.startswith("layers.") and value.ndim == 2:
            blocks = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(key, blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
            numbers = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(key, numbers)
        expected[key] = torch.from_numpy(numbers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    kind = "ZImageTransformer2DModel"
    theirs = load(expected, tmp_path / "plain.safetensors", kind, Z_IMAGE)
    ours, kept = (
        network(open_tensors(path), "diffusers", kind, Z_IMAGE).fill(
            dtype=torch.float32, device="cpu", keep_packed=keep
        )
        for keep in (False, True)
    )
    for key, value in theirs.state_dict().items():
        assert torch.allclose(ours.get_parameter(key), value, rtol=1e-3), key
    assert kept.layers[1].attention.to_v.weight.dtype == torch.uint8
    assert torch.allclose(z_image(kept), z_image(ours), rtol=1e-4, atol=1e-4)
    assert held(kept.layers) < 0.35 * held(ours.layers)  # 34 bytes for 32 numbers


@pytest.mark.parametrize(
    ("name", "kind", "config", "arch", "unread"),
    [("qwen_3_4b", "Qwen3Model", QWEN, "QWEN3", None),
     ("umt5_xxl", "UMT5EncoderModel", UMT5, "T5ENCODER", "spiece_model")],
)  # fmt: skip
def test_text_encoders_in_llama_cpps_names(name, kind, config, arch, unread, tmp_path):
    """The names are those of its own map from transformers' names."""
    gguf = pytest.importorskip("gguf")
    config = {**config, "relative_attention_num_buckets": 32} if "umt5" in name else config
    weights = tensors(name)
    weights.pop(unread, None)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[arch], 2)
    theirs = {names.get_name(key, try_suffixes=(".weight",)): w for key, w in weights.items()}
    first = load(theirs, tmp_path / "llama.safetensors", kind, config)
    second = load(weights, tmp_path / "comfy.safetensors", kind, config)
    for key, value in second.state_dict().items():
        assert torch.equal(first.state_dict()[key], value), key


def test_an_fp8_layer_without_a_scale_is_a_cast():
    """Files before scales were published hold the weights cast."""
    weight = torch.randn(4, 8).to(FP8)
    layer = Fp8Linear(nn.Linear(8, 4, bias=False), weight, None)
    given = torch.randn(2, 8)
    assert torch.equal(layer(given), given @ weight.float().T)
    assert torch.equal(widen_fp8(weight, None, torch.float32), weight.float())
