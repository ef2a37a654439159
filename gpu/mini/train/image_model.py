"""The image transformer and its Qwen3 text encoder, in ZImagePipeline's form."""

import copy
import random
from pathlib import Path

import torch
from torch import Tensor, nn

from gpu.mini.camera import SIZES
from gpu.mini.train import zimage_fast
from gpu.mini.train.data import ASPECTS, draw
from gpu.mini.train.image_data import WIDTHS, Pictures, encode_pictures
from gpu.mini.train.image_vae import CHANNELS
from gpu.mini.train.optim import Optimizer, parameters, ramp, shifted_sigmas
from gpu.mini.train.run import Clock, Part, attention, compiled
from gpu.mini.train.sheets import sheet
from gpu.mini.train.text import SIZE, image_tokens, tokenizer
from gpu.mini.untyped import Untyped

DIM, LAYERS, HEAD = 320, 7, 64
SHIFT = 8.0
"""Of the shipped scheduler: most of the eight steps go where light and ground are settled. With 3,
as Z-Image has it, the light's side came out right in 57 of 64 pictures instead of 63."""
TOKENS = 115_000
"""Picture tokens a step: 449 pictures at the 256 class, 112 at the 512 class."""
NOISE = {256: 1.5, 384: 2.0, 512: 4.0}
"""How far training noise is shifted up by class: larger pictures hide less under equal noise, and
light and ground are settled in the first steps."""
GUIDANCE = 0.55
"""Model guidance: the target moves this far away from the prediction without a caption, which
bakes in a guidance scale of 1 / (1 - 0.55) = 2.2."""
SAMPLES = Path(__file__).with_name("sample_prompts.txt")


def new_models() -> tuple[Untyped, Untyped]:
    """Untrained transformer (11.6 M) and text encoder (1.0 M; Z-Image reads layer 2 of its 3)."""
    from diffusers import ZImageTransformer2DModel
    from transformers import Qwen3Config, Qwen3Model

    text = Qwen3Model(Qwen3Config(
        vocab_size=SIZE, hidden_size=192, intermediate_size=256, num_hidden_layers=3,
        num_attention_heads=3, num_key_value_heads=1, head_dim=64, max_position_embeddings=1024,
        tie_word_embeddings=True,
    ))  # fmt: skip
    model = ZImageTransformer2DModel(
        all_patch_size=(2,), all_f_patch_size=(1,), in_channels=CHANNELS, dim=DIM, n_layers=LAYERS,
        n_refiner_layers=0, n_heads=DIM // HEAD, n_kv_heads=DIM // HEAD, cap_feat_dim=192,
        axes_dims=[16, 24, 24], axes_lens=[1024, 128, 128],
    )  # fmt: skip
    for name, p in model.named_parameters():
        if p.ndim == 2 and "adaLN" in name:
            nn.init.zeros_(p) if "final" in name else nn.init.normal_(p, std=0.01)
        elif p.ndim == 2 and "pad_token" not in name:
            nn.init.xavier_uniform_(p)
        if name.endswith("bias"):
            nn.init.zeros_(p)
    nn.init.zeros_(model.all_final_layer["2-1"].linear.weight)
    for block in model.layers:  # gates open, or nothing is learnt at first
        block.adaLN_modulation[0].bias.data.view(4, -1)[[1, 3]] = 0.6
    return model, text


def _resumed(start: Path) -> tuple[Untyped, Untyped]:
    from diffusers import ZImageTransformer2DModel
    from transformers import Qwen3Model

    folder = start / "image"
    model = ZImageTransformer2DModel.from_pretrained(folder / "transformer")
    return model.float(), Qwen3Model.from_pretrained(folder / "text_encoder").float()


class Trainer:
    """The models, their data and the step; `train_transformer` drives it by the clock."""

    def __init__(self, part: Part, start: Path, side: int, count: int, batch: int) -> None:
        from diffusers import AutoencoderKL

        self.part, self.side, self.tok = part, side, tokenizer()
        self.batch = batch or TOKENS * 256 // side**2
        fresh = 1000 * part.seed + 40 + side  # a part that goes on sees scenes that are new to it
        drawn = [draw("picture", aspect, count, seed=fresh) for aspect in ASPECTS]
        part.log("drawn")
        model, text = _resumed(start) if (start / "image").exists() else new_models()
        self.model, self.text = model.to(part.device), text.to(part.device)
        self.vae = AutoencoderKL.from_pretrained(start / "image_vae").float().to(part.device)
        self.data = encode_pictures(part, self.vae, self.tok, drawn, side)
        self.null = [t.to(part.device) for t in image_tokens(self.tok, [""], WIDTHS[0])]
        self.run = compiled(zimage_fast.block, part.device)
        self.tables = {
            (a, width): zimage_fast.tables(self.model, self._grid(a), width, part.device)
            for a in ASPECTS
            for width in WIDTHS
        }

    def _grid(self, aspect: str) -> tuple[int, int]:
        height, width = self.data[aspect].latents.shape[2:]
        return height // 2, width // 2

    def _nulls(self, like: Tensor) -> Tensor:
        """Ids of the empty caption, as wide as ``like`` [B, width]."""
        null = torch.zeros_like(like)
        null[:, : WIDTHS[0]] = self.null[0]
        return null

    def _batch(self, aspect: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents, product share, ids and lengths; a tenth of the captions empty."""
        d: Pictures = self.data[aspect]
        (wide,) = random.choices(range(len(WIDTHS)), [len(rows) for rows in d.rows])
        row = d.rows[wide][torch.randint(0, len(d.rows[wide]), (self.batch,), device=d.ids.device)]
        ids, lengths = d.ids[row, : WIDTHS[wide]], d.lengths[row]
        drop = torch.rand(self.batch, device=ids.device) < 0.1
        ids = torch.where(drop[:, None], self._nulls(ids), ids)
        picture = row // d.per
        return (
            d.latents[picture].float(),
            d.product[picture].float(),
            ids,
            torch.where(drop, self.null[1], lengths),
        )

    def predict(self, aspect: str, xt: Tensor, t: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """The fast forward under autocast."""
        table = self.tables[aspect, ids.shape[1]]
        with self.part.cast():
            states = zimage_fast.text_states(self.text, ids)
            out = zimage_fast.forward(self.model, xt, t, states, lengths, table, self.run)
        return out.float()

    def step(self, guidance: float) -> Tensor:
        """One flow-matching step, product weighted twice; backpropagates and returns the loss."""
        aspect = random.choice(ASPECTS)
        x0, product, ids, lengths = self._batch(aspect)
        sigma = shifted_sigmas(self.batch, NOISE[self.side], x0.device)
        noise, s = torch.randn_like(x0), sigma.view(-1, 1, 1, 1)
        xt, target = (1 - s) * x0 + s * noise, x0 - noise
        v = self.predict(aspect, xt, 1 - sigma, ids, lengths)
        if guidance > 0:
            with torch.no_grad():
                empty = self.null[1].expand(self.batch)
                free = self.predict(aspect, xt, 1 - sigma, self._nulls(ids), empty)
            said = (lengths != self.null[1]).float().view(-1, 1, 1, 1)
            target = target + guidance * (v.detach() - free) * said
        weight = 1 + product
        loss = ((v - target).square() * weight).mean() / weight.mean()
        torch.autograd.backward(loss)
        return loss.detach()


def train_transformer(
    part: Part, start: Path, *, side: int, rates: tuple[float, float],
    guided: tuple[float, float], count: int = 16000, batch: int = 0,
) -> None:  # fmt: skip
    """Trains for the part's time; saves the whole pipeline to ``out/image``.

    ``start`` holds ``image_vae``, and ``image`` too when an earlier part is to be continued.

    Args:
        part: the clock, the log and the folder.
        start: weights to start from.
        side: the class of the pictures, a key of `SIZES`.
        rates: learning-rate factor at the beginning and the end.
        guided: shares of the time at which model guidance begins and is whole; (0, 0) is whole
            from the first step, (1, 1) never.
        count: scenes an aspect.
        batch: pictures a step; 0 is `TOKENS` worth of them.
    """
    trainer = Trainer(part, start, side, count, batch)
    opt = Optimizer(parameters(model=trainer.model, text=trainer.text))
    part.log("parameters", sum(p.numel() for p in opt.all), "batch", trainer.batch)
    clock = Clock(part.seconds - part.elapsed() - (28 if part.device == "cuda" else 2))
    part.log(f"training for {clock.seconds:.0f} s")
    begins, whole = guided
    with attention():
        while (done := clock.tick()) < 1:
            share = (done - begins) / max(whole - begins, 1e-6)
            loss = trainer.step(GUIDANCE * min(1.0, max(0.0, share)))
            opt.step(ramp(done, clock.steps, rates))
            if clock.steps % 200 == 1:
                speed = f"{clock.rate() * trainer.batch:.0f}/s"
                part.log(f"image {side} step {clock.steps} loss {loss.item():.4f} {speed}")
    opt.swap()
    samples(part, save(part, trainer), side)


def save(part: Part, trainer: Trainer) -> Untyped:
    """Saves the pipeline in bf16 and returns it."""
    from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline

    scheduler = FlowMatchEulerDiscreteScheduler(
        num_train_timesteps=1000, use_dynamic_shifting=False, shift=SHIFT
    )
    half = [copy.deepcopy(m).to(torch.bfloat16) for m in (trainer.model, trainer.text, trainer.vae)]
    pipe = ZImagePipeline(
        scheduler=scheduler, transformer=half[0], text_encoder=half[1], vae=half[2],
        tokenizer=trainer.tok,
    )  # fmt: skip
    pipe.save_pretrained(part.out / "image", max_shard_size="15MB")
    part.log("saved", sum(f.stat().st_size for f in (part.out / "image").rglob("*.*")), "bytes")
    return pipe


@torch.no_grad()
def samples(part: Part, pipe: Untyped, side: int, seed: int = 1) -> None:
    """A sheet of the sample prompts, each aspect a file."""
    pipe.to(part.device)
    pipe.set_progress_bar_config(disable=True)
    prompts = SAMPLES.read_text(encoding="utf-8").splitlines()
    for aspect in ASPECTS:
        width, height = SIZES[side][aspect]
        some = prompts if aspect == "square" else prompts[:12]
        pictures = []
        for i in range(0, len(some) if part.device == "cuda" else 1, 8):
            pictures += pipe(
                prompt=some[i : i + 8] if part.device == "cuda" else some[:1], height=height,
                width=width, num_inference_steps=8, guidance_scale=0.0, max_sequence_length=128,
                generator=torch.Generator("cpu").manual_seed(seed), output_type="pt",
            ).images  # fmt: skip
        sheet(torch.stack(list(pictures)) * 2 - 1, 6, part.out / f"image_{aspect}.jpg")
