"""The gate lets the shipped model's hardest pictures pass, and refuses what is broken."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from catalogs.node import Address, Node
from configs.errors import Rejected
from gpu.image import PictureRequest, draw
from gpu.weights import Weights
from tasks.ffmpeg import write_clip
from tasks.quality import check_clip, check_picture, duplicate_of, fingerprint, gate
from tasks.stage import Draft, Made

WEIGHTS = Weights(1)
SIDE = 384


@pytest.fixture(scope="module")
def drawn(mini_picture):
    """Draw a real keyframe, once for each prompt and seed."""
    held = {}

    def draw_once(prompt, seed):
        if (prompt, seed) not in held:
            request = PictureRequest(mini_picture, prompt, SIDE, SIDE, 4, seed, max_tokens=128)
            held[prompt, seed] = draw(request, WEIGHTS)
        return held[prompt, seed]

    return draw_once


@pytest.fixture(scope="module")
def lipstick(drawn):
    return drawn("red lipstick on marble, white background", 5)


@pytest.fixture(scope="module")
def small(lipstick):
    """Half as large: clips of it are quick to write."""
    return lipstick.resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)


@pytest.fixture
def clip(tmp_path):
    """Write frames as a master clip."""

    def write(frames):
        path = tmp_path / "clip.mp4"
        height, width, _ = frames[0].shape
        write_clip(path, map(np.ascontiguousarray, frames), size=(width, height), fps=16)
        return Draft(path, "clip", "video/mp4", width, height, len(frames), 16)

    return write


def noise(kind, seed=0):
    rng = np.random.default_rng(seed)
    shape = (SIDE, SIDE, 3)
    values = rng.uniform(0, 256, shape) if kind == "uniform" else rng.normal(128, 40, shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def zoomed(image, share, frames=9):
    """Frames of a push-in that ends `share` closer."""
    width, height = image.size
    for number in range(frames):
        cut = share / (1 + share) / 2 * number / (frames - 1)
        box = (cut * width, cut * height, width - cut * width, height - cut * height)
        yield np.asarray(image.resize(image.size, Image.Resampling.BICUBIC, box))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "seed"),
    [
        ("white coffee mug on a white surface, white background", 77),
        ("black perfume bottle on a black glossy surface, black background", 82),
        ("white cream jar, white backdrop", 1001),
    ],
)
def test_pale_and_dark_pictures_pass(drawn, prompt, seed):
    """The palest, darkest and least ordered of 66 real pictures are good work."""
    check_picture(drawn(prompt, seed))


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (Image.new("RGB", (SIDE, SIDE)), "is black: its brightest part has 0 levels, under 32"),
        (Image.new("RGB", (SIDE, SIDE), (9, 20, 12)), "is black: "),
        (Image.new("RGB", (SIDE, SIDE), "grey"), r"is flat: its levels spread by 0\.0, under 4"),
        (Image.new("RGB", (SIDE, SIDE), "white"), "is flat"),
        (Image.new("RGB", (SIDE, SIDE), "crimson"), "is flat"),
        (noise("uniform"), r"is noise: neighbours correlate at -?0\.\d\d, under 0\.55"),
        (noise("normal"), "is noise"),
        (Image.blend(noise("normal"), Image.new("RGB", (SIDE, SIDE), "grey"), 0.8), "is flat"),
    ],
    ids=["black", "nearly-black", "grey", "white", "red", "uniform", "gaussian", "faint-noise"],
)
def test_broken_pictures_are_refused(image, says):
    """The message has the number measured and the least that passes."""
    with pytest.raises(Rejected, match=f"^the picture {says}"):
        check_picture(image)


@pytest.mark.parametrize("strength", [0.2, 0.5, 1.0])
def test_undenoised_latents_are_refused(mini_picture, strength):
    """What the autoencoder makes of pure noise is smooth, and still noise."""
    import torch

    with WEIGHTS.lease(mini_picture) as pipe, torch.no_grad():
        vae = pipe.vae
        latents = (
            torch.randn(
                1, vae.config.latent_channels, 48, 48, generator=torch.Generator().manual_seed(1)
            )
            * strength
        )
        latents = latents / vae.config.scaling_factor + vae.config.shift_factor
        values = vae.decode(latents.to(vae.dtype)).sample[0].float() / 2 + 0.5
    pixels = (values.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    with pytest.raises(Rejected, match="is noise"):
        check_picture(Image.fromarray(pixels))


def test_a_random_model_makes_no_picture(tiny_clip, clip):
    """Weights that were never trained are found out."""
    from gpu.video import ClipRequest, animate

    picture = Image.linear_gradient("L").convert("RGB")
    request = ClipRequest(tiny_clip, picture, "pan", 96, 96, 9, steps=2, seed=1, max_tokens=64)
    with pytest.raises(Rejected, match="frame 0 is "):
        check_clip(clip(list(animate(request, WEIGHTS))), moves=True)


def test_a_gentle_push_in_moves(small, clip):
    """Three per cent closer at the end is a motion."""
    check_clip(clip(list(zoomed(small, 0.03))), moves=True)


def test_a_frozen_clip_is_refused(small, clip):
    """A picture repeated is no clip, whatever the encoder made of it."""
    frames = [np.asarray(small)] * 9
    with pytest.raises(Rejected, match=r"does not move: it changes by 0\.\d levels, under 3"):
        check_clip(clip(frames), moves=True)


def test_flicker_is_no_motion(small, clip):
    """Brightness that wavers and grain that crawls leave the picture where it is."""
    rng = np.random.default_rng(0)
    still = np.asarray(small).astype(float)
    frames = [
        still + rng.normal(0, 2) + rng.normal(0, 3, (SIDE // 2, SIDE // 2, 1)) for _ in range(9)
    ]
    with pytest.raises(Rejected, match="does not move"):
        check_clip(clip([frame.clip(0, 255).astype(np.uint8) for frame in frames]), moves=True)


def test_a_static_shot_may_stand_still(small, clip):
    """`motion: static` asks for just that."""
    check_clip(clip([np.asarray(small)] * 9), moves=False)


@pytest.mark.parametrize("number", [0, 4, 8])
def test_one_broken_frame_spoils_a_clip(small, clip, number):
    """Each frame is looked at, and named."""
    frames = list(zoomed(small, 0.1))
    frames[number] = np.zeros_like(frames[number])
    with pytest.raises(Rejected, match=f"frame {number} is black"):
        check_clip(clip(frames), moves=True)


def test_missing_frames_are_counted(small, clip):
    """A clip shorter than planned is refused."""
    draft = clip(list(zoomed(small, 0.1)))
    with pytest.raises(Rejected, match="has 9 of 33 frames"):
        check_clip(replace(draft, frames=33), moves=True)


def test_a_file_that_is_no_clip_is_refused(small, clip):
    """A clip cut short cannot be played."""
    draft = clip(list(zoomed(small, 0.1)))
    draft.path.write_bytes(draft.path.read_bytes()[:900])
    with pytest.raises(Rejected, match="cannot be played"):
        check_clip(draft, moves=True)


def test_the_same_picture_saved_otherwise_is_a_duplicate(lipstick):
    """A low-quality JPEG at two thirds of the size looks the same."""
    buffer = io.BytesIO()
    lipstick.resize((256, 256)).save(buffer, "JPEG", quality=40)
    assert duplicate_of(fingerprint(Image.open(buffer)), {fingerprint(lipstick): "a"}) == "a"


@pytest.mark.slow
@pytest.mark.parametrize("other", [("red lipstick on marble, white background", 6),
                                   ("pink lipstick on marble, white background", 5)],
                         ids=["seed", "colour"])  # fmt: skip
def test_another_seed_or_colour_is_another_picture(drawn, lipstick, other):
    """A/B tests change one thing only: the same seed with another colour is no duplicate."""
    assert duplicate_of(fingerprint(drawn(*other)), {fingerprint(lipstick): "a"}) is None


def made(path, shot, kind="keyframe", *, model="m", **params):
    node = Node(Address(kind, shot), kind, 1, params, model=model)
    with Image.open(path) as image:
        return Made(node, {"image": Draft(path, "image", "image/png", *image.size)}, 1.0)


def test_the_gate_finds_two_shots_with_one_picture(lipstick, tmp_path):
    """The second is refused, and told whose picture it is; the first may be looked at again."""
    path, seen = tmp_path / "a.png", {}
    lipstick.save(path)
    gate(made(path, "rouge/2026-03-02"), seen)
    gate(made(path, "rouge/2026-03-02"), seen)
    with pytest.raises(
        Rejected, match=r"same as that of rouge/2026-03-02; try another keyframe\.seed"
    ):
        gate(made(path, "rouge/2026-03-06"), seen)


def test_the_gate_refuses_a_broken_picture(tmp_path):
    """It is not remembered as seen."""
    path, seen = tmp_path / "a.png", {}
    Image.new("RGB", (64, 64)).save(path)
    with pytest.raises(Rejected, match="is black"):
        gate(made(path, "a"), seen)
    assert seen == {}


def test_the_gate_leaves_alone_what_no_model_made(tmp_path):
    """An overlay is mostly empty, and meant to be."""
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64)).save(path)
    gate(made(path, "a", "watermark", model=""))


def test_the_gate_knows_a_static_shot(small, clip):
    """The node's motion says whether its clip must move."""
    draft = clip([np.asarray(small)] * 9)
    for motion, refused in (("static", False), ("pan-left", True)):
        node = Node(Address("animate", "a"), "animate", 1, {"motion": motion}, model="m")
        if refused:
            with pytest.raises(Rejected, match="does not move"):
                gate(Made(node, {"clip": draft}, 1.0))
        else:
            gate(Made(node, {"clip": draft}, 1.0))
