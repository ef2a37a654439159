"""Which model an adapter's file seems made for, for the message that it does not fit this one."""

from __future__ import annotations

from collections.abc import Mapping

FAMILIES = (
    ("single_transformer_blocks", "FLUX"),
    ("double_blocks", "FLUX or HunyuanVideo"),
    ("joint_blocks", "Stable Diffusion 3"),
    ("down_blocks", "Stable Diffusion"),
    ("input_blocks", "Stable Diffusion"),
    ("transformer_blocks", "Qwen-Image, LTX or FLUX"),
    ("self_attn", "Wan"),
    ("attn2", "Wan"),
    ("noise_refiner", "Z-Image or Lumina 2"),
    ("layers_0_attention", "Z-Image or Lumina 2"),
)
"""Parts of a layer's name that only some models have; the first in a file decides."""
WIDTHS = {1536: "Wan 1.3B", 3072: "Wan 2.2 5B", 5120: "Wan 14B", 3840: "Z-Image", 2304: "Lumina 2"}
"""How many numbers a token is, of models of the families of which there are several."""
SEVERAL = ("Wan", "Z-Image or Lumina 2")
ADVICE = {
    ("lora_te", "text_encoder"): "it changes the text encoder too, which is left as it is here",
    (".lokr_", ".hada_"): "it is a LoKr or LoHa: export it as a LoRA",
    (".dora_scale", ".lora_magnitude_vector"): "it is a DoRA: export it as a LoRA",
    ("base_model.model.",): "its scale is in adapter_config.json: save it with save_lora_weights",
}
"""What parts of keys say of a file of the right family."""


def seems(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return a phrase for the end of a message, "" where nothing is recognised.

    Args:
        shapes: of the file's tensors, by key.
    """
    flat = {key.replace(".", "_"): shape for key, shape in shapes.items()}
    family = next((made for part, made in FAMILIES if any(part in key for key in flat)), "")
    if family in ("", *SEVERAL):
        for parts, advice in ADVICE.items():
            if any(part in key for part in parts for key in shapes):
                return f"; {advice}"
    if family in SEVERAL:
        inputs = {shape[1] for key, shape in flat.items() if len(shape) == 2 and _looks(key)}
        family = next((WIDTHS[width] for width in sorted(inputs) if width in WIDTHS), family)
    if family.startswith("Wan") and any("k_img" in key for key in flat):
        family += " image-to-video"
    return f"; it seems made for {family}" if family else ""


def _looks(key: str) -> bool:
    """Whether a tensor is the A of a self-attention's query: as wide as a token."""
    down = ("lora_A" in key) or ("lora_down" in key)
    return down and any(part in key for part in ("self_attn_q", "attn1_to_q", "attention_"))
