"""What several test files share: tiny real models, and a stage's surroundings."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.weights import WeightsSpec

SHIPPED = Path(__file__).parent.parent / "gpu" / "mini" / "weights"


@pytest.fixture(scope="session")
def mini_picture():
    """The shipped picture model, as a recipe."""
    return WeightsSpec(SHIPPED / "image", "ZImagePipeline", "mini-picture", "bfloat16", "cpu")


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    """A random clip model of the production classes, 0.4 MB, as a recipe: its clips are noise."""
    folder = tmp_path_factory.mktemp("tiny-clip")
    build_tiny_clip(folder)
    return WeightsSpec(folder, "WanImageToVideoPipeline", "tiny-clip", "float32", "cpu")


def build_tiny_clip(folder: Path) -> None:
    """Save a pipeline of the layout of Wan 2.2 TI2V: 8x in space, 4x in time, one block each."""
    import torch
    from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

    from gpu.folder import quiet

    with quiet():
        from diffusers import (
            AutoencoderKLWan,
            FlowMatchEulerDiscreteScheduler,
            WanImageToVideoPipeline,
            WanTransformer3DModel,
        )

        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(SHIPPED / "image" / "tokenizer")
        pipe = WanImageToVideoPipeline(
            tokenizer=tokenizer,
            text_encoder=UMT5EncoderModel(
                UMT5Config(
                    vocab_size=len(tokenizer),
                    d_model=32,
                    d_kv=8,
                    d_ff=37,
                    num_layers=1,
                    num_heads=4,
                )
            ),
            vae=AutoencoderKLWan(
                base_dim=4,
                z_dim=4,
                dim_mult=[1, 1, 1],
                num_res_blocks=1,
                temperal_downsample=[True, True],
                latents_mean=[0.0] * 4,
                latents_std=[1.0] * 4,
                in_channels=12,
                out_channels=12,
                patch_size=2,
            ),
            transformer=WanTransformer3DModel(
                num_attention_heads=2,
                attention_head_dim=12,
                in_channels=4,
                out_channels=4,
                text_dim=32,
                freq_dim=16,
                ffn_dim=32,
                num_layers=1,
                rope_max_seq_len=64,
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=4.0),
            expand_timesteps=True,
        )
        pipe.save_pretrained(folder)
