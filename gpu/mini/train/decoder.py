"""Trains an autoencoder's decoder further; the encoder stays as it is.

Latents, and so the transformers trained on them, stay valid. Beside pixels the decoder is judged
by features and a weak patch critic (`critic.py`), and it learns to forgive latents that are a
little off, as a transformer's are. One loop serves pictures and clips: both are [N, 3, T, H, W].
"""

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu.mini.train import wan_parallel
from gpu.mini.train.critic import Judged, layout, train_features
from gpu.mini.train.data import to_unit
from gpu.mini.train.decoder_data import Pool, Sets, clips, pictures
from gpu.mini.train.optim import Optimizer, parameters
from gpu.mini.train.run import Clock, Part, compiled, cosine, gradient_l1
from gpu.mini.train.sheets import decibels, sheet
from gpu.mini.untyped import Untyped

RATE = 0.6
"""Of the optimizer's 1e-3: the decoder is not new."""
NOISE = 0.15
"""Up to this share of the latents' deviation is added to half of a batch."""
CRITIC_FROM, ADVERSARY_FROM, LAST = 0.35, 0.40, 0.85
"""Shares of the time: the critic learns, the decoder hears it, and from the last on only if the
held-out PSNR has reached the bar."""
CHECKS = (ADVERSARY_FROM, 0.65, LAST)
LEARN = 25.0
"""Seconds for the feature network."""
SHOWN = 6
"""Frames of a clip that features and critic look at in one step."""
NOTE = 100
"""Steps between two lines of the log."""


@dataclass(frozen=True)
class Coder:
    """What the loop needs of an autoencoder; every tensor is [N, C, T, H, W]."""

    name: str
    vae: Untyped
    bar: float
    """dB that whole held-out pictures or clips must reach."""
    spread: Tensor
    """The latents' deviation, to scale noise by."""
    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


def image_coder(part: Part, vae: Untyped, fast: bool) -> Coder:
    """AutoencoderKL; ``fast`` compiles it for crops of one size."""
    device, order = part.device if fast else "cpu", layout(part.device)

    def hidden(z: Tensor) -> Tensor:
        """All but the last layer, which stays outside: `balance` asks for its gradient alone."""
        net = vae.decoder
        h = net.mid_block(net.conv_in(z))
        for block in net.up_blocks:
            h = block(h)
        return net.conv_act(net.conv_norm_out(h))  # type: ignore[no-any-return]

    encoder, body = compiled(vae.encoder, device), compiled(hidden, device)

    @torch.no_grad()
    def encode(x: Tensor) -> Tensor:
        flat = x[:, :, 0].contiguous(memory_format=order)
        with part.cast():
            return encoder(flat).float().chunk(2, 1)[0][:, :, None]  # type: ignore[no-any-return]

    def decode(z: Tensor) -> Tensor:
        flat = z[:, :, 0].contiguous(memory_format=order)
        with part.cast():
            return vae.decoder.conv_out(body(flat)).float()[:, :, None]  # type: ignore[no-any-return]

    spread = torch.tensor(1 / vae.config.scaling_factor, device=part.device)
    return Coder("image_vae", vae, 34.0, spread, encode, decode)


def video_coder(part: Part, vae: Untyped) -> Coder:
    """AutoencoderKLWan, a whole clip at once."""

    @torch.no_grad()
    def encode(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last_3d)
        with part.cast():
            return wan_parallel.encode(vae, x).float().chunk(2, 1)[0]

    def decode(z: Tensor) -> Tensor:
        with part.cast():
            return wan_parallel.decode(vae, z).float()

    spread = torch.tensor(vae.config.latents_std, device=part.device).view(1, -1, 1, 1, 1)
    return Coder("video_vae", vae, 31.0, spread, encode, decode)


def _noisy(coder: Coder, z: Tensor, level: float) -> Tensor:
    """Every second latent as a transformer might leave it: off by up to ``level`` deviations."""
    levels = torch.rand(len(z), 1, 1, 1, 1, device=z.device) * level
    levels[::2] = 0
    return z + torch.randn_like(z) * levels * coder.spread


def _pixels(made: Tensor, real: Tensor) -> Tensor:
    """L1, squares, edges, change in time, and a pooled L1 against colour casts."""
    diff = made - real
    loss = diff.abs().mean() + 3 * diff.square().mean() + 0.7 * gradient_l1(diff)
    if diff.shape[2] > 1:
        loss = loss + 0.2 * (diff[:, :, 1:] - diff[:, :, :-1]).abs().mean()
    return loss + 0.5 * F.avg_pool3d(diff, (1, 4, 4)).abs().mean()


@torch.no_grad()
def measure(coder: Coder, held: Sets, noise: float = 0.0) -> dict[str, Tensor]:
    """Squared error by frame, [T], of each set of whole held-out pictures or clips.

    ``noise`` deviations are added to the latents first.
    """
    torch.backends.cudnn.benchmark = False  # it takes half a minute on whole clips
    figures = {}
    for name, codes in held.items():
        errors = []
        for some in torch.split(codes, max(1, 8 // codes.shape[2])):
            x = to_unit(some)
            z = coder.encode(x)
            y = coder.decode(z + noise * coder.spread * torch.randn_like(z)).clamp(-1, 1)
            errors.append((y - x).square().mean((1, 3, 4)))
        figures[name] = torch.cat(errors).mean(0)
    torch.backends.cudnn.benchmark = True
    return figures


def _report(part: Part, title: str, figures: dict[str, Tensor]) -> float:
    """Logs dB by set, and the worst and best frame of clips; returns the worst frame of all."""
    for name, error in figures.items():
        frame = [decibels(e) for e in error]
        spread = f", frames {min(frame):.1f} to {max(frame):.1f}" if len(frame) > 1 else ""
        part.log(f"{title} {name}: psnr {decibels(error):.2f}{spread}")
    return min(decibels(e) for error in figures.values() for e in error)


@torch.no_grad()
def _columns(held: Sets, see: Callable[[Tensor], Tensor], side: int = 192) -> Tensor:
    """Middles [N, 3, side, side] at 1:1 of two pictures a set, or of three frames of a clip."""
    out = []
    for codes in held.values():
        many = codes.shape[2]
        picked = codes[:2] if many == 1 else codes[:1]
        seen = see(to_unit(picked))[:, :, [0] if many == 1 else [0, many // 2, many - 1]]
        side = min(side, *seen.shape[3:])
        y, x = ((n - side) // 2 for n in seen.shape[3:])
        out.append(seen[..., y : y + side, x : x + side].transpose(1, 2).flatten(0, 1).cpu())
    return torch.cat([part[..., :side, :side] for part in out])


def _shown(clips: Tensor, times: Tensor) -> Tensor:
    """The frames at ``times`` as pictures [N * times, 3, H, W]."""
    seen = clips[:, :, times].transpose(1, 2).flatten(0, 1)
    return seen.contiguous(memory_format=layout(clips.device.type))


def _train(part: Part, fast: Coder, plain: Coder, pools: list[Pool], sets: Sets) -> None:
    """Trains the decoder for the part's time and saves its moving average.

    The loop checks itself by the first half of each held-out set; the figures are of the second.
    """
    watched = {name: codes[: len(codes) // 2] for name, codes in sets.items()}
    held = {name: codes[len(codes) // 2 :] for name, codes in sets.items()}
    reserve = 20 if part.device == "cuda" else 3
    before = _columns(held, lambda x: plain.decode(plain.encode(x)))
    _report(part, "before", measure(plain, held))
    _report(part, "before, latents off by 0.1", measure(plain, held, 0.1))
    stills = [(p.codes[:, :, 0], p.labels) for p in pools if p.codes.shape[2] == 1]
    left = part.seconds - part.elapsed() - reserve
    features = train_features(part, stills, min(LEARN, left / 8))
    opt = Optimizer(_unfreeze(plain.vae))
    judged = Judged(part, features, plain.vae.decoder.conv_out.weight)
    checks, reached = list(CHECKS), True
    clock = Clock(part.seconds - part.elapsed() - reserve)
    while (done := clock.tick()) < 1:
        if checks and done >= checks[0]:
            checks = [c for c in checks if c > done]
            opt.swap()
            reached = _report(part, f"check at {done:.2f}", measure(plain, watched)) >= plain.bar
            opt.swap()
        real = random.choices(pools, [p.share for p in pools])[0].real()
        made = fast.decode(_noisy(fast, fast.encode(real), NOISE))
        times = torch.randperm(real.shape[2], device=real.device)[:SHOWN]
        looks = _shown(made, times), _shown(real, times)
        adversary = done >= ADVERSARY_FROM and (done < LAST or reached)
        loss = judged.loss(_pixels(made, real), *looks, adversary)
        torch.autograd.backward(loss)
        opt.step(RATE * cosine(done, clock.steps))
        told = judged.critic.learn(*looks) if done >= CRITIC_FROM else torch.zeros(())
        if clock.steps % NOTE == 1:
            error = (made[::2] - real[::2]).detach().square()
            weights = " ".join(f"{n} {w.item():.4f}" for n, w in judged.weights.items())
            part.log(
                f"{plain.name} step {clock.steps} loss {loss.item():.4f} psnr {decibels(error):.2f}"
                f" {weights} critic {told.item():.3f} {clock.rate():.1f}/s"
            )
    opt.swap()
    _save(part, plain, held, before)


def _unfreeze(vae: Untyped) -> list[tuple[str, Untyped]]:
    """Freezes all but the decoder's side, whose named parameters it returns."""
    vae.eval().requires_grad_(False)
    own = parameters(decoder=vae.decoder)
    if getattr(vae, "post_quant_conv", None) is not None:
        own += parameters(post_quant_conv=vae.post_quant_conv)
    for _, weight in own:
        weight.requires_grad_(True)
    return own


def _save(part: Part, coder: Coder, held: Sets, before: Tensor) -> None:
    """Figures, weights in fp32 (the configuration as it was), and a sheet: real, before, after."""
    contiguous = copy.deepcopy(coder.vae).to(memory_format=torch.contiguous_format)
    contiguous.save_pretrained(part.out / coder.name)
    _report(part, "after", measure(coder, held))
    _report(part, "after, latents off by 0.1", measure(coder, held, 0.1))
    after = _columns(held, lambda x: coder.decode(coder.encode(x)))
    rows = torch.cat([_columns(held, lambda x: x), before, after])
    sheet(rows, len(before), part.out / f"{coder.name}_decoder.jpg")


def train_image_decoder(
    part: Part, start: Path, count: int = 4000, crop: int = 256, batch: int = 32, held: int = 24
) -> None:
    """Trains the decoder of ``start/image_vae`` for the part's time into ``out/image_vae``.

    ``count`` pictures an aspect a class; ``held`` unseen ones for the figures, as many for checks.
    """
    from diffusers import AutoencoderKL

    pools, sets = pictures(count, 2 * held, crop, batch)
    part.log("rendered", count, "pictures an aspect a class")
    vae = AutoencoderKL.from_pretrained(start / "image_vae", local_files_only=True).float()
    vae = vae.to(part.device, memory_format=layout(part.device))
    _train(part, image_coder(part, vae, fast=True), image_coder(part, vae, fast=False), pools, sets)


def train_video_decoder(
    part: Part, start: Path, count: int = 250, stills: int = 3000, crop: int = 128,
    batch: int = 8, held: int = 6,
) -> None:  # fmt: skip
    """As `train_image_decoder`, for ``start/video_vae``: clips, and stills as first frames."""
    from diffusers import AutoencoderKLWan

    pools, sets = clips(count, stills, 2 * held, crop, batch)
    part.log("rendered", count, "clips and", stills, "pictures an aspect")
    vae = AutoencoderKLWan.from_pretrained(start / "video_vae", local_files_only=True).float()
    vae = vae.to(part.device)
    wan_parallel.channels_last(vae)
    coder = video_coder(part, vae)
    _train(part, coder, coder, pools, sets)
