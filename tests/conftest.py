"""What several test files share: tiny real models, and a stage's surroundings."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import requests  # noqa: F401  (it sets warning filters, which another thread may put back midway)

from catalogs.store import Store
from configs.campaign import Brand, Campaign, Product
from configs.home import Home
from configs.model import Model
from configs.settings import Settings
from gpu.weights import WeightsSpec
from tasks.stage import Cell, Studio

# Before anything imports Prefect: the tests have a database of their own.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="keyreel-prefect-")

SHIPPED = Path(__file__).parent.parent / "gpu" / "mini" / "weights"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that may take longest, so that two workers end together."""
    most: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = marker.args[0] if marker else int(item.get_closest_marker("slow") is not None)
        most[item.path] = max(most.get(item.path, 0), seconds)
    items.sort(key=lambda item: -most[item.path])


def with_tokenizer(folder: Path, kind: str) -> Path:
    """Give a model's own folder the shipped tokenizer of `image` or `video`; return the folder."""
    room = folder / "tokenizer"
    room.mkdir(parents=True)
    shutil.copy(SHIPPED / kind / "tokenizer" / "tokenizer.json", room)
    return folder


@pytest.fixture(scope="session")
def mini_picture():
    """The shipped picture model, as a recipe."""
    return WeightsSpec(SHIPPED / "image", "ZImagePipeline", "mini-picture", "bfloat16", "cpu")


@pytest.fixture
def cell():
    """Make the cell of one shot: `cell(model, settings={...}, **fields)`."""

    def make(model, settings=None, **fields):
        campaign = Campaign(
            name="test", brand=Brand(name="B"), products=(Product(id="p", name="mug"),),
            deliveries=("douyin",),
        )  # fmt: skip
        defaults = {
            "campaign": campaign,
            "product": campaign.products[0],
            "shot": "p/2026-03-02",
            "seed": 77,
            "settings": Settings.model_validate(settings or {}),
            "texts": {"prompt": "a red mug"},
            "pictures": {},
            "inputs": {},
            "aspect": "square",
            "model": model,
        }
        return Cell(**{**defaults, **fields})

    return make


@pytest.fixture
def studio(tmp_path):
    """Make the studio of an empty home: `studio(models, **fields)`."""

    def make(models, **fields):
        home = Home(tmp_path / "home")
        return Studio(home, Store(home.store), models, budget_gb=1, **fields)

    return make


@pytest.fixture
def picture_model():
    """The shipped picture model, at a size that is quick to draw."""
    sizes = {"portrait": (64, 96), "square": (64, 64), "landscape": (96, 64)}
    return Model(
        makes="picture", pipeline="ZImagePipeline", folder="image", shipped=True, dialect="mini",
        sizes=sizes, steps=2, max_steps=20, max_tokens=128,
    )  # fmt: skip


@pytest.fixture
def clip_model():
    """The tiny clip model, as models.yaml would say it."""
    sizes = {"portrait": (64, 96), "square": (64, 64), "landscape": (96, 64)}
    return Model(
        makes="clip", pipeline="WanImageToVideoPipeline", folder="tiny", dialect="wan",
        sizes=sizes, steps=2, min_steps=2, max_steps=20, max_tokens=64,
        frames=9, max_frames=33, fps=16,
    )  # fmt: skip


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
