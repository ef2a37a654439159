"""A model's folder: whole and harmless, or refused in one sentence before anything is loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import WanPipeline
from PIL import Image
from safetensors.torch import load_file

from benchmarks.random_weights import make
from configs.errors import BadFile
from gpu.checkpoint.assemble import ARCHITECTURES, Files
from gpu.checkpoint.whole import load
from gpu.folder import check, read_json
from gpu.video import ClipRequest, animate
from gpu.weights import Weights, WeightsSpec

CLIP = "WanImageToVideoPipeline"


@pytest.fixture
def folder(tiny_clip, tmp_path):
    """A copy of the tiny clip model to spoil."""
    return shutil.copytree(tiny_clip.folder, tmp_path / "model")


def refused(folder, says):
    with pytest.raises(BadFile, match=says) as error:
        check(folder, CLIP)
    assert "\n" not in str(error.value)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


def test_a_whole_folder_tells_its_parameters(folder):
    """The count is the loaded modules' own."""
    pipe = load(folder, CLIP, dtype="float32", device="cpu")
    modules = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    assert check(folder, CLIP) == sum(p.numel() for m in modules for p in m.parameters())


def test_loading_is_silent(folder, capfd):
    """No bar, no advice, no warning reaches the user."""
    load(folder, CLIP, dtype="bfloat16", device="cpu")
    assert capfd.readouterr() == ("", "")


def test_a_missing_folder_is_named(tmp_path):
    """The message says what belongs where."""
    refused(
        tmp_path / "video", r"video/model_index\.json: is missing; put the model's whole folder"
    )


def test_a_folder_of_another_class_is_refused(mini_picture):
    """A picture model cannot make clips."""
    refused(mini_picture.folder, "is a 'ZImagePipeline'; models.yaml says WanImageToVideoPipeline")


@pytest.mark.slow
def test_a_folder_of_wan22_5b_makes_clips_of_words_and_of_a_picture(tmp_path):
    """It is published as a WanPipeline with `expand_timesteps`, without an image encoder's place.

    As diffusers' scripts/convert_wan_to_diffusers.py writes it; here of random weights.
    """
    room = ARCHITECTURES / "wan2.2-ti2v-5b"
    spec = WeightsSpec(room, CLIP, "5b", "float32", "cpu", files=Files(room, ()))
    parts = make(spec, tiny=True).components
    words = {name: parts[name] for name in parts if not name.startswith("image_")}
    WanPipeline(**words, expand_timesteps=True).save_pretrained(tmp_path)
    assert read_json(tmp_path / "model_index.json")["_class_name"] == "WanPipeline"
    spec, weights = replace(spec, folder=tmp_path, files=None), Weights(4)
    still = ClipRequest(spec, Image.new("RGB", (9, 9), "red"), "orbit", 64, 64, 5, 1, 7)
    said = replace(still, spec=replace(spec, pipeline="WanPipeline"), image=None)
    first, second = animate(still, weights), animate(said, weights)
    assert first.shape == second.shape == (5, 64, 64, 3)
    assert weights.stats().loads == 2
    assert check(tmp_path, CLIP) == check(tmp_path, "WanPipeline") > 0


def test_only_that_folder_is_of_both_pipelines(folder):
    """Others of Wan's that make clips of words take no picture."""
    edit(folder / "model_index.json", _class_name="WanPipeline", expand_timesteps=False)
    refused(folder, "is a 'WanPipeline'; models.yaml says WanImageToVideoPipeline")


def test_a_missing_component_is_named(folder):
    """A download may lack a whole folder."""
    shutil.rmtree(folder / "vae")
    refused(folder, r"model/vae: is missing; the model's download is not complete")


def test_a_component_without_weights_is_named(folder):
    """A download may lack the weights of a component."""
    (folder / "transformer" / "diffusion_pytorch_model.safetensors").unlink()
    refused(folder, r"model/transformer: holds no weights")


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_a_half_downloaded_file_is_named(folder, left):
    """A file cut anywhere is found by its length, not by loading it."""
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    refused(folder, r"vae/diffusion_pytorch_model\.safetensors: .*")


def test_a_missing_shard_is_named(folder):
    """Large weights come in several files; an index says which."""
    index = folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "part-2-of-2.safetensors"}}), "utf-8")
    refused(folder, r"transformer/part-2-of-2\.safetensors: is missing")


@pytest.mark.parametrize("text", ["", "{", "[]", "\0"])
def test_a_broken_index_is_named(folder, text):
    """JSON that is none is a broken download."""
    (folder / "model_index.json").write_text(text, "utf-8")
    refused(folder, r"model_index\.json: is no JSON")


@pytest.mark.parametrize("entry", [["os", "System"], ["evil", "Evil"], ["diffusers"], [1, 2, 3]])
def test_classes_of_other_libraries_are_not_imported(folder, entry):
    """`model_index.json` may name any module; importing it would run its code."""
    edit(folder / "model_index.json", vae=entry)
    refused(folder, "model_index.json: ")


def test_a_component_cannot_climb_out(folder):
    """A component's name is a folder of the model's own."""
    edit(folder / "model_index.json", **{"../other": ["diffusers", "AutoencoderKLWan"]})
    refused(folder, "model_index.json: ")


def test_a_tensor_pickle_is_accepted(folder):
    """Old folders hold `.bin` files; those of plain tensors are harmless."""
    whole = check(folder, CLIP)
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    assert check(folder, CLIP) == whole
    load(folder, CLIP, dtype="float32", device="cpu")


class Evil:
    """Unpickling it would write to stdout."""

    def __reduce__(self):
        return print, ("pwned",)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
def test_a_pickle_that_runs_code_is_refused(folder, save, capfd):
    """It is refused by name, unrun."""
    path = folder / "vae" / "diffusion_pytorch_model.bin"
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    save({"weight": Evil()}, path)
    refused(folder, r"diffusion_pytorch_model\.bin: is a pickle that .* refuses")
    assert "pwned" not in capfd.readouterr().out


def test_whole_files_that_do_not_fit_together(folder):
    """A file of the right length with the wrong tensors is one clear error, too."""
    edit(folder / "vae" / "config.json", base_dim=8)
    check(folder, CLIP)
    with pytest.raises(
        BadFile, match=r"vae/diffusion_pytorch_model.safetensors: does not fit AutoencoderKLWan"
    ):
        load(folder, CLIP, dtype="float32", device="cpu")


def test_the_hub_is_offline():
    """Importing the module sets the hub's offline switch, before the hub is imported."""
    assert os.environ["HF_HUB_OFFLINE"] == "1"
