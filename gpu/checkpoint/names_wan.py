"""The names in files of Wan: transformers (TurboDiffusion's too), autoencoders, umT5, CLIP.

Sources: Wan's and TurboDiffusion's own modules, diffusers' single-file converters (0.42.1).
"""

from __future__ import annotations

from itertools import product

from gpu.checkpoint.naming import AS_IS, COMFY, Layout, Rule, rules

_ATTENTION = (("self_attn", "attn1"), ("cross_attn", "attn2"))
_WAN = (
    *rules(("patch_embedding.weight", "patch_embedding.weight"), reshape=True),
    *rules(
        *(
            (f"blocks.#.{theirs}.{part}.*", f"blocks.#.{ours}.{name}.*")
            for (theirs, ours), (part, name) in product(
                _ATTENTION,
                [("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"),
                 ("k_img", "add_k_proj"), ("v_img", "add_v_proj"),
                 ("norm_k_img", "norm_added_k"), ("norm_q", "norm_q"), ("norm_k", "norm_k")],
            )
        ),
        ("patch_embedding.bias", "patch_embedding.bias"),
        ("blocks.#.norm3.*", "blocks.#.norm2.*"),  # the norm before cross-attention
        ("blocks.#.ffn.0.*", "blocks.#.ffn.net.0.proj.*"),
        ("blocks.#.ffn.2.*", "blocks.#.ffn.net.2.*"),
        ("blocks.#.modulation", "blocks.#.scale_shift_table"),
        ("text_embedding.0.*", "condition_embedder.text_embedder.linear_1.*"),
        ("text_embedding.2.*", "condition_embedder.text_embedder.linear_2.*"),
        ("time_embedding.0.*", "condition_embedder.time_embedder.linear_1.*"),
        ("time_embedding.2.*", "condition_embedder.time_embedder.linear_2.*"),
        ("time_projection.1.*", "condition_embedder.time_proj.*"),
        ("img_emb.proj.0.*", "condition_embedder.image_embedder.norm1.*"),
        ("img_emb.proj.1.*", "condition_embedder.image_embedder.ff.net.0.proj.*"),
        ("img_emb.proj.3.*", "condition_embedder.image_embedder.ff.net.2.*"),
        ("img_emb.proj.4.*", "condition_embedder.image_embedder.norm2.*"),
        ("head.head.*", "proj_out.*"),
        ("head.modulation", "scale_shift_table"),
    ),
)  # fmt: skip
TRANSFORMER = Layout("Wan's", ("blocks.#.self_attn.q.weight",), _WAN, COMFY)

TURBO = Layout(
    "TurboDiffusion's",
    ("blocks.#.self_attn.attn_op.local_attn.proj_l.weight",),
    (
        *rules(("blocks.#.self_attn.attn_op.local_attn.proj_l.*", "blocks.#.attn1.proj_l.*")),
        *_WAN,
    ),
    pickles="TurboDiffusion publishes .pth files only",
)

_RESNET = (
    ("residual.0.gamma", "norm1.gamma"), ("residual.2.*", "conv1.*"),
    ("residual.3.gamma", "norm2.gamma"), ("residual.6.*", "conv2.*"),
    ("shortcut.*", "conv_shortcut.*"),
)  # fmt: skip


def _resnets(theirs: str, ours: str) -> tuple[Rule, ...]:
    return rules(*((f"{theirs}.{old}", f"{ours}.{new}") for old, new in _RESNET))


_WAN_VAE = (
    *(
        rule
        for side, place in product(("encoder", "decoder"), (0, 2))
        for rule in _resnets(f"{side}.middle.{place}", f"{side}.mid_block.resnets.{place // 2}")
    ),
    *rules(
        ("*.middle.1.*", "*.mid_block.attentions.0.*"),
        ("*.conv1.*", "*.conv_in.*"),
        ("*.head.0.*", "*.norm_out.*"),
        ("*.head.2.*", "*.conv_out.*"),
        ("conv1.*", "quant_conv.*"),
        ("conv2.*", "post_quant_conv.*"),
    ),
)
_WAN_PICKLES = "Wan publishes its autoencoders as .pth only"

VAE = Layout(
    "Wan 2.1's",
    ("decoder.upsamples.#.residual.0.gamma",),
    (
        *(  # three resnets and an upsampler for each of its blocks, in one list
            rule
            for block, place in product(range(4), range(3))
            for rule in _resnets(
                f"decoder.upsamples.{4 * block + place}",
                f"decoder.up_blocks.{block}.resnets.{place}",
            )
        ),
        *rules(
            *(
                (
                    f"decoder.upsamples.{4 * block + 3}.*",
                    f"decoder.up_blocks.{block}.upsamplers.0.*",
                )
                for block in range(3)
            )
        ),
        *_resnets("encoder.downsamples.#", "encoder.down_blocks.#"),
        *rules(("encoder.downsamples.#.*", "encoder.down_blocks.#.*")),
        *_WAN_VAE,
    ),
    pickles=_WAN_PICKLES,
)

VAE_22 = Layout(
    "Wan 2.2's",
    ("decoder.upsamples.#.upsamples.#.residual.0.gamma",),
    (
        *_resnets("encoder.downsamples.#.downsamples.#", "encoder.down_blocks.#.resnets.#"),
        *_resnets("decoder.upsamples.#.upsamples.#", "decoder.up_blocks.#.resnets.#"),
        *rules(
            ("encoder.downsamples.#.downsamples.2.*", "encoder.down_blocks.#.downsampler.*"),
            ("decoder.upsamples.#.upsamples.3.*", "decoder.up_blocks.#.upsampler.*"),
        ),
        *_WAN_VAE,
    ),
    pickles=_WAN_PICKLES,
)

UMT5 = Layout(
    "ComfyUI's",
    ("encoder.block.#.layer.0.SelfAttention.q.weight",),
    (
        Rule("spiece_model"),  # the tokenizer, which we read from tokenizer.json
        Rule("encoder.embed_tokens.weight"),  # a second name of shared.weight
        *AS_IS,
    ),
)

WAN_UMT5 = Layout(
    "Wan's",
    ("blocks.#.attn.q.weight",),
    rules(
        *(
            (f"blocks.#.{theirs}.weight", f"encoder.block.#.layer.{ours}.weight")
            for theirs, ours in [
                ("norm1", "0.layer_norm"), ("norm2", "1.layer_norm"),
                *((f"attn.{part}", f"0.SelfAttention.{part}") for part in "qkvo"),
                ("pos_embedding.embedding", "0.SelfAttention.relative_attention_bias"),
                ("ffn.gate.0", "1.DenseReluDense.wi_0"), ("ffn.fc1", "1.DenseReluDense.wi_1"),
                ("ffn.fc2", "1.DenseReluDense.wo"),
            ]
        ),
        ("token_embedding.weight", "shared.weight"),
        ("norm.weight", "encoder.final_layer_norm.weight"),
    ),
    pickles="Wan publishes its text encoder as .pth only",
)  # fmt: skip

LLAMA_UMT5 = Layout(
    "llama.cpp's",
    ("enc.blk.#.attn_q.weight",),
    rules(
        *(
            (f"enc.blk.#.{theirs}.weight", f"encoder.block.#.layer.{ours}.weight")
            for theirs, ours in [
                *((f"attn_{part}", f"0.SelfAttention.{part}") for part in "qkvo"),
                ("attn_rel_b", "0.SelfAttention.relative_attention_bias"),
                ("attn_norm", "0.layer_norm"), ("ffn_norm", "1.layer_norm"),
                ("ffn_gate", "1.DenseReluDense.wi_0"), ("ffn_up", "1.DenseReluDense.wi_1"),
                ("ffn_down", "1.DenseReluDense.wo"),
            ]
        ),
        ("token_embd.weight", "shared.weight"),
        ("enc.output_norm.weight", "encoder.final_layer_norm.weight"),
    ),
)  # fmt: skip

CLIP_VISION = Layout(
    "ComfyUI's",
    ("vision_model.encoder.layers.#.layer_norm1.weight",),
    (
        Rule("visual_projection.weight"),  # Wan reads the last layer but one
        Rule("vision_model.embeddings.position_ids"),
        *rules(("vision_model.*", "*")),
    ),
)
