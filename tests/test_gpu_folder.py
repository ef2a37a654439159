"""A model's folder: whole and harmless, or refused in one sentence before anything is loaded."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file

from configs.errors import BadFile
from gpu.checkpoint.whole import load
from gpu.folder import check

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
