"""Puts trained parts together as shipped: ``python -m gpu.mini.train.pack WORK OUT``.

The transformers' pipelines with the polished autoencoders in bf16, and the tokenizer and the
vocabulary as they lie in the source. Where they were trained is nobody's business: paths go.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from gpu.mini.train.text import FOLDER

MINI = Path(__file__).parents[1]


def pack(work: Path, out: Path) -> int:
    """Writes ``out/image`` and ``out/video``; returns the weights' bytes.

    ``work`` holds ``image/image``, ``video/video`` (pipelines) and, where decoders were trained
    further, ``polished/image_vae`` and ``polished/video_vae``.
    """
    from diffusers import AutoencoderKL, AutoencoderKLWan

    for name, kind in (("image", AutoencoderKL), ("video", AutoencoderKLWan)):
        shutil.copytree(work / name / name, out / name, dirs_exist_ok=True)
        polished = work / "polished" / f"{name}_vae"
        if polished.exists():
            kind.from_pretrained(polished).to(torch.bfloat16).save_pretrained(out / name / "vae")
        shutil.copy(MINI / "vocabulary.json", out / name)
        shutil.copytree(FOLDER, out / name / "tokenizer", dirs_exist_ok=True)
    for config in out.rglob("config.json"):
        told = json.loads(config.read_text(encoding="utf-8"))
        told.pop("_name_or_path", None)
        config.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in out.rglob("*.safetensors"))


def main() -> None:
    """Reads the command line and packs."""
    ask = argparse.ArgumentParser(prog="python -m gpu.mini.train.pack", description=__doc__)
    ask.add_argument("work", type=Path, help="holds image/image, video/video, polished/")
    ask.add_argument("out", type=Path, help="gets image/ and video/")
    given = ask.parse_args()
    # Shards of another training would lie beside the new ones, and be shipped.
    if given.out.exists() and any(given.out.iterdir()):
        ask.error(f"{given.out} is not empty: choose another folder")
    print(pack(given.work, given.out), "bytes of weights")


if __name__ == "__main__":
    main()
