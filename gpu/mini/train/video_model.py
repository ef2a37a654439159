"""The video transformer and its text encoder, in WanImageToVideoPipeline's Wan 2.2 form."""

import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from gpu.mini.camera import SIZES
from gpu.mini.train import wan_fast
from gpu.mini.train.data import ASPECTS, CLIP_CAPTIONS, draw, paint, to_unit
from gpu.mini.train.optim import Optimizer, parameters, shifted_sigmas, trapezoid
from gpu.mini.train.run import Clock, Part, compiled
from gpu.mini.train.sheets import psnr, sheet
from gpu.mini.train.text import SIZE, VIDEO_TOKENS, tokenizer
from gpu.mini.train.video_data import Clips, draw_clips, encode_clips
from gpu.mini.train.video_vae import CHANNELS
from gpu.mini.untyped import Untyped

HEADS, LAYERS, FFN = 4, 5, 768
SHIFT = 4.0
BATCH = 24


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
    return text(ids, mask.long()).last_hidden_state * mask[..., None]  # type: ignore[no-any-return]


def _warm(
    part: Part,
    model: Untyped,
    text: Untyped,
    tables: tuple[Tensor, Tensor],
    run: Untyped,
    batch: int,
) -> None:
    """Compiles the block on noise, so that waiting for the autoencoder is not idle."""
    blank = torch.zeros(8 * CLIP_CAPTIONS, VIDEO_TOKENS, dtype=torch.long, device=part.device)
    noise = torch.randn(8, CHANNELS, 9, 48, 48, device=part.device).half()
    clips = Clips(noise, blank, torch.full((len(blank),), 9, device=part.device))
    for _ in range(2):
        _step(part, model, text, clips, tables, run, batch)
    for module in (model, text):
        module.zero_grad(set_to_none=True)
    part.log("compiled")


def _await(part: Part, folder: Path) -> None:
    """Waits for an autoencoder that another part is still training."""
    while not (folder / "config.json").exists() or not (folder.parent / "READY").exists():
        if part.elapsed() > part.seconds:
            raise TimeoutError(f"no autoencoder came at {folder}")
        time.sleep(0.5)


def train_transformer(part: Part, start: Path, count: int = 900, batch: int = BATCH) -> None:
    """Trains for the part's time; saves the whole pipeline to ``out/video``.

    ``start`` holds ``video_vae``, and ``video`` too when an earlier part is to be continued.
    """
    from diffusers import AutoencoderKLWan

    drawn = draw_clips(count, seed=31 + int((start / "video").exists()))
    tok = tokenizer()
    model, text = _resumed(start) if (start / "video").exists() else new_models()
    model, text = model.to(part.device), text.to(part.device)
    part.log("parameters", sum(p.numel() for _, p in parameters(m=model, t=text)))
    sizes = SIZES[384]
    tables = {
        a: wan_fast.ropes(model, torch.zeros(1, CHANNELS, 9, h // 8, w // 8, device=part.device))
        for a, (w, h) in sizes.items()
    }
    run = compiled(wan_fast.block, part.device)
    _warm(part, model, text, tables["square"], run, batch)
    _await(part, start / "video_vae")
    vae = AutoencoderKLWan.from_pretrained(start / "video_vae").float().to(part.device)
    clips = encode_clips(part, vae, tok, drawn)
    opt = Optimizer(parameters(model=model, text=text))
    clock = Clock(part.seconds - part.elapsed() - (30 if part.device == "cuda" else 2))
    part.log(f"training for {clock.seconds:.0f} s")
    total, kept = 0.0, False
    while (done := clock.tick()) < 1:
        aspect = random.choice(ASPECTS)
        loss = _step(part, model, text, clips[aspect], tables[aspect], run, batch)
        opt.step(trapezoid(done, clock.steps))
        total += loss.item() if clock.steps % 20 == 1 else 0.0
        if clock.steps % 100 == 1:
            speed = clock.rate() * batch
            part.log(f"video step {clock.steps} loss {total / 5:.4f} {speed:.0f} clips/s")
            total = 0.0
        if done > 0.7 and not kept:  # a part that is cut off still leaves weights
            opt.swap()
            save(part, model, text, vae, tok)
            opt.swap()
            kept = True
    opt.swap()
    pipe = save(part, model, text, vae, tok)
    samples(part, pipe)


def _step(
    part: Part, model: Untyped, text: Untyped, clips: Clips, tables: tuple[Tensor, Tensor],
    run: Untyped, batch: int,
) -> Tensor:  # fmt: skip
    """One flow-matching step; the first latent frame is given clean and not scored."""
    pick = torch.randint(6, len(clips.latents), (batch,), device=part.device)
    row = pick * CLIP_CAPTIONS + torch.randint(0, CLIP_CAPTIONS, (batch,), device=part.device)
    x0 = clips.latents[pick].float()
    sigma = shifted_sigmas(batch, 3.0, part.device)
    noise, s = torch.randn_like(x0), sigma.view(-1, 1, 1, 1, 1)
    xt = (1 - s) * x0 + s * noise
    xt[:, :, 0] = x0[:, :, 0]
    with part.cast():
        states = said(text, clips.ids[row], clips.lengths[row])
        v = wan_fast.forward(model, xt, sigma * 1000, states, tables, run)
    loss = (v.float() - (noise - x0))[:, :, 1:].square().mean()
    torch.autograd.backward(loss)
    return loss.detach()


def _resumed(start: Path) -> tuple[Untyped, Untyped]:
    from diffusers import WanTransformer3DModel
    from transformers import UMT5EncoderModel

    folder = start / "video"
    model = WanTransformer3DModel.from_pretrained(folder / "transformer")
    return model.float(), UMT5EncoderModel.from_pretrained(folder / "text_encoder").float()


def save(part: Part, model: Untyped, text: Untyped, vae: Untyped, tok: Untyped) -> Untyped:
    """Saves the pipeline in bf16 and returns it."""
    import copy

    from diffusers import FlowMatchEulerDiscreteScheduler, WanImageToVideoPipeline

    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=SHIFT)
    half = [copy.deepcopy(m).to(torch.bfloat16) for m in (model, text, vae)]
    pipe = WanImageToVideoPipeline(
        tokenizer=tok, transformer=half[0], text_encoder=half[1], vae=half[2],
        scheduler=scheduler, expand_timesteps=True,
    )  # fmt: skip
    pipe.save_pretrained(part.out / "video", max_shard_size="15MB")
    part.log("saved", sum(f.stat().st_size for f in (part.out / "video").rglob("*.*")), "bytes")
    return pipe


@torch.no_grad()
def samples(part: Part, pipe: Untyped, each: int = 2) -> None:
    """Clips from held-out first frames, beside the true ones; rows: true, made."""
    from PIL import Image

    pipe.to(part.device)
    pipe.set_progress_bar_config(disable=True)
    columns = [0, 8, 16, 24, 32]
    for n, aspect in enumerate(ASPECTS):
        drawn, rows = draw("clip", aspect, 4 * each, seed=99 + n), []
        width, height = SIZES[384][aspect]
        for i in range(each if part.device == "cuda" else 1):
            true = to_unit(paint(drawn.vectors[i], (width, height))[:, :3]).cpu()
            first = Image.fromarray(((true[0] + 1) * 127.5).byte().permute(1, 2, 0).numpy())
            caption = drawn.captions[i][0]
            made = pipe(
                image=first, prompt=caption, height=height, width=width, num_frames=33,
                num_inference_steps=4, guidance_scale=1.0, max_sequence_length=VIDEO_TOKENS,
                generator=torch.Generator("cpu").manual_seed(1), output_type="pt",
            ).frames[0].float().cpu() * 2 - 1  # fmt: skip
            rows += [true[columns], made[columns]]
            part.log(
                f"{aspect} {drawn.words[i]['motion']} ({caption}):"
                f" first {psnr(made[0], true[0]):.1f}"
                f" last {psnr(made[-1], true[-1]):.1f} still-last {psnr(true[0], true[-1]):.1f}"
            )
        sheet(torch.cat(rows), len(columns), part.out / f"video_{aspect}.jpg")
