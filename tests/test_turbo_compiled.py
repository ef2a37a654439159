"""Z-Image in the form that is compiled, against diffusers' own, in whole small pipelines."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from benchmarks.random_weights import make
from gpu.checkpoint.assemble import ARCHITECTURES
from gpu.turbo import compiled, fp8
from gpu.turbo.compiled import compile_pipeline
from gpu.turbo.zimage import make_fusible, rotate
from gpu.weights import WeightsSpec

pytestmark = pytest.mark.slow

WORDS = "red mug on a table"


@pytest.fixture(scope="module")
def plain():
    """A tiny pipeline of Z-Image's own classes, in float32."""
    return fresh()


def fresh():
    spec = WeightsSpec(ARCHITECTURES / "z-image-turbo", "ZImagePipeline", "z", "float32", "cpu")
    return make(spec, tiny=True)


def draw(pipe, side=64, words=WORDS, **more):
    chance = torch.Generator().manual_seed(3)
    return pipe(
        words, height=side, width=side, num_inference_steps=2, guidance_scale=0.0,
        generator=chance, output_type="pt", **more,
    ).images  # fmt: skip


def test_rotation_by_reals_is_that_by_complex_numbers():
    """Bit for bit the same products; the sum may be rounded once less."""
    x, angle = torch.randn(2, 7, 3, 16), torch.randn(2, 7, 8)
    table = torch.polar(torch.ones_like(angle), angle)
    right = torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * table[:, :, None])
    ours = rotate(x, torch.view_as_real(table))
    assert torch.allclose(ours, right.flatten(-2), atol=1e-6)


def test_the_fusible_form_draws_the_same_picture(plain):
    """One prompt, and several of other lengths with another in the negative: rounding apart."""
    ours = deepcopy(plain)
    make_fusible(ours)
    assert torch.allclose(draw(ours), draw(plain), atol=1e-4)
    several = [WORDS, "a much longer line of words " * 12]
    assert torch.allclose(
        draw(ours, words=list(several)), draw(plain, words=list(several)), atol=1e-4
    )


def test_words_are_read_as_by_the_whole_encoder(plain):
    """The state before the last layer, for every token of every prompt."""
    ours = deepcopy(plain)
    make_fusible(ours)
    asked = ["mug", "one two three " * 30]
    right, _ = plain.encode_prompt(list(asked), do_classifier_free_guidance=False)
    made, _ = ours.encode_prompt(list(asked), do_classifier_free_guidance=False)
    for a, b in zip(made, right, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=1e-5)


def test_padding_before_the_words_keeps_the_encoder(plain):
    """A causal mask alone would then let words see padding."""
    ours = deepcopy(plain)
    ours.tokenizer.padding_side = "left"
    make_fusible(ours)
    assert "forward" not in vars(ours.text_encoder)


@pytest.mark.timeout(240)
def test_another_size_or_prompt_compiles_nothing(plain):
    """Each part is one graph, whole; a new size, or a longer prompt, finds it there."""
    graphs = []

    def counted(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    ours = fresh()  # transformers wraps the layers of an encoder that has run
    compile_pipeline(ours, backend=counted)
    first = draw(ours)
    assert torch.allclose(first, draw(plain), atol=1e-4)
    assert len(graphs) == 5  # blocks of noise, of words, of both; the encoder's; the decoder
    nodes = [node for graph in graphs for node in graph.graph.nodes]
    assert "item" not in {node.target for node in nodes}  # no number of a module is a symbol
    draw(ours, side=96)
    draw(ours, side=80, words="one two three " * 30)
    assert len(graphs) == 5


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("g++") is None, reason="Inductor compiles for a CPU with g++")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # by Inductor's own import
def test_a_new_process_draws_the_same_picture_from_kept_graphs(plain, tmp_path, monkeypatch):
    """From words to pixels nothing is traced, and each byte is that of the process before."""
    monkeypatch.setattr(compiled, "CACHE", tmp_path / "inductor")
    pictures = []
    for traced in (5, 0):
        torch.compiler.reset()
        counters.clear()
        ours = fresh()
        compile_pipeline(ours)
        pictures.append(draw(ours))
        assert counters["stats"]["unique_graphs"] == traced
    assert torch.equal(*pictures)
    assert torch.allclose(pictures[0], draw(plain), atol=1e-4)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_all_forms_of_a_block_stay_compiled():
    """Three kinds, alone and in a batch, in two number formats: more than torch keeps by itself."""
    blocks = []

    def counted(graph, _inputs):
        names = {str(node.target) for node in graph.graph.nodes}
        blocks.append(any("feed_forward" in name for name in names))
        return graph.forward

    torch.compiler.reset()
    for eight in (False, True):
        ours = fresh()
        if eight:
            fp8.quantise(ours.transformer, "cpu")
        compile_pipeline(ours, backend=counted)
        draw(ours)
        draw(ours, words=[WORDS, WORDS])
    assert sum(blocks) == 12


def test_the_card_of_80_gb_uses_what_is_fast():
    """As `keyreel run --profile 80gb` does."""
    from configs.home import Home
    from configs.library import Library

    profile = Library.open(Home(Path("no-home"))).profiles["80gb"]
    assert profile.compile
    assert profile.attention == "_native_cudnn"
