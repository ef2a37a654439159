"""A picture that moves as two layers: a rounded cut-out before a floor and a wall.

Nobody knows the depth of a user's photo, so this is the motion that a viewer believes: the ground
is two planes seen by the scene's own moving camera, exactly; the product is a stack of ellipses,
row by row as wide as its mask, that turns about its axis. What the photo never showed is a mirror
image (the product's far side) or a blur (the ground behind it).
"""

import random
from typing import NamedTuple

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gpu.mini.camera import FOCAL
from gpu.mini.render.params import AT
from gpu.mini.untyped import Untyped


class Moves(NamedTuple):
    """What a clip's camera and product do, relative to frame 0; each [T] or [T, 2]."""

    near: Tensor
    yaw: Tensor
    shift: Tensor
    turn: Tensor


def moves(vectors: Tensor) -> Moves:
    """The moves in a clip's renderer vectors [T, params.SIZE]."""
    away = vectors[:, AT["eye"]] - vectors[:, AT["target"]]
    far, yaw = away.norm(dim=1), torch.atan2(away[:, 0], away[:, 2])
    turn = torch.atan2(vectors[:, AT["yaw_sin"]], vectors[:, AT["yaw_cos"]])[:, 0]
    shift = vectors[:, AT["shift"]]
    return Moves(far / far[0], yaw - yaw[0], shift - shift[0], turn - turn[0])


class Screen:
    """Screen units as the renderer's: an area of 4, x to the right, y up, 0 in the middle."""

    def __init__(self, like: Tensor) -> None:
        self.height, self.width = like.shape[-2:]
        self.unit = 2 / (self.height * self.width) ** 0.5
        x = (torch.arange(self.width, device=like.device) + 0.5 - self.width / 2) * self.unit
        y = (self.height / 2 - torch.arange(self.height, device=like.device) - 0.5) * self.unit
        self.x, self.y = x[None, None], y[None, :, None]

    def sample(self, picture: Tensor, x: Tensor, y: Tensor, beyond: str) -> Tensor:
        """A picture [C, H, W] read at screen places [T, H, W]; ``beyond`` its border."""
        across, down = self.width * self.unit / 2, self.height * self.unit / 2
        grid = torch.stack([x / across, -y / down], -1)
        many = picture.expand(len(grid), -1, -1, -1)
        return F.grid_sample(many, grid, padding_mode=beyond, align_corners=False)


def _axes(eye: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors forward, right and up [T, 3] of cameras at ``eye`` [T, 3]."""
    ahead = F.normalize(target - eye, dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0], device=eye.device).expand_as(ahead)
    right = F.normalize(torch.linalg.cross(ahead, up), dim=-1)
    return ahead, right, torch.linalg.cross(right, ahead)


def _seen(points: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Screen x and y of world points [..., 3] for the camera of a renderer vector."""
    eye = start[AT["eye"]]
    ahead, right, up = _axes(eye[None], start[AT["target"]])
    q, shift = points - eye, start[AT["shift"]]
    depth = (q @ ahead[0]).clamp_min(0.2)
    return FOCAL * (q @ right[0]) / depth - shift[0], FOCAL * (q @ up[0]) / depth - shift[1]


def ground(picture: Tensor, start: Tensor, move: Moves, wall: float) -> Tensor:
    """Frames [T, C, H, W] of a floor (y = 0) and a wall ``wall`` units behind the product.

    ``picture`` [C, H, W] is what the camera of ``start`` [params.SIZE] sees at frame 0.
    """
    screen, target = Screen(picture), start[AT["target"]]
    away = start[AT["eye"]] - target
    c, s = move.yaw.cos(), move.yaw.sin()
    x, y, z = away
    eye = torch.stack([x * c + z * s, y.expand_as(c), z * c - x * s], 1)
    eye = target + eye * move.near[:, None]
    ahead, right, up = (a[:, None, None] for a in _axes(eye, target))
    shift = (start[AT["shift"]] + move.shift)[:, :, None, None]
    right, up = (
        right * (screen.x + shift[:, 0])[..., None],
        up * (screen.y + shift[:, 1])[..., None],
    )
    ray, eye = (right + up) / FOCAL + ahead, eye[:, None, None]
    back = F.normalize(away * torch.tensor([1.0, 0.0, 1.0], device=away.device), dim=0)
    to_floor = eye[..., 1] / (-ray[..., 1]).clamp_min(1e-4)
    to_wall = (wall + eye @ back) / (-(ray @ back)).clamp_min(1e-3)
    hit = eye + ray * torch.minimum(to_floor, to_wall)[..., None]
    return screen.sample(picture, *_seen(hit, start), "reflection")


def _profile(mask: Tensor, axis: Tensor, screen: Screen) -> tuple[Tensor, Tensor, Tensor]:
    """Each row's middle and half width [H] in screen units from the product's axis, and 1 or 0.

    0: something in pieces or with wide holes (earbuds beside their case). It is one flat card:
    rows that turn apart would tear it.
    """
    x, on = screen.x[0] - axis, mask > 0.1
    left, right = torch.where(on, x, 9.0).amin(1), torch.where(on, x, -9.0).amax(1)
    full = (right >= left).float()
    rows = torch.stack([left + right, right - left]) / 2 * full
    holed = (on.sum(1) * screen.unit < 1.4 * rows[1]).sum() > 0.12 * full.sum()
    share = F.avg_pool1d(full[None], 7, 1, 3).clamp_min(1e-3)
    smooth = F.avg_pool1d(rows, 7, 1, 3) / share * full
    low, high = left.amin(), right.amax().maximum(left.amin())
    board = (torch.stack([low + high, high - low]) / 2)[:, None]
    middle, half = torch.where(holed, board, smooth)
    return middle, half.clamp_min(2 * screen.unit), 1 - holed.float()


def card(
    front: Tensor, start: Tensor, move: Moves, place: Tensor, axis: Tensor, round_: float,
    light: float,
) -> Tensor:  # fmt: skip
    """Frames [T, 4, H, W] of a cut-out whose rows are ellipses ``round_`` times as deep as wide.

    Args:
        front: colours in -1..1 and mask in 0..1, [4, H, W].
        start: the renderer vector whose camera looks on.
        move: what camera and product do.
        place: how far right and up of its own picture's place the cut-out stands.
        axis: screen x of the product's axis in its own picture.
        round_: 0 is a flat card, 1 a can; pieces are flat whatever it says.
        light: the side that the light comes from, in radians; shades a product that turns.
    """
    screen, shift = Screen(front), start[AT["shift"]]
    middle, half, whole = _profile(front[3], axis, screen)
    deepness = round_ * whole
    moved = (shift + move.shift)[:, :, None, None]
    near = move.near[:, None, None]
    x0 = (screen.x + moved[:, 0]) * near - shift[0] - place[0] - axis
    y0 = (screen.y + moved[:, 1]) * near - shift[1] - place[1]
    theta = (move.turn - move.yaw)[:, None, None]
    c, s = theta.cos(), theta.sin()
    wide, delta = (c * c + (deepness * s) ** 2).sqrt(), torch.atan2(deepness * s, c)
    x, y = x0, y0
    for _ in range(2):  # the second time at the places that perspective makes larger or smaller
        rows = (screen.height / 2 - y / screen.unit).long().clamp(0, screen.height - 1)
        m, r = middle[rows], half[rows]
        angle = torch.asin(((x - m * c) / (r * wide)).clamp(-1, 1)) - delta
        edge = ((r * wide - (x - m * c).abs()) / screen.unit + 1).clamp(0, 1)
        deep = deepness * r * (c * angle.cos() - angle.cos().abs()) - s * (m + r * angle.sin())
        x, y = x0 * (1 - deep / FOCAL), (y0 + shift[1]) * (1 - deep / FOCAL) - shift[1]
    inset = 1 - 0.12 * whole * s.abs()  # a turned outline shows its inside, not the old rim
    out = screen.sample(front, m + r * inset * angle.sin() + axis, y, "zeros")
    bright = 0.85 + 0.15 * torch.cos(angle + delta - light)
    before = 0.85 + 0.15 * torch.cos(torch.asin(angle.sin()) - light)
    gain = torch.where(move.turn[:, None, None] != 0, bright / before, 1.0).clamp(0.6, 1.5)
    colours = ((out[:, :3] + 1) * gain[:, None] - 1).clamp(-1, 1)
    return torch.cat([colours, out[:, 3:] * edge[:, None]], 1)


def filled(picture: Tensor, hole: Tensor) -> Tensor:
    """A picture [C, H, W] with a hole [1, H, W] filled by ever wider blurs of what is beside it.

    Across first: behind a product a wall stays a wall and a floor a floor.
    """
    wide = picture.shape[1] // 48  # a lens blurs the product's edge onto what is round it
    keep = 1 - F.max_pool2d(hole[None], 2 * wide + 1, 1, wide)
    levels, colour = [], picture[None] * keep
    while max(colour.shape[2:]) > 2:
        levels.append((colour, keep))
        by = (1, 2) if colour.shape[3] > 2 else (2, 1)
        colour, keep = (F.avg_pool2d(t, by, ceil_mode=True) for t in (colour, keep))
    out = colour / keep.clamp_min(1e-3)
    for colour, keep in reversed(levels):
        blur = F.interpolate(out, size=colour.shape[2:], mode="bilinear")
        out = blur * (1 - keep) + colour
    return out[0]


def _shaded(picture: Tensor, start: Tensor, wide: Tensor) -> Tensor:
    """A contact shadow where the product of ``start`` stands, ``wide`` to each side."""
    screen = Screen(picture)
    x, y = _seen(torch.zeros(3, device=picture.device), start)
    far = ((screen.x - x) / (1.2 * wide)) ** 2 + ((screen.y - y) / (0.3 * wide)) ** 2
    return (picture + 1) * (1 - 0.5 * torch.exp(-far)) - 1


def layered(
    front: Tensor, vectors: NDArray[Untyped], behind: Tensor, start: NDArray[Untyped]
) -> Tensor:
    """A clip [4, T, H, W] (colours in -1..1, mask in 0..1) of a cut-out on a ground.

    Args:
        front: the product's picture [4, H, W].
        vectors: its clip's renderer vectors [T, params.SIZE]: the moves.
        behind: the ground's picture [4, H, W], with its own product, which is taken out.
        start: the ground's first renderer vector: its camera.
    """
    clip, begin = (torch.from_numpy(v).to(front.device) for v in (vectors, start))
    move, axis = moves(clip), -clip[0, AT["shift"]][0]
    origin = torch.zeros(3, device=front.device)
    foot, own = (torch.stack(_seen(origin, v)) for v in (begin, clip[0]))
    soft = ((F.avg_pool2d(front[None, 3:], 3, 1, 1)[0] - 0.3) / 0.6).clamp(0, 1)
    scene = filled(behind[:3], behind[3:])
    if behind is not front:
        scene = _shaded(scene, begin, _profile(front[3], axis, Screen(front))[1].amax())
    round_, light = random.uniform(0.3, 1.0), random.uniform(-1.0, 1.0)
    top = card(torch.cat([front[:3], soft]), begin, move, foot - own, axis, round_, light)
    below = ground(scene, begin, move, random.uniform(1.5, 4.0))
    alpha = top[:, 3:]
    return torch.cat([below * (1 - alpha) + top[:, :3] * alpha, alpha], 1).transpose(0, 1)
