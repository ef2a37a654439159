"""The few-step sampler: its times, its steps, and its place in diffusers' Wan pipelines."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from diffusers import AutoencoderKLWan, WanImageToVideoPipeline, WanPipeline, WanTransformer3DModel

from configs.errors import BadInput
from gpu.turbo.rcm import RCMScheduler, flow_times

SHAPE = (1, 4, 3, 4, 6)


def field(x: torch.Tensor, told: float) -> torch.Tensor:
    """A velocity that depends on place and time."""
    return torch.sin(3 * x.double()) * (told / 1000) + 0.2 * x.double()


def sample(scheduler: RCMScheduler, steps: int, seed: int = 7) -> torch.Tensor:
    x = scheduler.start(SHAPE, seed)
    scheduler.set_timesteps(steps)
    for told in scheduler.timesteps:
        (x,) = scheduler.step(field(x, float(told)), told, x, return_dict=False)
    return x


@pytest.mark.parametrize(
    ("sigma_max", "told"),
    [
        (80, [0.987654, 0.933781, 0.852895, 0.608979, 0]),
        (200, [0.995025, 0.933781, 0.852895, 0.608979, 0]),
        (1600, [0.999375, 0.933781, 0.852895, 0.608979, 0]),
    ],
)
def test_times_are_the_published_ones(sigma_max: float, told: list[float]):
    """Four steps from each sigma_max, to six digits."""
    assert flow_times(sigma_max, 4).tolist() == pytest.approx(told, abs=5e-7)


@pytest.mark.parametrize("sigma_max", [80.0, 200.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_times_by_the_tangent(sigma_max: float, steps: int):
    """t = tan a / (1 + tan a), and sigma = t / (1 - t) gives the angle back; all in float64."""
    times = flow_times(sigma_max, steps)
    assert times.dtype == torch.float64
    assert times[-1] == 0
    sigmas = [sigma_max, *map(math.tan, (1.5, 1.4, 1.0)[: steps - 1])]
    assert times[:-1].tolist() == pytest.approx([s / (1 + s) for s in sigmas], abs=1e-15)
    assert (times[:-1] / (1 - times[:-1])).tolist() == pytest.approx(sigmas, rel=1e-12)


@pytest.mark.parametrize(("sigma_max", "first"), [(80, 988), (200, 996)])
def test_the_network_is_told_rounded_times(sigma_max: float, first: float):
    """bfloat16 has no 987.65; the reference hands over 988."""
    scheduler = RCMScheduler(sigma_max=sigma_max)
    assert scheduler.timesteps.tolist() == [first, 932, 852, 608]


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_ode_is_eulers_walk(steps: int):
    """x + sum of v·(next - now), by hand in float64."""
    scheduler = RCMScheduler(ode=True)
    x, times = scheduler.start(SHAPE, 7).double(), flow_times(80, steps)
    for now, after in pairwise(times):
        told = float((now.float().double() * 1000).bfloat16())
        x = x + field(x, told) * (after - now)
    assert (sample(scheduler, steps) - x).abs().max() <= 1e-12


def test_sde_mixes_the_picture_with_new_noise():
    """Each step is (1 - s)·x0 + s·e, and the last leaves the picture alone."""
    scheduler = RCMScheduler(sigma_max=200)
    source = torch.Generator().manual_seed(7)
    times = flow_times(200, 3)
    x = torch.randn(SHAPE, generator=source).double() * times[0]
    for now, after in pairwise(times):
        picture = x - now * field(x, float((now.float().double() * 1000).bfloat16()))
        x = (1 - after) * picture
        if after:
            x = x + after * torch.randn(SHAPE, generator=source)
    ours = sample(scheduler, 3)
    assert ours.dtype == torch.float64
    assert (ours - x).abs().max() <= 1e-6  # the first latents pass the pipeline in float32


@pytest.mark.parametrize("ode", [True, False])
def test_a_straight_field_is_walked_exactly(ode: bool):
    """Where v = e - x0 everywhere on the path, one step lands on x0."""
    scheduler = RCMScheduler(ode=ode)
    x = scheduler.start(SHAPE, 1).double()
    picture, t = torch.full(SHAPE, 0.3, dtype=torch.float64), float(flow_times(80, 1)[0])
    scheduler.set_timesteps(1)
    velocity = (x - picture) / t
    (out,) = scheduler.step(velocity, 988.0, x, return_dict=False)
    assert (out - picture).abs().max() <= 1e-12


def test_a_seed_decides_all_noise():
    """Equal seeds give equal clips on one sampler used twice; another seed another clip."""
    scheduler = RCMScheduler()
    first = sample(scheduler, 4)
    assert torch.equal(first, sample(scheduler, 4))
    assert not torch.equal(first, sample(scheduler, 4, seed=8))


@pytest.mark.parametrize("steps", [0, 5, 50])
def test_steps_the_model_was_not_distilled_for(steps: int):
    """The error names the value and the range."""
    with pytest.raises(BadInput, match=rf"steps: {steps} for a model distilled for 1 to 4"):
        RCMScheduler().set_timesteps(steps)


@pytest.mark.parametrize("sigma_max", [14.0, -1.0, math.inf, math.nan])
def test_a_start_below_the_second_step(sigma_max: float):
    """Times must fall."""
    with pytest.raises(BadInput, match=r"sigma_max: .* is not above 14\.1"):
        RCMScheduler(sigma_max=sigma_max)


def test_forgotten_start_is_told():
    """New noise without a seed would make a clip that cannot be made again."""
    scheduler = RCMScheduler()
    with pytest.raises(RuntimeError, match="start"):
        scheduler.step(torch.zeros(SHAPE), 988.0, torch.zeros(SHAPE))


def test_saved_and_read_back(tmp_path):
    """The scheduler keeps its settings as diffusers' do."""
    RCMScheduler(sigma_max=200, ode=True).save_pretrained(tmp_path)
    again = RCMScheduler.from_pretrained(tmp_path)
    assert (again.config.sigma_max, again.config.ode) == (200, True)


def parts() -> dict[str, object]:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                           latents_mean=[0.0] * 4, latents_std=[1.0] * 4).eval()  # fmt: skip
    return {"tokenizer": None, "text_encoder": None, "vae": vae, "scheduler": RCMScheduler()}


def transformer(channels: int) -> WanTransformer3DModel:
    return WanTransformer3DModel(
        num_attention_heads=1, attention_head_dim=12, in_channels=channels, out_channels=4,
        text_dim=8, freq_dim=16, ffn_dim=16, num_layers=1, rope_max_seq_len=32,
    ).eval()  # fmt: skip


def by_hand(model, latents: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """The reference's loop over the bare network, as an ODE."""
    x, times = latents.double(), flow_times(80, 2)
    for now, after in pairwise(times):
        told = (now.float().double() * 1000).bfloat16().float().expand(1)
        x = x - (now - after) * model(x.float(), told, text, return_dict=False)[0].double()
    return x


@torch.no_grad()
def test_in_the_text_to_video_pipeline():
    """WanPipeline gives the clip that the bare loop gives."""
    model, text = transformer(4), torch.randn(1, 5, 8)
    pipe = WanPipeline(transformer=model, **parts())
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = RCMScheduler(ode=True)
    latents = pipe.scheduler.start((1, 4, 2, 4, 4), 3)
    out = pipe(prompt_embeds=text, latents=latents, height=32, width=32, num_frames=5,
               num_inference_steps=2, guidance_scale=1.0, output_type="latent").frames  # fmt: skip
    assert (out - by_hand(model, latents, text)).abs().max() <= 1e-5


@torch.no_grad()
def test_in_the_image_to_video_pipeline_with_two_experts():
    """932 is above the boundary of 900 and 852 below: two steps of each expert."""
    models = [transformer(12), transformer(12)]
    told: list[list[float]] = [[], []]
    for model, seen in zip(models, told, strict=True):
        model.register_forward_pre_hook(
            lambda _, __, words, seen=seen: seen.append(float(words["timestep"])), with_kwargs=True
        )
    pipe = WanImageToVideoPipeline(
        transformer=models[0], transformer_2=models[1], boundary_ratio=0.9, **parts()
    )
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = RCMScheduler(sigma_max=200)
    out = pipe(image=torch.zeros(1, 3, 32, 32), prompt_embeds=torch.randn(1, 5, 8),
               latents=pipe.scheduler.start((1, 4, 2, 4, 4), 3), height=32, width=32, num_frames=5,
               num_inference_steps=4, guidance_scale=1.0, output_type="latent").frames  # fmt: skip
    assert told == [[996, 932], [852, 608]]
    assert out.isfinite().all()
