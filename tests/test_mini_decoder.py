"""A decoder trained further: better pictures, the same latents, nothing else touched."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gpu.mini.camera import SIZES, Size
from gpu.mini.train import critic, data, decoder, decoder_data
from gpu.mini.train.critic import Critic, Features, balance, labels
from gpu.mini.train.run import Clock, Part
from gpu.mini.untyped import Untyped

SMALL = {"portrait": (32, 64), "square": (48, 48), "landscape": (64, 32)}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


def _waves(vectors: np.ndarray, size: Size, samples: int = 2) -> Tensor:
    """Stands in for the renderer: soft stripes that a decoder can learn in seconds."""
    width, height = size
    turns = torch.from_numpy(vectors[:, :3].astype(np.float32)).view(-1, 3, 1, 1) % 3
    y = torch.linspace(0, 3, height).view(1, 1, -1, 1)
    x = torch.linspace(0, 3, width).view(1, 1, 1, -1)
    rgb = (torch.sin(y * turns + x + turns) * 100 + 127).byte()
    return torch.cat([rgb, torch.zeros_like(rgb[:, :1])], 1)


def _drawn(kind: str, aspect: str, count: int, seed: int) -> data.Drawn:
    """As ``data.draw``, in this process: forking costs seconds on a busy machine."""
    work = data._draw_pictures if kind == "picture" else data._draw_clips
    return data.Drawn(aspect, *work((seed, count, aspect)))


def _image() -> Untyped:
    """AutoencoderKL, a few thousand weights."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16), latent_channels=12, norm_num_groups=4,
        scaling_factor=0.375, shift_factor=0.028, mid_block_add_attention=False,
        use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip


def _video() -> Untyped:
    """AutoencoderKLWan, likewise."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=8, z_dim=16, dim_mult=[1, 1, 2], num_res_blocks=1, attn_scales=[],
        temperal_downsample=[True, True], latents_mean=[0.5] * 16, latents_std=[2.0] * 16,
        in_channels=12, out_channels=12, patch_size=2, scale_factor_temporal=4,
        scale_factor_spatial=8,
    )  # fmt: skip


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    """A part on the CPU over stripes instead of renders."""
    monkeypatch.setattr(data, "paint", _waves)
    for each in SIZES:
        monkeypatch.setitem(SIZES, each, SMALL)
    monkeypatch.setattr(decoder_data, "draw", _drawn)
    monkeypatch.setattr(critic, "WIDTHS", (4, 8, 8, 8, 8))
    monkeypatch.setattr(decoder, "RATE", 5.0)  # a few dozen steps without warm-up
    monkeypatch.setattr(decoder, "cosine", lambda done, step: 1 - done)
    made = Part(tmp_path, 0.0, 0)
    made.device = "cpu"
    return made


def _give(part: Part, seconds: float) -> None:
    part.seconds = part.elapsed() + seconds


def _start(part: Part, name: str, vae: Untyped) -> dict[str, Tensor]:
    """Saves an untrained autoencoder with a cast as the start; returns its weights."""
    vae.decoder.conv_out.bias.data += 0.5
    vae.save_pretrained(part.out / "start" / name)
    return {k: v.clone() for k, v in vae.state_dict().items()}


def _check(part: Part, name: str, kind: Untyped, old: dict[str, Tensor]) -> None:
    """What must hold after either training."""
    new = kind.from_pretrained(part.out / name).state_dict()
    side = "encoder.", "quant_conv."
    assert all(torch.equal(new[k], old[k]) for k in old if k.startswith(side))
    assert any(not torch.equal(new[k], old[k]) for k in old if k.startswith("decoder."))
    configs = [json.loads((f / name / "config.json").read_text(encoding="utf-8"))
               for f in (part.out / "start", part.out)]  # fmt: skip
    for config in configs:
        config.pop("_name_or_path", None)
    assert configs[0] == configs[1]
    log = (part.out / "log.txt").read_text(encoding="utf-8")
    rows = re.findall(r"\] (before|after) square 384: psnr ([\d.]+)", log)
    figures = {when: float(db) for when, db in rows}
    assert figures["after"] > figures["before"] + 0.5
    weights = [float(w) for w in re.findall(r"adversary ([\d.]+)", log)]
    assert weights
    assert max(weights) <= critic.ADVERSARY_CAP
    assert (part.out / f"{name}_decoder.jpg").stat().st_size > 1000


def _every_step_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps fit into seconds: the critic comes at once, checks stay."""
    monkeypatch.setattr(decoder, "CRITIC_FROM", 0.0)
    monkeypatch.setattr(decoder, "ADVERSARY_FROM", 0.0)
    monkeypatch.setattr(decoder, "LAST", 2.0)
    monkeypatch.setattr(decoder, "NOTE", 5)


@pytest.mark.long
def test_image_decoder(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cast goes, by more than half a decibel; encoder, latents and factors stay."""
    from diffusers import AutoencoderKL

    _every_step_logged(monkeypatch)
    old = _start(part, "image_vae", _image())
    _give(part, 16)
    decoder.train_image_decoder(part, part.out / "start", count=8, crop=32, batch=2, held=2)
    _check(part, "image_vae", AutoencoderKL, old)
    x = torch.rand(1, 3, 32, 32)
    first, then = (
        AutoencoderKL.from_pretrained(f / "image_vae") for f in (part.out / "start", part.out)
    )
    with torch.no_grad():
        assert torch.equal(first.encode(x).latent_dist.mean, then.encode(x).latent_dist.mean)


@pytest.mark.long
def test_video_decoder(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for clips of all frames and single pictures."""
    from diffusers import AutoencoderKLWan

    _every_step_logged(monkeypatch)
    old = _start(part, "video_vae", _video())
    _give(part, 24)
    decoder.train_video_decoder(
        part, part.out / "start", count=4, stills=8, crop=32, batch=1, held=1
    )
    _check(part, "video_vae", AutoencoderKLWan, old)


def test_no_adversary_in_the_end_under_the_bar(part: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the bar the last stretch is the decoder's own."""

    class Counted(Clock):
        """Twenty steps are all the time there is, however slow the machine."""

        def tick(self) -> float:
            self.steps += 1
            return self.steps / 20

    asked = []
    true = critic.Judged.loss

    def loss(self: Untyped, *given: Untyped) -> Tensor:
        asked.append(given[-1])
        return true(self, *given)

    monkeypatch.setattr(critic.Judged, "loss", loss)
    monkeypatch.setattr(decoder, "Clock", Counted)
    _start(part, "image_vae", _image())
    _give(part, 10)
    decoder.train_image_decoder(part, part.out / "start", count=8, crop=32, batch=2, held=2)
    assert True in asked
    assert not asked[0]
    assert not asked[-1]


@pytest.mark.parametrize("make", [_image, _video], ids=["image", "video"])
def test_coders_are_those_of_the_library(part: Part, make: Callable[[], Untyped]) -> None:
    """Both halves give what the library gives, a whole clip as well as a picture."""
    vae = make().eval()
    video = make is _video
    coder = decoder.video_coder(part, vae) if video else decoder.image_coder(part, vae, fast=True)
    part.cast = lambda: torch.autocast("cpu", enabled=False)  # type: ignore[method-assign]
    x = torch.rand(1, 3, data.FRAMES if video else 1, 32, 48) * 2 - 1
    with torch.no_grad():
        given = x if video else x[:, :, 0]
        z = vae.encode(given).latent_dist.mean
        y = vae.decode(z).sample
        ours = coder.encode(x)
        made = coder.decode(ours)
    assert torch.allclose(ours.reshape(z.shape), z, atol=1e-3)
    assert torch.allclose(made.reshape(y.shape).clamp(-1, 1), y.clamp(-1, 1), atol=1e-3)


def test_weight_balances_and_is_capped() -> None:
    """A quarter of the pull asked for gives a quarter; a vanishing pull gives the cap."""
    last = torch.ones(4, requires_grad=True)
    main, other = (3 * last).sum(), (6 * last).sum()
    assert balance(main, other, last, 0.25, 10.0).item() == pytest.approx(0.125)
    assert balance(main, (1e-9 * last).sum(), last, 0.25, 0.1).item() == pytest.approx(0.1)


def test_noise_is_on_half_of_the_batch(part: Part) -> None:
    """Every second latent stays; the others are off by at most the level, per channel's size."""
    coder = decoder.video_coder(part, _video())
    z = torch.zeros(64, 16, 1, 4, 4)
    off = decoder._noisy(coder, z, 0.15)
    assert not off[::2].any()
    levels = off[1::2].flatten(1).std(1) / 2.0  # `_video`'s deviation
    assert 0.05 < levels.mean() < 0.1
    assert levels.max() < 0.2


def test_critic_learns_to_tell_apart(part: Part) -> None:
    """On noise against flat pictures the hinge loss falls well under one."""
    judge = Critic(part)
    for group in judge.opt.param_groups:
        group["lr"] = 2e-3
    losses = [
        judge.learn(torch.zeros(2, 3, 48, 48), torch.randn(2, 3, 48, 48).clamp(-1, 1)).item()
        for _ in range(40)
    ]
    assert losses[-1] < 0.6 * losses[0]
    assert not any(p.requires_grad for p in judge.net.parameters())


def test_feature_distance() -> None:
    """A picture is at no distance from itself, and farther from a blurred one."""
    net = Features().eval()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    soft = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert net.distance(x, x).item() == 0
    assert net.distance(soft, x) > net.distance(x + 0.01, x)


def test_labels() -> None:
    """Ids become their places in the vocabulary."""
    from gpu.mini.vocabulary import vocabulary

    said = {f: vocabulary().ids(f)[2] for f in critic.FIELDS}
    assert labels([said]).tolist() == [[2, 2, 2, 2]]


def test_held_out_scenes_stay_out() -> None:
    """Scenes of the figures are of combinations that training never draws."""
    import random

    from gpu.mini.scenes import draw_scene, held_out

    rng = random.Random("5 square")
    assert all(held_out(draw_scene(rng, "square", unseen=True).words) for _ in range(20))
    first, again, other = (decoder_data._unseen("square", 3, s, moving=False) for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
