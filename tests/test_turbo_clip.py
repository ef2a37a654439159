"""TurboDiffusion's files, as rows of models.yaml, to a clip: small, of the published layout."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

import tasks.model
from catalogs.node import Address, InputFile, Node
from configs.errors import BadFile, BadInput, BadPlan
from configs.home import Home
from configs.model import Model
from gpu.fit import Fit
from gpu.turbo.int8 import Int8Linear
from gpu.turbo.rcm import RCMScheduler
from gpu.turbo.sla import SLAProcessor
from gpu.video import ClipRequest, animate
from gpu.watch import Watch
from gpu.weights import Weights, weigh
from tasks.animate import STAGE
from tasks.model import spec_of
from tasks.probe import probe
from tasks.stage import Photo
from tests.conftest import with_tokenizer
from tests.manifest import tensors
from tests.test_checkpoint_clip import TEXT, small
from tests.test_checkpoint_load import TURBO, WAN_VAE

pytestmark = pytest.mark.slow  # whole pictures, clips and downloads: half a minute together

PIXELS = {"dtype": "float32", "quantisation": "none", "attention": "native", "device": "cpu"}
SIZES = {"portrait": (64, 96), "square": (64, 64), "landscape": (96, 64)}
SIDES = {"text": 40, "channels_out": 16}
PROJ_L = "blocks.1.self_attn.attn_op.local_attn.proj_l.weight"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with TurboDiffusion's folder of files, and a photo."""
    made = Home(tmp_path_factory.mktemp("home"))
    root = made.models / "turbodiffusion"
    root.mkdir(parents=True)
    for kind in ("", "_quant"):
        wan, words = "turbo_wan2.2_i2v_a14b" + kind, "turbo_wan2.1_t2v_1.3b" + kind
        torch.save(tensors(wan, **SIDES), root / f"high{kind}.pth")
        torch.save(tensors(wan, 1, **SIDES), root / f"low{kind}.pth")
        torch.save(tensors(words, **SIDES), root / f"words{kind}.pth")
    torch.save(tensors("wan_umt5_xxl", vocab=1600), root / "t5.pth")
    torch.save(tensors("wan_2.1_vae"), root / "vae.pth")
    with_tokenizer(made.models / "turbowan", "video")
    (made.root / "brand").mkdir()
    Image.linear_gradient("L").save(made.root / "brand" / "mug.jpg")
    return made


@pytest.fixture(scope="module")
def architectures(tmp_path_factory):
    """The published configs, but for the width."""
    root, width = tmp_path_factory.mktemp("configs"), {**TURBO, "text_dim": 40, "out_channels": 16}
    words = {**TEXT, "relative_attention_num_buckets": 8}
    experts = {name: {**width, "in_channels": 36} for name in ("transformer", "transformer_2")}
    small("wan2.2-i2v-a14b", root, text_encoder=words, vae=WAN_VAE, **experts)
    small("wan2.1-t2v-1.3b", root, text_encoder=words, vae=WAN_VAE, transformer=width)
    return root


@pytest.fixture(autouse=True)
def _narrow(architectures, monkeypatch):
    """Small networks, and one thread: of so little work two would wait for each other."""
    monkeypatch.setattr(tasks.model, "ARCHITECTURES", architectures)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def row(kind="", **turbo):
    """A keyframe model as models.yaml would say it; `kind` is "" or "_quant"."""
    return Model(
        makes="clip", pipeline="WanImageToVideoPipeline", folder="turbowan", dialect="wan",
        sizes=SIZES, steps=4, max_steps=4, max_tokens=64, frames=9, max_frames=33, fps=16,
        turbo={"sampler": "rcm-ode", "sigma_max": 200, **turbo},
        files={"architecture": "wan2.2-i2v-a14b", "root": "turbodiffusion",
               "transformer": f"high{kind}.pth", "transformer_2": f"low{kind}.pth",
               "text_encoder": "t5.pth", "vae": "vae.pth"},
    )  # fmt: skip


def words_row(kind="", **turbo):
    """A text-to-video model likewise."""
    files = {"architecture": "wan2.1-t2v-1.3b", "transformer": f"words{kind}.pth",
             "transformer_2": None}  # fmt: skip
    told = row().model_dump() | {"makes": "text-clip", "pipeline": "WanPipeline"}
    told["turbo"] = {"sampler": "rcm-sde", "sigma_max": 80, **turbo}
    return Model.model_validate(told | {"files": told["files"] | files})


def request(model, home, dtype="float32", **change):
    """What draws five frames with `model`."""
    picture = Image.linear_gradient("L").convert("RGB") if model.makes == "clip" else None
    spec = spec_of(model, home, "some files", PIXELS | {"dtype": dtype}, "none")
    told = {"frames": 5, "steps": 4, "seed": 7, "max_tokens": 64, **change}
    return ClipRequest(spec, picture, "orbit left", 96, 64, **told)


@pytest.mark.parametrize("kind", ["", "_quant"])
@pytest.mark.parametrize("make", [row, words_row], ids=["keyframe", "words"])
@pytest.mark.parametrize("sampler", ["rcm-ode", "rcm-sde"])
def test_a_seed_decides_the_clip(home, make, kind, sampler):
    """In bf16 and int8 files, from a picture or words: the same bytes twice, and loaded afresh."""
    weights = Weights(1)
    asked = request(make(kind, sampler=sampler), home)
    first = animate(asked, weights)
    assert first.shape == (5, 64, 96, 3)
    assert first.std() > 1
    assert (animate(replace(asked, seed=8), weights) != first).any()
    assert (animate(replace(asked, steps=2), weights) != first).any()
    assert (animate(asked, Weights(1)) == first).all()


@pytest.mark.parametrize(
    "turbo", [{"sampler": "rcm-sde"}, {"sigma_max": 80}, {"sla_share": 1}], ids=str
)
def test_what_a_row_says_of_turbo_is_drawn_and_keyed(home, cell, turbo):
    """Two rows of the same files share a cache: neither draws with the other's loaded weights.

    Nine frames are 72 tokens: two blocks of keys, of which a tenth is one.
    """
    weights, pictures = Weights(1), {"image": Photo(64, 64)}
    first, other = row(), row(**turbo)
    clips = [animate(request(model, home, frames=9), weights) for model in (first, other, first)]
    assert (clips[0] != clips[1]).any()
    assert (clips[0] == clips[2]).all()
    told = [STAGE.decide(cell(model, pictures=pictures)).params for model in (first, other)]
    assert told[0] != told[1]
    assert told[0]["turbo"] == {"sampler": "rcm-ode", "sigma_max": 200, "sla_share": 0.1}


def test_two_experts_attend_sparsely_in_eight_bits(home):
    """Steps at 996 and 932 are the high-noise expert's, 852 and 608 the low-noise one's."""
    weights, asked = Weights(1), request(row("_quant", sla_share=0.3), home)
    seen, shown = [], []
    with weights.lease(asked.spec) as pipe:
        assert isinstance(pipe.scheduler, RCMScheduler)
        for name in ("transformer", "transformer_2"):
            network = getattr(pipe, name)
            assert sum(isinstance(layer, Int8Linear) for layer in network.modules()) == 20
            processors = [block.attn1.processor for block in network.blocks]
            assert all(isinstance(processor, SLAProcessor) for processor in processors)
            assert {processor.blocks.share for processor in processors} == {0.3}
            network.register_forward_pre_hook(
                lambda _, __, told, name=name: seen.append((name, float(told["timestep"][0]))),
                with_kwargs=True,
            )
    clip = animate(asked, weights, Watch(on_preview=shown.append))
    assert len(shown) == 4
    assert (clip == animate(asked, Weights(1))).all()
    high, low = "transformer", "transformer_2"
    assert seen == [(high, 996), (high, 932), (low, 852), (low, 608)]


@pytest.mark.parametrize("kind", ["", "_quant"])
def test_an_offload_changes_no_byte(home, kind):
    """Layer by layer, the learnt projections too: they are moved in where they are called."""
    asked, calls, weights = request(row(kind), home), [], Weights(1)
    grouped = replace(asked, spec=replace(asked.spec, fit=Fit(offload="group")))
    with weights.lease(grouped.spec) as pipe:
        proj = pipe.transformer.blocks[0].attn1.proj_l
        assert proj._diffusers_hook.get_hook("group_offloading")
        proj.register_forward_pre_hook(lambda *_: calls.append(1))
    assert (animate(grouped, weights) == animate(asked, Weights(1))).all()
    assert len(calls) == 2  # the steps of the high-noise expert


def test_bfloat16_draws_too(home):
    """The format of graphics cards; what is trained in float32 stays so."""
    weights, asked = Weights(1), request(row("_quant"), home, "bfloat16")
    first = animate(asked, weights)
    assert (animate(asked, weights) == first).all()
    with weights.lease(asked.spec) as pipe:
        attention = pipe.transformer.blocks[0].attn1
        assert attention.proj_l.weight.dtype == torch.float32
        assert attention.to_q.bias.dtype == torch.bfloat16


def test_the_stage_makes_the_master_clip(home, studio, cell, tmp_path):
    """`animate` with the row: an MP4 of its frames."""
    model = row()
    made = replace(studio({"turbo": model}), home=home)
    decided = STAGE.decide(cell(model, pictures={"image": Photo(256, 256)}))
    node = Node(
        address=Address("animate", "p/2026-03-02", "square"), kind="animate", version=1,
        params=decided.params, inputs={"image": InputFile("0" * 64, "brand/mug.jpg")},
        model="some files", pixels=PIXELS, notes={"model": "turbo"},
    )  # fmt: skip
    (clip,) = STAGE.run([node], made, tmp_path)
    assert probe(clip.drafts["clip"].path).frames == 9


@pytest.mark.parametrize("steps", [5, 8])
def test_steps_it_was_not_distilled_for(home, cell, steps):
    """Told when the week is planned, and by the sampler itself."""
    says = rf"animate\.steps: {steps} is above the model's 4; write 1 to 4"
    with pytest.raises(BadPlan, match=says):
        STAGE.decide(cell(row(), {"animate": {"steps": steps}}, pictures={"image": Photo(9, 9)}))
    with pytest.raises(BadInput, match=rf"steps: {steps} for a model distilled for 1 to 4 steps"):
        animate(request(row(), home, steps=steps), Weights(1))


def test_a_picture_for_words_and_words_for_a_picture(home):
    """Each pipeline would fail in its own words, after encoding the prompt."""
    picture = Image.new("RGB", (96, 64))
    with pytest.raises(BadInput, match="image: the model makes clips from words alone"):
        animate(replace(request(words_row(), home), image=picture), Weights(1))
    with pytest.raises(BadInput, match="image: the model makes clips from a picture"):
        animate(replace(request(row(), home), image=None), Weights(1))


@pytest.fixture
def broken(home):
    """Make a row whose low-noise expert is another file, of `weights`."""

    def make(weights, **change):
        torch.save(weights, home.models / "turbodiffusion" / "broken.pth")
        told = row().model_dump()
        files = told["files"] | {"transformer_2": "broken.pth"}
        return spec_of(
            Model.model_validate(told | {"files": files, **change}), home, "b", PIXELS, ""
        )

    return make


def test_a_file_without_the_learnt_projections(broken):
    """One missing is named; none at all is another publisher's model."""
    weights = tensors("turbo_wan2.2_i2v_a14b", **SIDES)
    del weights[PROJ_L]
    with pytest.raises(BadFile, match=rf"broken\.pth: .* key '{PROJ_L}' is missing"):
        weigh(broken(weights))
    plain = {key: value for key, value in weights.items() if "proj_l" not in key}
    with pytest.raises(BadFile, match=r"broken\.pth: is a pickle; .* use that file"):
        weigh(broken(plain))


def test_turbo_is_for_turbodiffusions_files_and_they_for_it(home):
    """Weights that were trained sparse would draw densely too, but worse."""
    told = row().model_dump() | {"turbo": None}
    spec = spec_of(Model.model_validate(told), home, "dense", PIXELS, "none")
    with pytest.raises(BadFile, match=r"high\.pth: is TurboDiffusion's, .* a model with `turbo`"):
        weigh(spec)
    from safetensors.torch import save_file

    save_file(
        tensors("wan2.2_i2v_a14b", **SIDES), home.models / "turbodiffusion" / "wan.safetensors"
    )
    told = row().model_dump()
    files = told["files"] | {"transformer": "wan.safetensors"}
    spec = spec_of(Model.model_validate(told | {"files": files}), home, "w", PIXELS, "none")
    with pytest.raises(BadFile, match=r"wan\.safetensors: is not TurboDiffusion's: .* `turbo` out"):
        weigh(spec)
