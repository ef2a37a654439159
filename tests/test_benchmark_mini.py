"""The measurement of the embedded models: its judges, its prompts, its figures, at tiny size."""

import itertools
import json
import random
from pathlib import Path

import pytest
import torch

from benchmarks import mini_quality
from benchmarks.mini import pictures, renders, steady, told, training, warps
from benchmarks.mini.colours import delta_e, lab, named, palette
from benchmarks.mini.judges import CLIP_SIDE, SIDE, WARP, Judges, answers
from configs.colour import ciede2000
from gpu.mini.camera import SIZES
from gpu.mini.captions import caption
from gpu.mini.scenes import draw_scene, held_out
from gpu.mini.train.run import Part
from gpu.mini.train.sheets import psnr
from gpu.mini.vocabulary import vocabulary

TINY = {"portrait": (20, 36), "square": (28, 28), "landscape": (36, 20)}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renders at a size that a CPU draws in a blink."""
    for each in SIZES:
        monkeypatch.setitem(SIZES, each, TINY)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_colour_difference(a: tuple[float, ...], b: tuple[float, ...], wanted: float) -> None:
    """Three of the pairs that Sharma, Wu and Dalal published in 2005, to four digits."""
    assert delta_e(torch.tensor(a).double().numpy(), torch.tensor(b).double().numpy()) == (
        pytest.approx(wanted, abs=1e-4)
    )


def test_both_formulas_are_one() -> None:
    """The product's own CIEDE2000, which a bare GPU machine cannot import, says the same."""
    names = vocabulary().ids("colour")
    for a, b in itertools.combinations(names, 2):
        pair = [(float(c[0]), float(c[1]), float(c[2])) for c in (named(a), named(b))]
        assert delta_e(named(a), named(b)) == pytest.approx(ciede2000(*pair), abs=1e-9)


def test_palette_is_apart_and_maximal() -> None:
    """Names of the palette are 12 apart; every name left out is nearer to one that is in."""
    kept = palette()
    pairs = [(a, b) for a in kept for b in kept if a < b]
    assert min(delta_e(named(a), named(b)) for a, b in pairs) >= 12
    left = set(vocabulary().ids("colour")) - set(kept)
    assert left
    assert all(min(delta_e(named(x), named(k)) for k in kept) < 12 for x in left)


def test_interval() -> None:
    """Wilson's interval of 95 in 100, and of nothing at all."""
    assert told.wilson(95, 100) == pytest.approx((0.888, 0.978), abs=1e-3)
    assert told.wilson(0, 0) == (0.0, 1.0)


def test_prompts_are_held_out() -> None:
    """Combinations unknown to training, products alike, both languages and the same noise."""
    rows = pictures.asked(96)
    assert all(held_out(row.words) for row in rows)
    assert all(row.words["camera"] != "top-down" for row in rows)
    assert {row.aspect for row in rows} == set(SIZES[512])
    counts = {p: sum(r.words["product"] == p for r in rows) for p in vocabulary().ids("product")}
    assert set(counts.values()) == {6}
    en, zh = rows[0], rows[1]
    assert (en.words, en.seed) == (zh.words, zh.seed)
    assert (en.prompt, zh.prompt) == (caption(en.words, "en"), caption(zh.words, "zh"))


def test_training_never_sees_held_out_scenes() -> None:
    """The scenes that the judges learn from are the others, those they are tried on are these."""
    rng = random.Random(3)
    assert not any(held_out(draw_scene(rng, "square").words) for _ in range(200))
    assert all(held_out(scene.words) for _, scene in renders.unseen_scenes(20, 3))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_judges_learn(tiny: None, tmp_path: Path) -> None:
    """A few steps change the weights of both; a trial counts what an eye can see."""
    part, judges = Part(tmp_path, 10.0, 0), Judges()
    part.device = "cpu"
    drawn = renders.draw("picture", 30, 5, unseen=False), renders.draw("clip", 30, 5, unseen=False)
    stills = renders.join([renders.pictures(d) for d in drawn[0]])
    shots = renders.join([renders.clips(d) for d in drawn[1]])
    for judge, data, loss in (
        (judges.picture, stills, training.picture_loss),
        (judges.motion, shots, training.motion_loss),
    ):
        before = next(judge.parameters()).clone()
        assert training.fit(part, judge, data, loss, 1.0, 4) > 1
        assert not torch.equal(before, next(judge.parameters()))
    rights, _ = training.try_pictures(judges.eval(), renders.draw("picture", 30, 6, unseen=True))
    assert len(rights["product"]) == 30
    assert len(rights["backdrop"]) < 30, "a top-down view hides the backdrop"
    rights, _ = training.try_clips(judges, renders.draw("clip", 30, 6, unseen=True))
    assert len(rights["motion"]) > 20
    assert len(rights["warp told: zoom-in"]) > 0


def test_judges_save_and_load(tmp_path: Path) -> None:
    """What is loaded answers as what was saved, to 8 bits, from a file small enough to carry."""
    judges = Judges().eval()
    judges.save(tmp_path / "j.safetensors")
    assert (tmp_path / "j.safetensors").stat().st_size < 0.8 * 2**20
    loaded, x = Judges.load(tmp_path / "j.safetensors"), torch.rand(2, 3, SIDE, SIDE)
    for name, logits in judges.see(x).items():
        assert (loaded.see(x)[name] - logits).norm() < 0.03 * logits.norm(), name
    loaded.save(tmp_path / "again.safetensors")
    assert torch.equal(
        Judges.load(tmp_path / "again.safetensors").see(x)["product"], loaded.see(x)["product"]
    )
    shots = torch.rand(2, 9, 3, CLIP_SIDE, CLIP_SIDE)
    seen = judges.watch(shots)
    assert (loaded.watch(shots) - seen).norm() < 0.03 * seen.norm()


def test_judges_of_another_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that have changed their places would be read wrongly."""
    Judges().save(tmp_path / "j.safetensors")
    monkeypatch.setattr("benchmarks.mini.judges._known", lambda: "other")
    with pytest.raises(ValueError, match="another vocabulary"):
        Judges.load(tmp_path / "j.safetensors")


def test_mirrored_pictures_swap_their_light() -> None:
    """Light from the left comes from the right in a mirror; nothing else changes its name."""
    left, right, top = (answers("light_side").index(side) for side in ("left", "right", "top"))
    labels = torch.tensor([[7, 7, 7, 7, side] for side in (left, left, right, top)])
    swapped = training.mirrored(labels, torch.tensor([True, False, True, True]))
    assert swapped[:, 4].tolist() == [right, left, left, top]
    assert swapped[:, :4].eq(7).all()
    picture = torch.zeros(1, 1, 16, 16)
    picture[..., :8] = 1
    assert training.moved(picture, torch.tensor([True]))[..., 10:].mean() > 0.9


def test_clips_and_warps_are_made(tiny: None) -> None:
    """Every motion and every warp comes out as nine small frames with its label."""
    drawn = renders.draw("clip", 30, 7, unseen=False)[1]
    data = renders.clips(drawn)
    assert data.codes.shape[1:] == (9, 3, CLIP_SIDE, CLIP_SIDE)
    assert {w["motion"] for w in data.words} == set(vocabulary().ids("motion"))
    bent = renders.join([renders.warps(4, "square", 8), renders.dissolves(data, 2)])
    assert {w["kind"] for w in bent.words} >= set(warps.KINDS)
    assert set(bent.labels.tolist()) == {answers("motion").index(WARP)}
    moves = bent.codes.float()
    assert (moves[:, 0] - moves[:, -1]).abs().mean((1, 2, 3)).min() > 1
    with pytest.raises(ValueError, match="bend"):
        warps.warped(torch.rand(4, 8, 8), "bend", random.Random(0))


def test_a_round_plain_product_turns_unseen(tiny: None) -> None:
    """A turntable that shows nothing has no right answer; one under a handbag has."""
    rng, out = random.Random(1), []
    for product in ("cream-jar", "handbag"):
        scene = draw_scene(rng, "square", {"product": product, "props": "snow"})
        scene.numbers["labelled"] = scene.numbers["pattern"] = 0.0
        words = [scene.words | {"motion": "turntable"}]
        vectors = renders.shot(scene, "turntable")[None]
        drawn = renders.Drawn("square", vectors, words, [])
        out.append(renders.clips(drawn).labels.item())
    assert out == [renders.HIDDEN, answers("motion").index("turntable")]


def test_decibels() -> None:
    """One error is as many decibels in 0..1 as in -1..1: 1 in 10 of the span is 20."""
    a, b = torch.zeros(3, 8, 8), torch.full((3, 8, 8), 0.1)
    assert psnr(a, b, span=1) == pytest.approx(20, abs=1e-3)
    assert psnr(2 * a - 1, 2 * b - 1) == pytest.approx(20, abs=1e-3)


def test_flicker_and_jump() -> None:
    """A still trembles not at all, noise much; a jolt at the start is a jump."""
    still = torch.rand(1, 3, 64, 64).expand(33, -1, -1, -1)
    assert steady.flicker(still) == 0
    assert steady.jump(still) == 1
    assert steady.flicker(torch.rand(33, 3, 64, 64)) > 10
    fade = torch.linspace(0, 1, 33).view(-1, 1, 1, 1).expand(-1, 3, 64, 64)
    assert steady.flicker(fade) < 0.01
    jolt = fade.clone()
    jolt[3:] += 0.5
    assert steady.jump(fade) == pytest.approx(1, abs=0.01)
    assert steady.jump(jolt) > 5


class _Sees(Judges):
    """Marks the middle of every picture."""

    def see(self, pictures: torch.Tensor, group: int = 250) -> dict[str, torch.Tensor]:
        mask = torch.full((len(pictures), 1, 40, 40), -9.0)
        mask[:, :, 10:30, 10:30] = 9
        return {"mask": mask}


def test_drift_of_a_recoloured_product() -> None:
    """A product that turns from red to orange drifts by the distance of these; a steady one not."""
    red, orange = torch.tensor([0.8, 0.1, 0.1]), torch.tensor([0.9, 0.5, 0.1])
    share = torch.linspace(0, 1, 33).view(-1, 1, 1, 1)
    ends = [colour.view(1, 3, 1, 1).expand(1, 3, 40, 40) for colour in (red, orange)]
    clip = ends[0] * (1 - share) + ends[1] * share
    away = delta_e(lab(red.double().numpy()), lab(orange.double().numpy()))
    assert steady.drift(_Sees(), clip) == pytest.approx((away, away), abs=0.1)
    assert steady.drift(_Sees(), clip[:1].expand(33, -1, -1, -1)) == (0, 0)


def test_failures_are_named() -> None:
    """A wrong surface is told; a colour beyond the palette cannot be wrong in it."""
    row = pictures.asked(1)[0]
    row.seen = {name: row.words[name] for name in training.FIELDS} | {"palette": "red"}
    row.words["colour"], row.seen["surface"] = "silver", "elsewhere"
    assert pictures.wrong(row) == [f"surface: {row.words['surface']} > elsewhere"]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_measures_the_shipped_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prompts, clips, autoencoders, pages and record come out, with judges that know nothing."""
    for each in SIZES:
        small = {"portrait": (64, 96), "square": (64, 64), "landscape": (96, 64)}
        monkeypatch.setitem(SIZES, each, small)
    judges = tmp_path / "j.safetensors"
    Judges().save(judges)
    blind = {"en": [{"prompt": "a mug", "product": "mug", "colour": None}], "zh": []}
    (tmp_path / "blind.json").write_text(json.dumps(blind), encoding="utf-8")
    given = f"--results {tmp_path} measure --judges {judges} --prompts 2 --clips 1 --whole 1"
    given += f" --sheets {tmp_path / 'sheets'} --blind {tmp_path / 'blind.json'}"
    monkeypatch.setattr("sys.argv", ["mini_quality", *given.split()])
    mini_quality.main()
    wanted = {
        "pictures": {"8 steps: product", "blind, en: product", "peak memory"},
        "clips": {
            "motion seen: as named", "flicker against rendered clips", "peak memory",
            "video autoencoder, square, worst frame",
        },
    }  # fmt: skip
    for kind, metrics in wanted.items():
        read = json.loads((tmp_path / f"mini_{kind}.json").read_text(encoding="utf-8"))
        assert metrics <= {one["metric"] for one in read["figures"]}
    assert len(read["clips"]) == 1
    assert {"random.jpg", "blind.jpg"} <= {p.name for p in (tmp_path / "sheets").iterdir()}
    assert "motion seen: as named" in capsys.readouterr().out
