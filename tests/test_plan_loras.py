"""Adapters in a campaign: found, keyed, explained; and drawn with, on the shipped model."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from configs.errors import BadFile, BadInput
from configs.home import Home
from configs.library import Library
from flows.doctor import _models
from flows.explain import explain
from flows.models import shelf
from flows.plan import prepare
from tests.campaigns import STILLS, bytes_of, home_with, run_plainly
from tests.plan_data import Desk, after, shipped

pytestmark = pytest.mark.slow  # whole pictures, clips and downloads: half a minute together

SHOT = "rouge-01/2026-03-02"


@pytest.fixture
def desk(tmp_path) -> Desk:
    desk = Desk(Home(tmp_path / "home"))
    lora(desk.home, "brand")
    return desk


def lora(home, name, seed=0):
    """Write an adapter of one layer of the shipped picture model."""
    random = torch.Generator().manual_seed(seed)
    tensors = {
        "diffusion_model.layers.3.attention.to_out.0.lora_A.weight": torch.randn(2, 320),
        "diffusion_model.layers.3.attention.to_out.0.lora_B.weight": torch.randn(320, 2),
    }
    tensors = {key: torch.randn(t.shape, generator=random) * 0.3 for key, t in tensors.items()}
    path = home.root / "models" / "loras" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def wearing(*loras, shots=None):
    """Return an edit that gives keyframes these adapters: of all shots, or of some."""

    def edit(brief):
        if shots is None:
            brief["settings"] = {"keyframe.loras": list(loras)}
        else:
            brief["overrides"] = [{"match": shots, "set": {"keyframe.loras": list(loras)}}]

    return edit


BRAND = {"file": "brand.safetensors", "weight": 0.8}


def keyframes(plan):
    return {key: node for key, node in plan.nodes.items() if node.kind == "keyframe"}


def why(plan):
    return {plan.reasons[key] for key in keyframes(plan) if key in plan.reasons}


def test_without_adapters_a_key_is_what_it_was(desk: Desk):
    """An empty list is no list: an upgrade redraws no approved week."""
    plain = keyframes(desk.plan())
    assert keyframes(desk.plan(wearing())).keys() == plain.keys()
    assert not any("loras" in node.params for node in plain.values())


def test_the_bytes_the_weight_and_the_order_are_in_the_key(desk: Desk):
    """Every one of these draws another picture; a second look at the same draws none."""
    lora(desk.home, "festival", seed=1)
    festival = {"file": "festival.safetensors"}
    keys = [
        keyframes(desk.plan(wearing(*loras))).keys()
        for loras in (
            [], [BRAND], [{**BRAND, "weight": 0.5}], [BRAND, festival], [festival, BRAND],
            [{**BRAND, "expert": "low-noise"}],
        )
    ]  # fmt: skip
    assert all(not one & other for i, one in enumerate(keys) for other in keys[:i])
    assert keyframes(desk.plan(wearing(BRAND))).keys() == keys[1]
    lora(desk.home, "brand", seed=2)
    assert not keyframes(desk.plan(wearing(BRAND))).keys() & keys[1]


def test_a_renamed_adapter_draws_nothing_anew(desk: Desk):
    """Its bytes count, its name does not."""
    before = keyframes(desk.plan(wearing(BRAND))).keys()
    folder = desk.home.root / "models" / "loras"
    (folder / "v2").mkdir()
    (folder / "brand.safetensors").rename(folder / "v2" / "marque 1.0.safetensors")
    moved = {**BRAND, "file": "v2/marque 1.0.safetensors"}
    assert keyframes(desk.plan(wearing(moved))).keys() == before


def test_the_plan_says_what_changed(desk: Desk):
    """The weight and the file, each under its name."""
    done = desk.plan(wearing(BRAND))
    lighter = desk.resolve(wearing({**BRAND, "weight": 0.4}))
    told = why(after(done, lighter))
    assert told == {"loras changed"}
    lora(desk.home, "brand", seed=2)
    changed = desk.resolve(wearing(BRAND))
    told = why(after(done, changed))
    assert told == {"lora-1 file changed"}


def test_an_override_gives_one_shot_its_own(desk: Desk):
    """Only the matched shots are drawn anew."""
    plain = keyframes(desk.plan(wearing(shots={"day": "fri"})))
    own = keyframes(desk.plan(wearing(BRAND, shots={"day": "fri"})))
    fresh = {own[key].address.shot for key in own.keys() - plain.keys()}
    assert fresh == {"rouge-01/2026-03-06"}
    assert own.keys() & plain.keys()


def test_a_models_own_adapters_come_first(desk: Desk):
    """A row of models.yaml names those that teach it fewer steps; shots add theirs."""
    row = {**shipped("models")["mini-picture"], "loras": [{"file": "fast.safetensors"}]}
    clip = {**shipped("models")["mini-clip"], "folder": "image"}
    desk.write("models", {"mini-clip": clip, "mini-picture": row})
    fast = lora(desk.home, "fast", seed=3)
    node = next(iter(keyframes(desk.plan(wearing(BRAND))).values()))
    assert node.params["loras"] == [
        {"weight": 1.0, "expert": "both"}, {"weight": 0.8, "expert": "both"},
    ]  # fmt: skip
    assert node.inputs["lora-1"].path == "models/loras/fast.safetensors"
    assert node.inputs["lora-2"].path == "models/loras/brand.safetensors"
    fast.unlink()
    with pytest.raises(BadFile, match=r"no adapter 'fast.*mini-picture draws with it"):
        desk.plan(wearing(BRAND))


def test_explain_tells_who_set_them(desk: Desk):
    """`keyreel plan --explain` prints adapters like any other value."""
    told = explain(desk.resolve(wearing(BRAND)), SHOT, "keyframe.loras")
    assert (
        '[{"file": "brand.safetensors", "weight": 0.8, "expert": "both"}], set by campaign' in told
    )
    assert "default   []" in told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"file": "brnd.safetensors"}, "no adapter 'brnd.safetensors'.* 'brand.safetensors'"),
        ({"file": "../../brand.safetensors"}, r"\[0\]\.file: .* inside models/loras/"),
        ({"file": "/etc/x.safetensors"}, r"\[0\]\.file: .* inside models/loras/"),
        ({"file": "n" * 300 + ".safetensors"}, r"0\]\.file: .* at most 255 characters"),
        ({"file": "brand.ckpt"}, r"\[0\]\.file: .* a \.safetensors file"),
        ({**BRAND, "weight": 90}, r"\[0\]\.weight: 90 .* at most 4"),
        ({**BRAND, "weight": ".nan"}, r"\[0\]\.weight: .* a number"),
        ({**BRAND, "weights": 1}, r"\[0\]\.weights: unknown key.* 'weight'"),
        ({**BRAND, "expert": "high"}, r"\[0\]\.expert: 'high' .* 'high-noise' or 'low-noise'"),
        ({}, r"\[0\]\.file: is missing; add `file: …`"),
        ("brand.safetensors", r"\[0\]: 'brand\.safetensors' .*`{key: value}`"),
    ],
)
def test_a_wrong_adapter_is_one_error_at_its_line(desk: Desk, wrong, message):
    """Misspelt, outside, a pickle, too strong, unknown words."""
    with pytest.raises(BadInput, match=rf"demo\.yaml:\d+(:\d+)?: .*loras.*{message}"):
        desk.plan(wearing(wrong))


def test_too_many_adapters_are_an_error(desk: Desk):
    """Eight at once."""
    with pytest.raises(BadInput, match=r"demo\.yaml:\d+"):
        desk.plan(wearing(*[BRAND] * 9))


def test_a_broken_or_escaping_file_is_one_error(desk: Desk, tmp_path):
    """Cut short, or a link out of the folder: told at plan time, with the line."""
    path = desk.home.root / "models" / "loras" / "brand.safetensors"
    whole = path.read_bytes()
    for broken in (whole[:-4], b"", b"junk" * 9):
        path.write_bytes(broken)
        with pytest.raises(
            BadFile, match=r"demo\.yaml:\d+: keyframe\.loras: .*copy the LoRA again"
        ):
            desk.plan(wearing(BRAND))
    path.unlink()
    for outside in (tmp_path / "other.safetensors", desk.home.root / "other.safetensors"):
        outside.write_bytes(whole)
        path.symlink_to(outside)
        with pytest.raises(BadFile, match=r"keyframe\.loras: .*leads outside"):
            desk.plan(wearing(BRAND))
        path.unlink()


def test_the_folder_may_be_a_link_to_comfyuis(desk: Desk, tmp_path):
    """Adapters that lie there already need no copy; the key is the same."""
    before = keyframes(desk.plan(wearing(BRAND))).keys()
    folder = desk.home.root / "models" / "loras"
    folder.rename(tmp_path / "comfyui-loras")
    folder.symlink_to(tmp_path / "comfyui-loras")
    assert keyframes(desk.plan(wearing(BRAND))).keys() == before


@pytest.mark.parametrize(
    ("name", "experts"),
    [
        ("wan2.2-i2v-a14b-lightning", ["high-noise", "low-noise"]),
        ("wan2.1-i2v-14b-480p-lightning", ["both"]),
        ("wan2.1-t2v-14b-lightning", ["both"]),
    ],
)
def test_the_rows_of_four_steps_differ_from_the_plain_ones_in_just_that(name, experts):
    """The same files, so the same weights in memory; an adapter for each expert, no guidance."""
    models = Library.open(Home(Path("nowhere"))).models
    fast, plain = models[name], models[name.replace("lightning", "comfyui")]
    assert (fast.files, fast.folder, fast.sizes) == (plain.files, plain.folder, plain.sizes)
    assert [lora.expert for lora in fast.loras] == experts
    assert (fast.steps, fast.guidance, fast.max_guidance, fast.euler_shift) == (4, 0, 0, 5)
    assert plain.loras == ()
    assert plain.euler_shift is None


def test_the_sampler_of_the_row_is_in_the_clips_key(desk: Desk):
    """Another shift, another clip; without one the key is what it was."""
    clip = {**shipped("models")["mini-clip"], "folder": "image"}
    keys = []
    for more in ({}, {"euler_shift": 5}, {"euler_shift": 3}):
        desk.write("models", {"mini-clip": clip | more})
        plan = desk.plan()
        keys.append({key for key, node in plan.nodes.items() if node.kind == "animate"})
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]
    node = next(node for node in plan.nodes.values() if node.kind == "animate")
    assert node.params["euler_shift"] == 3
    desk.write("models", {"mini-picture": {**shipped("models")["mini-picture"], "euler_shift": 3}})
    with pytest.raises(BadInput, match="a picture has no frames, fps or euler_shift"):
        desk.plan()


def test_the_doctor_and_the_shelf_miss_an_adapter(desk: Desk):
    """A row whose adapter is not there cannot draw, and says so before a run."""
    row = {**shipped("models")["mini-picture"], "loras": [{"file": "fast.safetensors"}]}
    clip = {**shipped("models")["mini-clip"], "folder": "image"}
    desk.write("models", {"mini-clip": clip, "mini-picture": row})
    found = {each.name: each for each in shelf(desk.home)}
    assert not found["mini-picture"].there
    assert "no adapter 'fast.safetensors'" in found["mini-picture"].text
    told = {each.subject: each for each in _models(desk.home)}
    assert told["model mini-picture"].state == "bad"
    lora(desk.home, "fast")
    assert next(each for each in shelf(desk.home) if each.name == "mini-picture").there


@pytest.mark.slow
def test_a_campaign_wears_an_adapter_from_end_to_end(tmp_path):
    """What is drawn changes, what is not stays byte for byte, and a second run makes nothing."""
    brief = copy.deepcopy(STILLS)
    home = home_with(tmp_path / "home", brief)
    lora(home, "brand")
    assert run_plainly(home).state == "done"
    plain = bytes_of(home.deliveries)
    brief["settings"] = {"keyframe.steps": 2, "keyframe.loras": [BRAND]}
    home_with(home.root, brief)
    run = run_plainly(home)
    assert run.state == "done"
    worn = bytes_of(home.deliveries)
    name = "stills/2026-03-02/rouge-01/xiaohongshu-note.jpeg"
    assert worn[name] != plain[name]
    assert {each: data for each, data in worn.items() if each != name} == {
        each: data for each, data in plain.items() if each != name
    }
    assert prepare(home, "stills").plan.work() == ()


@pytest.mark.slow
def test_an_adapter_of_another_model_fails_its_shot_with_a_sentence(tmp_path):
    """The shot with an own photo, which draws nothing, is delivered."""
    home = home_with(tmp_path / "home", settings={"keyframe.loras": [BRAND]})
    path = home.root / "models" / "loras" / "brand.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"double_blocks.0.img_attn.proj.lora_A.weight": torch.zeros(2, 2)}, path)
    run = run_plainly(home)
    assert run.state == "failed"
    error = next(entry.error for entry in run.entries if entry.state == "failed")
    assert "brand.safetensors: does not fit ZImageTransformer2DModel" in error
    assert "made for FLUX" in error
    assert (home.deliveries / "stills/2026-03-02/mug-01/xiaohongshu-note.jpeg").exists()
