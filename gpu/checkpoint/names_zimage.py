"""The names in files of Z-Image: its transformer, FLUX's autoencoder, Qwen3's text encoder.

Sources: diffusers' single-file converters (0.42.1), ComfyUI's `z_image_to_diffusers`
(comfy/utils.py), llama.cpp's tensor names.
"""

from __future__ import annotations

from gpu.checkpoint.naming import AS_IS, COMFY, Layout, Rule, rules

TRANSFORMER = Layout(
    "ComfyUI's",
    ("layers.#.attention.qkv.weight", "noise_refiner.#.attention.qkv.weight"),
    (
        Rule("*.attention.qkv.*", tuple(f"*.attention.to_{part}.*" for part in "qkv")),
        # leejet's GGUF files store the tokens as [3840].
        *rules(("x_pad_token", "x_pad_token"), ("cap_pad_token", "cap_pad_token"), reshape=True),
        *rules(
            ("x_embedder.*", "all_x_embedder.2-1.*"),
            ("final_layer.*", "all_final_layer.2-1.*"),
            ("*.attention.out.*", "*.attention.to_out.0.*"),
            ("*.attention.q_norm.*", "*.attention.norm_q.*"),
            ("*.attention.k_norm.*", "*.attention.norm_k.*"),
        ),
        Rule("norm_final.weight"),  # of Lumina 2, where the code comes from; nothing reads it
        *AS_IS,
    ),
    COMFY,
)

VAE = Layout(
    "FLUX's",
    ("encoder.down.#.block.#.conv1.weight", "decoder.up.#.block.#.conv1.weight"),
    (
        *rules(  # 1x1 convolutions there, linear layers here
            *(
                (f"*.mid.attn_1.{theirs}.weight", f"*.mid_block.attentions.0.{ours}.weight")
                for theirs, ours in
                [("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")]
            ),
            reshape=True,
        ),
        *rules(
            ("*.mid.attn_1.norm.*", "*.mid_block.attentions.0.group_norm.*"),
            ("*.mid.attn_1.q.bias", "*.mid_block.attentions.0.to_q.bias"),
            ("*.mid.attn_1.k.bias", "*.mid_block.attentions.0.to_k.bias"),
            ("*.mid.attn_1.v.bias", "*.mid_block.attentions.0.to_v.bias"),
            ("*.mid.attn_1.proj_out.bias", "*.mid_block.attentions.0.to_out.0.bias"),
            ("*.mid.block_1.*", "*.mid_block.resnets.0.*"),
            ("*.mid.block_2.*", "*.mid_block.resnets.1.*"),
            ("encoder.down.#.block.#.nin_shortcut.*",
             "encoder.down_blocks.#.resnets.#.conv_shortcut.*"),
            ("encoder.down.#.block.#.*", "encoder.down_blocks.#.resnets.#.*"),
            ("encoder.down.#.downsample.*", "encoder.down_blocks.#.downsamplers.0.*"),
            *(  # its four levels count from the finest
                pair
                for level in range(4)
                for pair in (
                    (f"decoder.up.{level}.block.#.nin_shortcut.*",
                     f"decoder.up_blocks.{3 - level}.resnets.#.conv_shortcut.*"),
                    (f"decoder.up.{level}.block.#.*",
                     f"decoder.up_blocks.{3 - level}.resnets.#.*"),
                    (f"decoder.up.{level}.upsample.*",
                     f"decoder.up_blocks.{3 - level}.upsamplers.0.*"),
                )
            ),
            ("*.norm_out.*", "*.conv_norm_out.*"),
        ),
        *AS_IS,
    ),
    ("first_stage_model.", "vae."),
)  # fmt: skip

QWEN = Layout(
    "Qwen's",
    ("layers.#.self_attn.q_proj.weight",),
    (
        Rule("lm_head.weight"),  # writes text; the encoder only reads it
        *AS_IS,
    ),
    ("model.",),
)

LLAMA_QWEN = Layout(
    "llama.cpp's",
    ("blk.#.attn_q.weight",),
    (
        *rules(
            *(
                (f"blk.#.{theirs}.weight", f"layers.#.{ours}.weight")
                for theirs, ours in [
                    ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"),
                    ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.o_proj"),
                    ("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm"),
                    ("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"),
                    ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"),
                    ("ffn_down", "mlp.down_proj"),
                ]
            ),
            ("token_embd.weight", "embed_tokens.weight"),
            ("output_norm.weight", "norm.weight"),
        ),
        Rule("output.weight"),
    ),
)  # fmt: skip
