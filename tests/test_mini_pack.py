"""Trained parts become the two pipelines that are shipped."""

import shutil
from pathlib import Path

import pytest
import torch

from gpu.mini.train.image_vae import new_vae
from gpu.mini.train.pack import MINI, pack

WEIGHTS = Path(__file__).parents[1] / "gpu" / "mini" / "weights"


@pytest.mark.slow
def test_the_polished_autoencoder_is_packed(tmp_path: Path) -> None:
    """A decoder trained further replaces the pipeline's own, in bf16; the rest is kept."""
    from safetensors.torch import load_file

    for name in ("image", "video"):
        shutil.copytree(WEIGHTS / name, tmp_path / "work" / name / name)
    vae = new_vae()
    vae.save_pretrained(tmp_path / "work" / "polished" / "image_vae")
    assert pack(tmp_path / "work", tmp_path / "out") <= 48 * 2**20
    packed = load_file(tmp_path / "out/image/vae/diffusion_pytorch_model.safetensors")
    assert torch.equal(packed["decoder.conv_in.weight"], vae.decoder.conv_in.weight.bfloat16())
    assert (tmp_path / "out" / "video" / "vocabulary.json").read_bytes() == (
        MINI / "vocabulary.json"
    ).read_bytes()
    kept = "transformer/config.json"
    assert (tmp_path / "out" / "image" / kept).read_bytes() == (
        WEIGHTS / "image" / kept
    ).read_bytes()
