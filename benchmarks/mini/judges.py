"""Two small networks that say what is in a picture and how a clip moves.

They are trained on rendered pictures and clips alone (`benchmarks.mini.training`) and know nothing
of the models that they judge. One file of 0.8 MiB holds both, mostly in whole numbers of 8 bits.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gpu.mini.vocabulary import vocabulary

SIDE: Final = 160
"""A judged picture's side; every aspect is squashed to a square."""
CLIP_SIDE: Final = 80
MASK_SIDE: Final = SIDE // 4
FIELDS: Final = ("product", "colour", "surface", "backdrop", "light_side")
WARP: Final = "warp"
"""The judge's own eleventh answer: a still that was bent, zoomed or dissolved, no camera move."""
EVERY: Final = 4
"""A clip is judged by every fourth frame: 9 of 33."""
_HIDDEN = 64
_LARGE, _SCALE = 1000, ".scale"
"""Elements from which a tensor is kept in 8 bits; the suffix of its scales' name."""


@functools.cache
def answers(name: str) -> tuple[str, ...]:
    """What a judge can say about a field, in the order of its outputs."""
    ids = vocabulary().ids(name)
    return (*ids, WARP) if name == "motion" else tuple(ids)


def _packed(name: str, value: Tensor) -> dict[str, Tensor]:
    """A weight [out, ...] as int8 and a scale for each of its outputs: off by 1/254 at most."""
    scale = value.flatten(1).abs().amax(1).float().clamp(min=1e-8).div(127).half()
    wide = scale.float().view(-1, *[1] * (value.dim() - 1))
    return {name: (value / wide).round().clamp(-127, 127).to(torch.int8), name + _SCALE: scale}


def _unpacked(read: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state that was packed."""
    scales = {name.removesuffix(_SCALE): read.pop(name) for name in list(read) if _SCALE in name}
    return read | {
        name: read[name].float() * scale.float().view(-1, *[1] * (read[name].dim() - 1))
        for name, scale in scales.items()
    }


def _known() -> str:
    return " ".join(word for name in (*FIELDS, "motion") for word in answers(name))


def _groups(x: Tensor, size: int) -> Iterator[Tensor]:
    return (x[i : i + size] for i in range(0, len(x), size))


def squashed(pictures: Tensor, side: int = SIDE) -> Tensor:
    """Pictures [N, C, H, W] of any aspect as [N, C, side, side], low-passed before sampling."""
    return F.interpolate(pictures.float(), (side, side), mode="bilinear", antialias=True)


def _conv(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = _conv(inputs, outputs, 3, stride), _conv(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.short = nn.Identity() if same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, inputs, H, W] -> [N, outputs, H / stride, W / stride]."""
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


def _placed(x: Tensor) -> Tensor:
    """Adds two channels that tell each pixel its place: a backdrop is above, a surface below."""
    y, across = (torch.linspace(-1, 1, n, device=x.device, dtype=x.dtype) for n in x.shape[2:])
    grid = torch.stack(torch.meshgrid(across, y, indexing="xy"))
    return torch.cat([x * 2 - 1, grid.expand(len(x), -1, -1, -1)], 1)


class PictureJudge(nn.Module):
    """Names product, colour, surface, backdrop and light side; marks the product's pixels.

    Each question looks where it wants (a map of attention over the deep features), at their mean,
    and at the mean of fine features over the product: its colour is there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            _conv(5, 32, 5, 2), nn.ReLU(), Residual(32, 48, 2), Residual(48, 48)
        )
        self.coarse = nn.Sequential(Residual(48, 96, 2), Residual(96, 128, 2))
        self.where = nn.Conv2d(128, len(FIELDS), 1)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(128 + 128 + 48, _HIDDEN),
                    nn.ReLU(),
                    nn.Linear(_HIDDEN, len(answers(name))),
                )
                for name in FIELDS
            }
        )
        self.context = nn.Conv2d(128, 16, 1)
        self.mask = nn.Sequential(_conv(64, 24), nn.ReLU(), nn.Conv2d(24, 1, 1))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits by field [N, answers] and ``mask`` [N, 1, 40, 40], of [N, 3, SIDE, SIDE]."""
        fine = self.fine(_placed(x))
        deep = self.coarse(fine)
        maps = self.where(deep).flatten(2).softmax(2)
        looked = torch.einsum("nkp,ncp->nkc", maps, deep.flatten(2))
        context = F.interpolate(self.context(deep), fine.shape[2:], mode="bilinear")
        mask = self.mask(torch.cat([fine, context], 1))
        on = mask.detach().sigmoid()
        body = (fine * on).sum((2, 3)) / (on.sum((2, 3)) + 1)
        shared = torch.cat([deep.mean((2, 3)), body], 1)
        out = {
            name: self.heads[name](torch.cat([looked[:, i], shared], 1))
            for i, name in enumerate(FIELDS)
        }
        return out | {"mask": mask}


class MotionJudge(nn.Module):
    """Names a clip's motion from three frames at a time, two apart, and how that goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.triple = nn.Sequential(
            _conv(11, 32, 5, 2), nn.ReLU(), _conv(32, 48, 3, 2), nn.ReLU(), Residual(48, 64, 2)
        )
        self.join = nn.Sequential(
            _conv(128, 64, 1), nn.ReLU(), _conv(64, 64, 3, 2), nn.ReLU(), nn.Flatten()
        )
        self.head = nn.Linear(64 * 25, len(answers("motion")))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits [N, 11] of clips [N, 9, 3, CLIP_SIDE, CLIP_SIDE] in 0..1."""
        n, count = clips.shape[:2]
        triples = torch.stack(
            [torch.cat([clips[:, t + k] for k in (0, 2, 4)], 1) for t in range(count - 4)], 1
        )
        seen = self.triple(_placed(triples.flatten(0, 1)))
        seen = seen.view(n, count - 4, *seen.shape[1:])
        spread = (seen - seen.mean(1, keepdim=True)).square().mean(1)
        return self.head(self.join(torch.cat([seen.mean(1), spread], 1)))  # type: ignore[no-any-return]


class Judges(nn.Module):
    """Both judges, as one file holds them."""

    def __init__(self) -> None:
        super().__init__()
        self.picture, self.motion = PictureJudge(), MotionJudge()

    def save(self, path: Path) -> None:
        """Writes the weights in 8 and 16 bits, and the answers that they were trained on."""
        tensors: dict[str, Tensor] = {}
        for name, value in self.state_dict().items():
            tensors |= _packed(name, value.cpu()) if value.numel() > _LARGE else {name: value.cpu()}
        halves = {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in tensors.items()
        }
        save_file(halves, path, {"answers": _known()})

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> "Judges":
        """Judges from a file that `save` wrote, ready to be asked.

        Raises:
            ValueError: where they were trained on another vocabulary.
        """
        judges = cls()
        with safe_open(path, "pt") as file:
            if (file.metadata() or {}).get("answers") != _known():
                raise ValueError(f"{path}: judges of another vocabulary, train them again")
            read = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        judges.load_state_dict(_unpacked(read))
        return judges.eval().to(device)

    @torch.no_grad()
    def see(self, pictures: Tensor, group: int = 250) -> dict[str, Tensor]:
        """What is in pictures [N, 3, SIDE, SIDE] in 0..1: logits by field, and the mask's."""
        device = next(self.parameters()).device
        parts = [self.picture(x.to(device)) for x in _groups(pictures, group)]
        return {name: torch.cat([p[name] for p in parts]).float().cpu() for name in parts[0]}

    @torch.no_grad()
    def watch(self, clips: Tensor, group: int = 100) -> Tensor:
        """Logits [N, 11] of clips [N, 9, 3, CLIP_SIDE, CLIP_SIDE] in 0..1."""
        device = next(self.parameters()).device
        return torch.cat([self.motion(x.to(device)).float().cpu() for x in _groups(clips, group)])
