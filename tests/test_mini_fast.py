"""The training forwards are the library's: same weights, same numbers."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from gpu.mini.train import image_model, video_model, video_vae, wan_fast, wan_parallel, zimage_fast
from gpu.mini.train.optim import Optimizer, parameters, ramp, shifted_sigmas
from gpu.mini.train.run import attention
from gpu.mini.train.text import image_tokens, tokenizer


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@torch.no_grad()
def test_wan_autoencoder_whole_clip_equals_chunks() -> None:
    """Encoding and decoding 13 frames at once equals the library's cached chunks."""
    vae = video_vae.new_vae().eval()
    for p in vae.parameters():
        p += 0.05 * torch.randn_like(p)
    clip = torch.rand(1, 3, 13, 32, 48) * 2 - 1
    assert _relative(wan_parallel.encode(vae, clip), vae._encode(clip)) < 1e-5
    z = torch.randn(1, video_vae.CHANNELS, 4, 4, 6) * 0.3
    ours = wan_parallel.decode(vae, z).clamp(-1, 1)
    assert _relative(ours, vae._decode(z).sample) < 1e-5


@torch.no_grad()
def test_wan_transformer() -> None:
    """A clean first latent frame among noisy ones, two captions of different length."""
    model, text = video_model.new_models()
    torch.nn.init.normal_(model.proj_out.weight, std=0.02)
    x, t = torch.randn(2, video_vae.CHANNELS, 3, 4, 6), torch.tensor([300.0, 800.0])
    ids, lengths = torch.randint(3, 900, (2, 64)), torch.tensor([9, 30])
    states = video_model.said(text, ids, lengths)
    ours = wan_fast.forward(model, x, t, states, wan_fast.ropes(model, x))
    times = torch.cat([torch.zeros(2, 6), t[:, None].expand(-1, 12)], 1)
    theirs = model(x, times, states, return_dict=False)[0]
    assert _relative(ours, theirs) < 1e-5


def test_wan_gradients_under_autocast() -> None:
    """With the residual stream in bf16 every weight's gradient still points the fp32 way."""
    model, _ = video_model.new_models()
    torch.nn.init.normal_(model.proj_out.weight, std=0.02)
    x, t = torch.randn(2, video_vae.CHANNELS, 3, 4, 6), torch.tensor([300.0, 800.0])
    states, table, grads = torch.randn(2, 8, 128), wan_fast.ropes(model, x), []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half), attention():
            out = wan_fast.forward(model, x, t, states, table)
        torch.autograd.backward((out.float() - x).square().mean())
        grads.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
        model.zero_grad()
    assert torch.nn.functional.cosine_similarity(*grads, dim=0) > 0.999


def test_video_noise_is_that_of_use() -> None:
    """The levels that training leans to are the saved scheduler's four steps."""
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=video_model.SHIFT, shift_terminal=video_model.TERMINAL
    )
    scheduler.set_timesteps(4)
    assert scheduler.sigmas[:4].tolist() == pytest.approx(video_model.LEVELS, abs=1e-3)
    small, large = (video_model.noise_levels(4000, size, "cpu") for size in (256, 384))
    assert small.min() >= 0
    assert small.max() <= 1
    assert small.mean() < large.mean()
    assert ((large - video_model.LEVELS[3]).abs() < 0.05).float().mean() > 0.08


@torch.no_grad()
def test_z_image_transformer() -> None:
    """A picture that is not square; captions padded to 32 and picture tokens a multiple of 32,

    as the library makes them (all native sizes are 576 tokens).
    """
    model, text = image_model.new_models()
    torch.nn.init.normal_(model.all_final_layer["2-1"].linear.weight, std=0.02)
    said = ["a red lipstick on marble", "红色口红，放在木桌上，白色背景"]
    ids, lengths = image_tokens(tokenizer(), said, 32)
    x, t = torch.randn(2, image_model.CHANNELS, 8, 16), torch.tensor([0.3, 0.8])
    states = zimage_fast.text_states(text, ids)
    table = zimage_fast.tables(model, (4, 8), 32, "cpu")
    ours = zimage_fast.forward(model, x, t, states, lengths, table)
    mask = torch.arange(32)[None] < lengths[:, None]
    hidden = text(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-2]
    rows = [hidden[i][mask[i]] for i in range(2)]
    theirs = torch.stack(model(list(x.unsqueeze(2).unbind(0)), t, rows, return_dict=False)[0])
    assert _relative(ours, theirs.squeeze(2)) < 1e-5


def test_chat_form_is_the_templates() -> None:
    """The chat text written out for speed is the tokenizer's own template."""
    tok, said = tokenizer(), "红色口红, red"
    text = tok.apply_chat_template(
        [{"role": "user", "content": said}],
        tokenize=False, add_generation_prompt=True, enable_thinking=True,
    )  # fmt: skip
    ids, length = image_tokens(tok, [said], 64)
    assert ids[0, : length[0]].tolist() == tok(text).input_ids


def test_optimizer_lowers_a_loss() -> None:
    """Muon on the block's matrix, AdamW on the rest, and a moving average to swap in."""
    net = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Linear(8, 8)])})
    opt = Optimizer([*parameters(net=net), ("scale", torch.nn.Parameter(torch.ones(8)))])
    assert len(opt.muon.params) == 1
    x, goal = torch.randn(64, 8), torch.randn(64, 8)
    losses = []
    for step in range(60):
        loss = (net["layers"][0](x) * opt.rest[-1] - goal).square().mean()
        loss.backward()
        opt.step(ramp(step / 60, step, (1.0, 0.01), warmup=5))
        losses.append(loss.item())
    assert losses[-1] < 0.97 * losses[0]
    assert not any(average.requires_grad for average in opt.average)  # else a graph grows
    live = opt.all[0].detach().clone()
    opt.swap()
    assert not torch.equal(live, opt.all[0])
    opt.swap()
    assert torch.equal(live, opt.all[0])


def test_sigmas_lean_to_noise() -> None:
    """Shift 3 puts most of the levels above one half, none outside 0 to 1."""
    s = shifted_sigmas(4000, 3.0, "cpu")
    assert 0 <= s.min() < s.max() <= 1
    assert (s > 0.5).float().mean() > 0.65
