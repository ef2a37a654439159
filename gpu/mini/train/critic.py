"""What a decoder is judged by beside pixels: learned features, and a critic of small patches.

No pretrained network is at hand, so the features come from a small classifier that learns the
renderer's own labels first. Both look at pictures [N, 3, H, W] in -1..1, whatever their size.
"""

import itertools
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gpu.mini.train.data import to_unit
from gpu.mini.train.run import Clock, Part, cosine
from gpu.mini.untyped import Untyped
from gpu.mini.vocabulary import vocabulary

FIELDS = ("product", "colour", "surface", "material")
WIDTHS = (24, 48, 96, 160, 192)

FEATURES, FEATURES_CAP = 0.3, 2.0
"""The features' pull as a share of the pixels' pull, and the weight it never exceeds."""
ADVERSARY, ADVERSARY_CAP = 0.1, 0.1
"""The same for the patch critic, against pixels and features together. Raise for crispness, at
the price of PSNR."""


def labels(words: list[dict[str, str]]) -> Tensor:
    """Each scene's index in the vocabulary of every field of `FIELDS`, [N, 4]."""
    ids = {field: vocabulary().ids(field) for field in FIELDS}
    return torch.tensor([[ids[f].index(said[f]) for f in FIELDS] for said in words])


def layout(device: str) -> torch.memory_format:
    """The order in memory that convolutions are fastest in: twice the other's speed on both."""
    return torch.channels_last if device == "cuda" else torch.contiguous_format


class Features(nn.Module):
    """Names what was rendered; on the way it sees edges, print and texture.

    A feature is taken before its activation (as in ESRGAN, Wang et al. 2018): batch norm gives it
    a size of about one, so all layers count alike. Layers halve by pooling, not by stride: a
    strided layer's gradient is a checkerboard.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(),
                nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b),
            )
            for a, b in itertools.pairwise((3, *WIDTHS))
        )  # fmt: skip
        counts = [len(vocabulary().ids(field)) for field in FIELDS]
        self.heads = nn.ModuleList(nn.Linear(2 * WIDTHS[-1], count) for count in counts)

    def maps(self, x: Tensor) -> list[Tensor]:
        """One feature map a stage, each half as large as the one before."""
        out: list[Tensor] = []
        for stage in self.stages:
            out.append(stage(F.avg_pool2d(F.relu(out[-1]), 2) if out else x))
        return out

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of every field."""
        last = F.relu(self.maps(x)[-1])
        seen = torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1)
        return [head(seen) for head in self.heads]

    def distance(self, made: Tensor, real: Tensor) -> Tensor:
        """Mean absolute difference of all feature maps."""
        with torch.no_grad():
            truths = self.maps(real)
        pairs = zip(self.maps(made), truths, strict=True)
        return torch.stack([F.l1_loss(a.float(), b.float()) for a, b in pairs]).mean()


def _view(codes: Tensor, side: int = 192) -> Tensor:
    """Whole pictures at half size, or their middle at full size; half of them mirrored."""
    x = to_unit(codes)
    if random.random() < 0.5:
        x = F.avg_pool2d(x, 2)
    else:
        y0, x0 = (max(0, n - side) // 2 for n in x.shape[2:])
        x = x[:, :, y0 : y0 + side, x0 : x0 + side]
    return x.flip(3) if random.random() < 0.5 else x


def train_features(
    part: Part, pools: list[tuple[Tensor, Tensor]], seconds: float, batch: int = 96
) -> Features:
    """Learns the labels for ``seconds``; each pool is uint8 [N, 3, H, W] and its `labels`."""
    torch.backends.cudnn.benchmark = False  # many shapes in few seconds
    net: Untyped = Features().to(part.device)
    net = net.to(memory_format=layout(part.device))
    opt = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    clock, right = Clock(seconds), torch.zeros(len(FIELDS), device=part.device)
    while (done := clock.tick()) < 1:
        for group in opt.param_groups:
            group["lr"] = 2e-3 * cosine(done, clock.steps, warmup=20)
        codes, truth = random.choice(pools)
        pick = torch.randint(0, len(codes), (batch,), device=codes.device)
        x = _view(codes[pick]).contiguous(memory_format=layout(part.device))
        wanted = truth[pick]
        with part.cast():
            logits = net(x)
        losses = [F.cross_entropy(a.float(), wanted[:, i]) for i, a in enumerate(logits)]
        opt.zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(losses).sum())
        opt.step()
        hits = [(a.argmax(1) == wanted[:, i]).float().mean() for i, a in enumerate(logits)]
        right.lerp_(torch.stack(hits), 0.05)
    said = " ".join(f"{f} {r:.2f}" for f, r in zip(FIELDS, right.tolist(), strict=True))
    part.log(f"features after {clock.steps} steps, right: {said}")
    torch.backends.cudnn.benchmark = True
    frozen: Features = net.eval().requires_grad_(False)
    return frozen


class Patches(nn.Sequential):
    """PatchGAN (Isola et al. 2017) with spectral norm: one score a patch of 46 x 46 pixels."""

    def __init__(self, width: int = 48) -> None:
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise((3, width, 2 * width, 4 * width)):
            layers += [spectral_norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2)]
        super().__init__(*layers, spectral_norm(nn.Conv2d(4 * width, 1, 4, 1, 1)))


class Critic:
    """The patches' network with its own optimizer, and what it says of pictures.

    No autocast: spectral norm mixes the types then, and the net is small beside the decoder.
    """

    def __init__(self, part: Part) -> None:
        net: Untyped = Patches().to(part.device)
        self.net = net.to(memory_format=layout(part.device)).requires_grad_(False)
        self.opt = torch.optim.AdamW(self.net.parameters(), 4e-4, betas=(0.5, 0.9))

    def wish(self, made: Tensor) -> Tensor:
        """The decoder's adversarial loss: low where patches pass for real ones."""
        scores: Tensor = self.net(made)
        return -scores.mean()

    def learn(self, made: Tensor, real: Tensor) -> Tensor:
        """One hinge step on a batch of each; 1 or more means that it cannot tell them apart."""
        self.net.requires_grad_(True)
        fake, true = self.net(made.detach()), self.net(real)
        loss = 0.5 * (F.relu(1 + fake).mean() + F.relu(1 - true).mean())
        self.opt.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.opt.step()
        self.net.requires_grad_(False)
        return loss.detach()


def balance(main: Tensor, other: Tensor, last: Untyped, share: float, cap: float) -> Tensor:
    """The weight at which ``other`` pulls with ``share`` of ``main``'s force, never over ``cap``.

    Force is the gradient's norm at the decoder's last weights (Esser et al. 2021, eq. 7).
    """
    pulls = (torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (main, other))
    strong, weak = (torch.linalg.vector_norm(pull.float()) for pull in pulls)
    weight: Tensor = share * strong / (weak + 1e-6)
    return weight.clamp(max=cap)


class Judged:
    """The decoder's loss beside pixels: features always, the critic when it is asked for."""

    def __init__(self, part: Part, features: Features, last: Tensor) -> None:
        self.part, self.features, self.last = part, features, last
        self.critic = Critic(part)
        self.steps = 0
        self.weights: dict[str, Tensor] = {}

    def loss(self, pixels: Tensor, made: Tensor, real: Tensor, adversary: bool) -> Tensor:
        """Pixels' loss plus the rest, each weight renewed every eighth step."""
        with self.part.cast():
            looks = self.features.distance(made, real)
        loss = pixels + self._weight("features", pixels, looks, FEATURES, FEATURES_CAP) * looks
        if adversary:
            wish = self.critic.wish(made)
            weight = self._weight("adversary", loss, wish, ADVERSARY, ADVERSARY_CAP)
            loss = loss + weight * wish
        self.steps += 1
        return loss

    def _weight(self, name: str, main: Tensor, other: Tensor, share: float, cap: float) -> Tensor:
        if self.steps % 8 == 0 or name not in self.weights:
            self.weights[name] = balance(main, other, self.last, share, cap)
        return self.weights[name]
