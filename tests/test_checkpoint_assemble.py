"""A pipeline from ComfyUI's files draws what the Hub's folder does, or says what is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from catalogs.hashes import FileHashes
from configs.errors import BadFile
from configs.home import Home
from configs.library import Library
from configs.model import PIPELINES, Files, Model
from gpu import folder as hub
from gpu.checkpoint import whole
from gpu.checkpoint.assemble import ARCHITECTURES, check, deciding
from gpu.checkpoint.assemble import Files as Given
from gpu.weights import Weights, WeightsSpec, weigh
from tasks.model import files_of, fingerprint
from tests.conftest import with_tokenizer
from tests.manifest import tensors
from tests.test_checkpoint_load import QWEN, VAE, Z_IMAGE, converted, reference

NAMES = {
    "transformer": "diffusion_models/z_image_turbo_bf16.safetensors",
    "text_encoder": "text_encoders/qwen_3_4b.safetensors",
    "vae": "vae/ae.safetensors",
}
MANIFESTS = {"transformer": "z_image", "text_encoder": "qwen_3_4b", "vae": "ae"}


@pytest.fixture(scope="session")
def comfy(tmp_path_factory):
    """ComfyUI's models folder with the three files, small."""
    root = tmp_path_factory.mktemp("comfy") / "models"
    for part, name in NAMES.items():
        (root / name).parent.mkdir(parents=True)
        save_file(tensors(MANIFESTS[part]), root / name)
    return root


@pytest.fixture(scope="session")
def configs(tmp_path_factory):
    """The architecture's folder, its networks made small."""
    made = shutil.copytree(
        ARCHITECTURES / "z-image-turbo", tmp_path_factory.mktemp("configs") / "z-image-turbo"
    )
    for part, small in {"transformer": Z_IMAGE, "text_encoder": QWEN, "vae": VAE}.items():
        path = made / part / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **small}), "utf-8")
    return made


@pytest.fixture
def own(tmp_path):
    """The model's own folder in the home, with what no weight file holds."""
    return with_tokenizer(tmp_path / "z-image-turbo", "image")


@pytest.fixture
def spec(comfy, configs, own):
    """The recipe of the weights."""
    networks = tuple((part, comfy / name) for part, name in NAMES.items())
    files = Given(configs, networks)
    return WeightsSpec(own, "ZImagePipeline", "comfy", "float32", "cpu", files)


def draw(pipe):
    return pipe(
        prompt="a red mug", height=32, width=32, num_inference_steps=2, guidance_scale=0.0,
        generator=torch.Generator().manual_seed(5), output_type="np",
    ).images[0]  # fmt: skip


def hub_folder(configs, own, path):
    """Save the same weights as the Hub's folder, by diffusers' converters."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    qwen = Qwen3Model(Qwen3Config(**QWEN))
    qwen.load_state_dict(
        {key.removeprefix("model."): w.float() for key, w in tensors("qwen_3_4b").items()}
    )
    words = PreTrainedTokenizerFast(
        tokenizer_file=str(own / "tokenizer" / "tokenizer.json"), pad_token="<|endoftext|>"
    )
    # As Qwen3's own template renders one message of the user with thinking enabled.
    turn = "<|im_start|>user\\n' + messages[0].content + '<|im_end|>\\n<|im_start|>assistant\\n"
    words.chat_template = "{{ '" + turn + "' }}"
    vae = converted("convert_ldm_vae_checkpoint", tensors("ae"), config=VAE)
    dit = converted("convert_z_image_transformer_checkpoint_to_diffusers", tensors("z_image"))
    vae_config = json.loads((configs / "vae" / "config.json").read_text("utf-8"))
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=reference("AutoencoderKL", vae_config, vae),
        text_encoder=qwen.eval(),
        tokenizer=words,
        transformer=reference("ZImageTransformer2DModel", Z_IMAGE, dit),
    ).save_pretrained(path)


def test_comfyuis_files_draw_what_the_hubs_folder_draws(spec, configs, own, tmp_path):
    """Through the cache of weights, with configs and prompt template that ship."""
    with hub.quiet():
        hub_folder(configs, own, tmp_path / "hub")
    theirs = whole.load(tmp_path / "hub", "ZImagePipeline", dtype="float32", device="cpu")
    expected = draw(theirs)
    with Weights(1).lease(spec) as pipe:
        assert np.abs(draw(pipe) - expected).max() < 1e-3  # float32 sums differ with alignment
        assert pipe.scheduler.config.shift == 3.0
    assert expected.std() > 0.01


def test_the_bytes_are_known_before_loading(spec):
    """From the headers: all parameters in the format to compute in."""
    with Weights(1).lease(spec) as pipe:
        modules = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
        held = sum(p.nbytes for module in modules for p in module.parameters())
    assert weigh(spec) == held


def test_loading_is_silent(spec, capfd):
    """No bar, no advice, no warning reaches the user."""
    with Weights(1).lease(spec):
        pass
    assert capfd.readouterr() == ("", "")


def test_the_tokenizer_is_asked_for(spec):
    """No weight file holds it: the message says where to take it from, and where to put it."""
    (spec.folder / "tokenizer" / "tokenizer.json").unlink()
    says = r"tokenizer\.json: is missing; .* put tokenizer/tokenizer\.json of Tongyi-MAI/Z-Image-Tu"
    with pytest.raises(BadFile, match=says):
        weigh(spec)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vae": None}, r"z-image-turbo has a vae: name its file in `files`"),
        ({"transformer_2": "vae/ae.safetensors"}, r"has no transformer_2; take it out of `files`"),
        ({"vae": "vae/gone.safetensors"}, r"gone\.safetensors: is missing; put the model's file"),
        ({"vae": NAMES["text_encoder"]}, r"qwen_3_4b\.safetensors: is no AutoencoderKL: it has no"),
    ],
)
def test_files_that_do_not_make_up_the_model(change, says, spec, comfy):
    """Before anything is loaded."""
    named = {**NAMES, **change}
    networks = tuple((part, comfy / name) for part, name in named.items() if name)
    with pytest.raises(BadFile, match=says):
        check(spec.folder, replace(spec.files, networks=networks), 4)


def test_every_architecture_that_a_row_may_name_ships():
    """Its configs make modules of the pipeline that runs it."""
    named = get_args(Files.model_fields["architecture"].annotation)
    assert {path.name for path in ARCHITECTURES.iterdir()} == set(named) == set(PIPELINES)
    for name, pipeline in PIPELINES.items():
        index = json.loads((ARCHITECTURES / name / "model_index.json").read_text("utf-8"))
        assert index["_class_name"] == pipeline
        for part, value in index.items():
            if isinstance(value, list) and value[0]:
                assert (ARCHITECTURES / name / part).is_dir()


ROW = {
    "makes": "picture", "pipeline": "ZImagePipeline", "folder": "z-image-turbo",
    "dialect": "z-image", "steps": 8,
    "sizes": {"portrait": [720, 1280], "square": [1024, 1024], "landscape": [1280, 720]},
}  # fmt: skip


def model(root, **change):
    return Model(
        **ROW, files={"architecture": "z-image-turbo", "root": str(root), **NAMES, **change}
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vae": "../ae.safetensors"}, "pattern"),
        ({"vae": "/etc/ae.safetensors"}, "pattern"),
        ({"vae": "vae/.hidden.safetensors"}, "pattern"),
        ({"vae": "vae\\ae.safetensors"}, "pattern"),
        ({"vae": "vae/ae.ckpt"}, "pattern"),
        ({"vae": "vae/ae\n.safetensors"}, "pattern"),
        ({"lora": "loras/a.safetensors"}, "Extra inputs"),
        ({"architecture": "sdxl"}, "z-image-turbo"),
        ({"architecture": "wan2.2-ti2v-5b"}, "ZImagePipeline does not run wan2.2-ti2v-5b"),
        (
            {"transformer_2": "b.safetensors"},
            "files.transformer_2: z-image-turbo has no transformer_2",
        ),
    ],
)
def test_a_row_that_is_wrong_is_refused(change, says, tmp_path):
    """Paths stay below the root and end in a kind that is read."""
    with pytest.raises(ValidationError, match=says):
        model(tmp_path, **change)


def test_the_root_is_comfyuis_folder_or_one_in_the_home(comfy, tmp_path):
    """Absolute, or inside the home's models/."""
    home = Home(tmp_path / "home")
    given = files_of(model(comfy), home)
    assert dict(given.networks)["vae"] == comfy / "vae" / "ae.safetensors"
    inside = files_of(model("comfyui"), home)
    assert dict(inside.networks)["vae"] == home.models.resolve() / "comfyui" / NAMES["vae"]
    with pytest.raises(BadFile, match="leads outside the home"):
        files_of(model("../../x"), home)


def test_a_symlink_does_not_lead_out_of_the_root(tmp_path):
    """The message names the setting to change."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "vae").symlink_to("/etc")
    with pytest.raises(BadFile, match=r"'vae/ae\.safetensors': leads outside .*; set files\.root"):
        files_of(model(tmp_path / "models"), Home(tmp_path / "home"))


def test_the_fingerprint_is_of_the_bytes_not_of_the_place(comfy, own, tmp_path):
    """Equal files elsewhere are the same model; a changed one, or other configs, are not."""
    home = Home(tmp_path / "home")
    shutil.copytree(own, home.models / "z-image-turbo")
    hashes = FileHashes(tmp_path / "hashes.json")
    moved = shutil.copytree(comfy, tmp_path / "elsewhere")
    first = fingerprint(model(comfy), home, hashes)
    assert fingerprint(model(moved), home, hashes) == first
    assert fingerprint(model(moved, architecture="z-image"), home, hashes) != first
    path = moved / NAMES["vae"]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert fingerprint(model(moved), home, hashes) != first
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadFile, match=r"ae\.safetensors: has \d+ of \d+ bytes"):
        fingerprint(model(moved), home, hashes)


def test_shards_decide_too(spec, comfy, tmp_path):
    """An index of shards stands for all of them."""
    from safetensors.torch import load_file

    weights = load_file(comfy / NAMES["vae"])
    parts = {"a.safetensors": {}, "b.safetensors": {}}
    for number, key in enumerate(weights):
        parts["ab"[number % 2] + ".safetensors"][key] = weights[key]
    for name, part in parts.items():
        save_file(part, tmp_path / name)
    index = tmp_path / "ae.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {key: name for name in parts for key in parts[name]}}), "utf-8"
    )
    files = replace(spec.files, networks=(*spec.files.networks[:2], ("vae", index)))
    assert weigh(replace(spec, files=files)) == weigh(spec)
    assert {"vae", "vae/a.safetensors", "vae/b.safetensors"} <= set(deciding(spec.folder, files))


def test_the_shipped_rows_of_comfyuis_files_are_right(tmp_path):
    """A home without them says which file is missing where."""
    home = Home(tmp_path)
    rows = {name: row for name, row in Library.open(home).models.items() if row.files}
    assert rows
    for row in rows.values():
        with pytest.raises(BadFile, match="is missing; no weight file holds the tokenizer"):
            fingerprint(row, home, FileHashes(tmp_path / "hashes.json"))
