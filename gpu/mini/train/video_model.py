"""The video transformer and its text encoder, in WanImageToVideoPipeline's Wan 2.2 form."""

import copy
import random
from pathlib import Path

import torch
from torch import Tensor, nn

from gpu.mini.camera import SIZES, Size
from gpu.mini.train import wan_fast
from gpu.mini.train.data import ASPECTS, CLIP_CAPTIONS, FRAMES, Drawn, draw, paint, to_unit
from gpu.mini.train.optim import Optimizer, parameters, ramp, shifted_sigmas
from gpu.mini.train.run import Clock, Part, attention, compiled
from gpu.mini.train.sheets import psnr, sheet
from gpu.mini.train.text import SIZE, VIDEO_TOKENS, tokenizer
from gpu.mini.train.video_data import GROUP, KINDS, Clips, encode_clips, kind
from gpu.mini.train.video_vae import CHANNELS
from gpu.mini.untyped import Untyped

HEADS, LAYERS, FFN = 4, 5, 768
SHIFT, TERMINAL = 4.0, 0.4
"""The scheduler's shift, and the noise before its last step. Left alone it is 0.016: of four steps
the last one would do nothing, and details would be settled at 0.67."""
LEVELS = (1.0, 0.933, 0.798, 0.4)
"""The noise at the four steps of a call."""
TOKENS = 125_000
"""Latent tokens a step: 54 clips at the 256 class, 24 at the 384 class."""
COUNT = {256: 1500, 384: 1400, 512: 400}
"""Clips an aspect by class: 40 to 60 s of rendering and encoding on one H100."""


def new_models() -> tuple[Untyped, Untyped]:
    """Untrained transformer (5.3 M) and UMT5 encoder (0.5 M)."""
    from diffusers import WanTransformer3DModel
    from transformers import UMT5Config, UMT5EncoderModel

    text = UMT5EncoderModel(UMT5Config(
        vocab_size=SIZE, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4,
        dropout_rate=0.0,
    ))  # fmt: skip
    text.shared.weight.data.normal_(0, 0.5)
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=HEADS, attention_head_dim=64,
        in_channels=CHANNELS, out_channels=CHANNELS, text_dim=128, freq_dim=256, ffn_dim=FFN,
        num_layers=LAYERS, cross_attn_norm=True,
    )  # fmt: skip
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return model, text


def said(text: Untyped, ids: Tensor, lengths: Tensor) -> Tensor:
    """Text states as the pipeline makes them: zeros after the last token."""
    mask = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
    # Four-dimensional and additive: of a plain mask the library asks the device whether all is set.
    added = torch.zeros(mask.shape, device=ids.device).masked_fill(~mask, -1e9)[:, None, None]
    return text(ids, added).last_hidden_state * mask[..., None]  # type: ignore[no-any-return]


def noise_levels(count: int, side: int, device: Untyped) -> Tensor:
    """Noise levels [count] of a class: larger pictures hide less under equal noise.

    A third of them lie near the four at which a clip is made in use.
    """
    broad = shifted_sigmas(count, SHIFT * side / 384, device)
    steps = torch.tensor(LEVELS, device=device)[torch.randint(0, 4, (count,), device=device)]
    steps = (steps + 0.02 * torch.randn(count, device=device)).clamp(0, 1)
    return torch.where(torch.rand(count, device=device) < 0.33, steps, broad)


class Trainer:
    """The models, their clips and the step; `train_transformer` drives it by the clock."""

    def __init__(self, part: Part, start: Path, side: int, count: int, batch: int) -> None:
        from diffusers import AutoencoderKLWan

        self.part, self.side, self.tok = part, side, tokenizer()
        self.batch = batch or TOKENS // (9 * (side // 16) ** 2)
        # Drawn before the first rendering: worker processes fork without a GPU context.
        many, fresh = count or COUNT[side], 1000 * part.seed + 30 + side
        drawn = [draw("clip", aspect, many, seed=fresh) for aspect in ASPECTS]
        part.log("drawn")
        model, text = _resumed(start) if (start / "video").exists() else new_models()
        self.model, self.text = model.to(part.device), text.to(part.device)
        self.vae = AutoencoderKLWan.from_pretrained(start / "video_vae").float().to(part.device)
        self.clips = encode_clips(part, self.vae, self.tok, drawn, side)
        self.tables = {a: wan_fast.ropes(model, c.latents[:1]) for a, c in self.clips.items()}
        self.run = compiled(wan_fast.block, part.device), compiled(wan_fast.ending, part.device)
        frames = torch.ones(1 + (FRAMES - 1) // 4, device=part.device)
        frames[0], frames[1:3] = 0.0, 1.5  # frame 0 is given; a jump right after it is ugly
        self.frames = frames.view(1, -1, 1, 1)
        self.sums = torch.zeros(2, len(KINDS), device=part.device)

    def losses(self, aspect: str, pick: Tensor) -> Tensor:
        """Flow-matching losses [B] of clips; the product weighs twice, frame 0 not at all."""
        clips: Clips = self.clips[aspect]
        row = pick * CLIP_CAPTIONS + torch.randint_like(pick, CLIP_CAPTIONS)
        x0 = clips.latents[pick].float()
        sigma = noise_levels(len(pick), self.side, x0.device)
        noise, s = torch.randn_like(x0), sigma.view(-1, 1, 1, 1, 1)
        xt = (1 - s) * x0 + s * noise
        xt[:, :, 0] = x0[:, :, 0]
        with self.part.cast():
            states = said(self.text, clips.ids[row], clips.lengths[row])
            v = wan_fast.forward(
                self.model, xt, sigma * 1000, states, self.tables[aspect], self.run
            )
        weight = (1 + clips.product[pick].float()) * self.frames
        error = (v.float() - (noise - x0)).square().mean(1)
        return (error * weight).flatten(1).mean(1) / weight.mean()

    def step(self) -> None:
        """Backpropagates the loss of random clips of one aspect."""
        aspect = random.choice(ASPECTS)
        clips = self.clips[aspect]
        held = min(GROUP, len(clips.latents) - 1)
        pick = torch.randint(held, len(clips.latents), (self.batch,), device=self.part.device)
        losses = self.losses(aspect, pick)
        torch.autograd.backward(losses.mean())
        seen = torch.stack([losses.detach(), torch.ones_like(losses)])
        self.sums.index_add_(1, clips.kinds[pick], seen)

    def report(self) -> str:
        """Losses since the last report by kind of motion, and on clips kept out of training.

        The latter always with the same noise; the graph is let go, not run backward.
        """
        total, count = self.sums
        by_kind = (total / count.clamp_min(1)).tolist()
        self.sums.zero_()
        words = [f"{name} {loss:.4f}" for name, loss in zip(KINDS, by_kind, strict=True)]
        pick = torch.arange(self.batch, device=self.part.device) % GROUP
        with torch.random.fork_rng():
            torch.manual_seed(7)
            unseen = [
                self.losses(a, pick % len(c.latents)).mean().item() for a, c in self.clips.items()
            ]
        return " ".join([*words, f"unseen {sum(unseen) / len(unseen):.4f}"])


def train_transformer(
    part: Part, start: Path, *, side: int, rates: tuple[float, float], count: int = 0,
    batch: int = 0,
) -> None:  # fmt: skip
    """Trains for the part's time; saves the whole pipeline to ``out/video``.

    Args:
        part: the clock, the log and the folder.
        start: holds ``video_vae``, and ``video`` too when an earlier part is to be continued.
        side: the class of the clips, a key of `SIZES`.
        rates: learning-rate factor at the beginning and the end.
        count: clips an aspect; 0 is as many as `COUNT` says.
        batch: clips a step; 0 is `TOKENS` worth of them.
    """
    trainer = Trainer(part, start, side, count, batch)
    opt = Optimizer(parameters(model=trainer.model, text=trainer.text))
    part.log("parameters", sum(p.numel() for p in opt.all), "batch", trainer.batch)
    clock = Clock(part.seconds - part.elapsed() - (32 if part.device == "cuda" else 2))
    part.log(f"training for {clock.seconds:.0f} s")
    with attention():
        while (done := clock.tick()) < 1:
            trainer.step()
            opt.step(ramp(done, clock.steps, rates))
            if clock.steps % 200 == 1:
                speed = f"{clock.rate() * trainer.batch:.0f} clips/s"
                part.log(f"video {side} step {clock.steps} {trainer.report()} {speed}")
    opt.swap()
    samples(part, save(part, trainer), side)


def _resumed(start: Path) -> tuple[Untyped, Untyped]:
    from diffusers import WanTransformer3DModel
    from transformers import UMT5EncoderModel

    folder = start / "video"
    model = WanTransformer3DModel.from_pretrained(folder / "transformer")
    return model.float(), UMT5EncoderModel.from_pretrained(folder / "text_encoder").float()


def save(part: Part, trainer: Trainer) -> Untyped:
    """Saves the pipeline in bf16 and returns it."""
    from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline

    scheduler = FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000, shift=SHIFT, shift_terminal=TERMINAL
    )
    models = (trainer.model, trainer.text, trainer.vae)
    half = [copy.deepcopy(m).to(torch.bfloat16) for m in models]
    pipe = WanImageToVideoPipeline(
        tokenizer=trainer.tok, transformer=half[0], text_encoder=half[1], vae=half[2],
        scheduler=scheduler, expand_timesteps=True,
    )  # fmt: skip
    pipe.save_pretrained(part.out / "video", max_shard_size="15MB")
    part.log("saved", sum(f.stat().st_size for f in (part.out / "video").rglob("*.*")), "bytes")
    return pipe


def _shown(drawn: Drawn) -> list[int]:
    """Places of two plain clips, an orbit and a turntable."""
    kinds = [kind(words["motion"]) for words in drawn.words]
    places = [[i for i, k in enumerate(kinds) if k == n] for n in range(len(KINDS))]
    return places[0][:2] + places[1][:1] + places[2][:1]


@torch.no_grad()
def samples(part: Part, pipe: Untyped, side: int) -> None:
    """Clips from new first frames; rows: true, made. Stops a little before the part's time is up.

    A clip takes one to two seconds on an H100.
    """
    pipe.to(part.device)
    pipe.set_progress_bar_config(disable=True)
    for n, aspect in enumerate(("square", "portrait", "landscape")):
        drawn, rows = draw("clip", aspect, 24, seed=99 + n), []
        for i in _shown(drawn):
            if part.elapsed() < part.seconds - 4:
                rows += _sample(part, pipe, drawn, i, SIZES[side][aspect])
        if rows:
            sheet(torch.cat(rows), 9, part.out / f"video_{aspect}.jpg")


def _sample(part: Part, pipe: Untyped, drawn: Drawn, i: int, size: Size) -> list[Tensor]:
    """Every fourth frame of a rendered clip and of the one made from its first frame."""
    from PIL import Image

    true = to_unit(paint(drawn.vectors[i], size)[:, :3]).cpu()
    first = Image.fromarray(((true[0] + 1) * 127.5).byte().permute(1, 2, 0).numpy())
    caption = drawn.captions[i][0]
    made = pipe(
        image=first, prompt=caption, height=size[1], width=size[0], num_frames=FRAMES,
        num_inference_steps=4, guidance_scale=1.0, max_sequence_length=VIDEO_TOKENS,
        generator=torch.Generator("cpu").manual_seed(1), output_type="pt",
    ).frames[0].float().cpu() * 2 - 1  # fmt: skip
    part.log(
        f"{drawn.aspect} {drawn.words[i]['motion']} ({caption}):"
        f" first {psnr(made[0], true[0]):.1f} fourth {psnr(made[4], true[4]):.1f}"
        f" last {psnr(made[-1], true[-1]):.1f} still-last {psnr(true[0], true[-1]):.1f}"
    )
    return [true[::4], made[::4]]
