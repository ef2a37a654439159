"""Draws scenes at random: what is in them (words) and how they are built (numbers)."""

import hashlib
import random
from dataclasses import dataclass, field

from gpu.mini.camera import SIZES, Camera, Size, fit
from gpu.mini.colour import Rgb, linear, luminance
from gpu.mini.vocabulary import vocabulary

# Half width and height of each product with what stands beside it, for framing.
EXTENT = {
    "lipstick": (0.72, 2.0), "perfume": (0.62, 1.85), "mug": (0.72, 1.15), "can": (0.5, 1.75),
    "cream-jar": (0.7, 0.85), "earbuds": (0.85, 0.88), "phone": (0.5, 1.8), "candle": (0.5, 1.3),
    "gift-box": (0.8, 1.4), "coffee-pouch": (0.75, 1.6), "handbag": (0.85, 1.75),
    "watch": (0.55, 1.6), "headphones": (0.85, 1.75), "tea-tin": (0.58, 1.6),
    "serum": (0.42, 1.85), "lotion": (0.55, 1.95),
}  # fmt: skip
FINISHES = {
    "lipstick": "matte glossy metal", "perfume": "glass glass glass glossy matte",
    "mug": "ceramic ceramic matte glossy", "can": "metal matte glossy",
    "cream-jar": "glossy matte glass ceramic", "earbuds": "glossy matte metal",
    "phone": "glossy matte metal", "candle": "glass matte ceramic", "gift-box": "matte glossy",
    "coffee-pouch": "matte glossy", "handbag": "matte glossy", "watch": "matte glossy metal",
    "headphones": "matte glossy metal", "tea-tin": "metal matte glossy",
    "serum": "glass glass glossy", "lotion": "matte glossy",
}  # fmt: skip
GOLD: Rgb = (0.90, 0.66, 0.30)
SILVER: Rgb = (0.80, 0.81, 0.83)
INK = ("#17171a", "#f2efe8", "#d9a441", "#5a2d20", "#14214f")


@dataclass(frozen=True)
class Scene:
    """One picture's content: the words for its caption, and the numbers for the renderer."""

    words: dict[str, str]
    """Field -> id, as in the vocabulary; ``props`` is empty when there are none."""
    size: Size
    camera: Camera
    shape: list[float]
    numbers: dict[str, float | Rgb] = field(default_factory=dict)


def held_out(words: dict[str, str]) -> bool:
    """Whether training never sees this product in this colour on this surface and backdrop.

    One combination in ten, told by a hash: figures are measured on prompts of these alone.
    """
    said = "|".join(words[name] for name in ("product", "colour", "surface", "backdrop"))
    return hashlib.sha256(said.encode()).digest()[0] < 26


def draw_scene(
    rng: random.Random, aspect: str, fixed: dict[str, str] | None = None, plain: bool = False,
    unseen: bool | None = False,
) -> Scene:  # fmt: skip
    """A random scene in an aspect; ``fixed`` holds words, ``plain`` leaves print off the body.

    ``unseen``: only combinations that are `held_out`, or (None) any; by default none of them,
    as training draws. Words that are all fixed are kept whatever they are.
    """
    words = _draw_words(rng, fixed or {})
    for _ in range(99):
        if unseen is None or held_out(words) == unseen:
            break
        words = _draw_words(rng, fixed or {})
    size = SIZES[512][aspect]
    numbers = _product_paint(rng, words, plain) | _light(rng, words) | _stage(rng, words)
    numbers |= _props(rng, words, size)
    high = float(numbers["podium_height"])  # type: ignore[arg-type]
    camera = _camera(rng, words, size, high)
    numbers["time"] = rng.uniform(0, 4)
    numbers["exposure"] = rng.uniform(0.96, 1.06)
    return Scene(words, size, camera, _shape(rng, words["product"]), numbers)


def _draw_words(rng: random.Random, fixed: dict[str, str]) -> dict[str, str]:
    known = vocabulary()
    words = {f: fixed.get(f) or rng.choice(known.ids(f)) for f in known.words if f != "motion"}
    if "material" not in fixed:
        words["material"] = rng.choice(FINISHES[words["product"]].split())
    if "props" not in fixed:
        # Half of the scenes have none; steam belongs above something hot.
        hot = words["product"] in ("mug", "candle", "tea-tin")
        props = [p for p in known.ids("props") if p != "steam" or hot]
        words["props"] = rng.choice(props) if rng.random() < 0.5 else ""
        if words["product"] == "mug" and rng.random() < 0.2:
            words["props"] = "steam"
    if words["props"] == "fireworks" and "backdrop" not in fixed:
        words["backdrop"] = rng.choice(["navy", "black", "charcoal", "burgundy", "purple", "red"])
    return words


# The proportions that each product's C function reads, in its order: (low, high) is drawn between,
# a single number is the chance of 1, a list is chosen from.
_SHAPES: dict[str, tuple[tuple[float, float] | float | list[float], ...]] = {
    "lipstick": ((0.38, 0.48), (0.22, 0.30), 0.45, [-0.86, 0.86]),
    "perfume": ((0.46, 0.60), (0.52, 0.68), (0.24, 0.34), [0, 0, 1, 2], [0, 1, 2]),
    "mug": ((0.46, 0.56), (0.44, 0.58), (0.74, 1.0), 0.35, 0.6),
    "can": ((0.38, 0.46), (0.72, 0.86), (0.0, 6.28)),
    "cream-jar": ((0.58, 0.70), (0.22, 0.32), (0.10, 0.15), (0.05, 0.14)),
    "earbuds": ((0.48, 0.56), (0.38, 0.44), (0.24, 0.30), 0.6),
    "phone": ((0.16, 0.30), (0.0, 6.28), 0.35),
    "candle": ((0.42, 0.50), (0.42, 0.54)),
    "gift-box": ((0.50, 0.64), (0.36, 0.52)),
    "coffee-pouch": ((0.54, 0.64), (0.74, 0.84), (0.0, 6.28)),
    "handbag": ((0.66, 0.78), (0.46, 0.56), (0.24, 0.30), (0.74, 0.92), (0.62, 0.85)),
    "watch": ((0.40, 0.47), 0.3, (0.0, 6.28), (0.0, 6.28)),
    "headphones": ((0.58, 0.66), (0.36, 0.42)),
    "tea-tin": ((0.46, 0.55), (0.50, 0.60), 0.4),
    "serum": ((0.34, 0.42), (0.48, 0.60)),
    "lotion": ((0.38, 0.46), (0.66, 0.80), 0.5),
}


def _shape(rng: random.Random, product: str) -> list[float]:
    """The product's proportions, in the order that its C function reads them."""
    out = []
    for part in _SHAPES[product]:
        if isinstance(part, tuple):
            out.append(rng.uniform(*part))
        else:
            out.append(rng.choice(part) if isinstance(part, list) else float(rng.random() < part))
    return out


def _jitter(rng: random.Random, rgb: Rgb, by: float = 0.05) -> Rgb:
    r, g, b = (max(0.0, c * (1 + rng.uniform(-by, by))) for c in rgb)
    return r, g, b


def _product_paint(
    rng: random.Random, words: dict[str, str], plain: bool
) -> dict[str, float | Rgb]:
    known, product = vocabulary(), words["product"]
    hue = known.word("colour", words["colour"]).hex or "#888888"
    body = _jitter(rng, linear(hue))
    materials = known.ids("material")
    trim = GOLD if rng.random() < 0.55 else SILVER
    dark = luminance(body) < 0.30
    contrast = linear("#f2efe8") if dark else linear(rng.choice(INK))
    accent: Rgb = trim
    accent_material = "metal"
    material = words["material"]
    if product in ("lipstick",):  # the bullet has the named colour, its case often too
        contrast, case = body, rng.choice(["same", "same", "#17171a", "#f2f2f0", "metal"])
        if case == "metal":
            body, material = trim, "metal"
        elif case != "same":
            body = linear(case)
    elif product in ("mug", "handbag", "headphones") or (product == "phone"):
        accent, accent_material = body, "glossy" if material == "glass" else material
        if product == "headphones" and rng.random() < 0.5:
            accent, accent_material = trim, "metal"
    elif product == "gift-box":
        ribbon = rng.choice(["#d9a441", "#f2f2f0", "#c8171f", "#17171a", "#f48fb0", "#1f8a3b"])
        accent = linear(ribbon if ribbon != hue else "#f2f2f0")
        accent_material = "metal" if ribbon == "#d9a441" else "glossy"
    elif product == "watch":
        contrast = linear(rng.choice(["#f2efe8", "#f2efe8", "#101014"]))
        accent = linear("#101014") if luminance(contrast) > 0.3 else (0.85, 0.85, 0.85)
    elif rng.random() < 0.45:  # jars, bottles, tins: a white, black, wooden or body-coloured top
        top = rng.choice(["#f2f2f0", "#17171a", "#8a5a34", hue])
        accent, accent_material = linear(top), rng.choice(["matte", "glossy"])
    pattern = 0 if plain or product in ("phone", "watch", "headphones", "earbuds") else 1
    ink = linear("#17171a") if luminance(contrast) > 0.25 else linear("#f2efe8")
    return {
        "product": float(known.ids("product").index(product)),
        "material": float(materials.index(material)),
        "body_rgb": body, "accent_rgb": accent, "trim_rgb": trim, "contrast": contrast,
        "accent_material": float(materials.index(accent_material)), "label_ink": ink,
        "labelled": float(rng.random() < 0.65), "emblem": float(rng.randrange(4)),
        "pattern": float(rng.randrange(1, 5)) if pattern and rng.random() < 0.12 else 0.0,
    }  # fmt: skip


def _light(rng: random.Random, words: dict[str, str]) -> dict[str, float | Rgb]:
    u = rng.uniform
    side = {"left": -1.0, "right": 1.0, "top": 0.0}[words["light_side"]]
    x, y, z = (
        (side * u(0.8, 1.05), u(0.7, 0.95), u(0.4, 0.65)) if side else (0.0, 1.4, u(0.25, 0.4))
    )
    n = (x * x + y * y + z * z) ** 0.5
    key: Rgb = {"warm": (1.0, 0.80, 0.56), "neutral": (1.0, 0.97, 0.93), "cool": (0.74, 0.87, 1.0)}[
        words["light_warmth"]
    ]
    fill: Rgb = {
        "warm": (0.5, 0.43, 0.36),
        "neutral": (0.47, 0.47, 0.48),
        "cool": (0.38, 0.46, 0.56),
    }[words["light_warmth"]]
    power, base = u(0.92, 1.12), u(0.75, 0.95)
    soft = words["light_hardness"] == "soft"
    return {
        "key_dir": (x / n, y / n, z / n),
        "key_rgb": (key[0] * power, key[1] * power, key[2] * power),
        "fill_rgb": (fill[0] * base, fill[1] * base, fill[2] * base),
        "hardness": u(3.5, 7.0) if soft else u(22.0, 40.0),
    }


WOODS = (
    ("#b8834f", "#7d4f29"),
    ("#8a5a34", "#5a3519"),
    ("#d9b483", "#ab7f4d"),
    ("#4a2c1a", "#2a170d"),
)
CLOTHS = ("#f3e6cc", "#d9a08c", "#b3161f", "#f2f2f0", "#c9bbe6", "#14214f")


def _stage(rng: random.Random, words: dict[str, str]) -> dict[str, float | Rgb]:
    """Backdrop, surface and podium."""
    wall = linear(vocabulary().word("backdrop", words["backdrop"]).hex or "#888888")
    u = rng.uniform
    low, top = u(0.95, 1.15), u(0.78, 0.98)
    a, b, gloss = wall, wall, rng.choice([0.0, 0.3])
    match words["surface"]:
        case "marble":
            a, b, gloss = linear("#efeeec"), linear("#8f9196"), 0.6
        case "black-marble":
            a, b, gloss = linear("#1c1d20"), linear("#b9b4aa"), 0.7
        case "wood":
            light, dark = rng.choice(WOODS)
            a, b, gloss = linear(light), linear(dark), 0.25
        case "concrete":
            a, b, gloss = linear("#b0afab"), linear("#77787a"), 0.0
        case "satin":
            a = linear(rng.choice(CLOTHS))
            b, gloss = (a[0] * 0.45, a[1] * 0.45, a[2] * 0.45), 0.2
        case "mirror":
            a = (
                linear("#17181b")
                if rng.random() < 0.5
                else (wall[0] * 0.5, wall[1] * 0.5, wall[2] * 0.5)
            )
            b, gloss = a, 1.0
        case "sand":
            a, b, gloss = linear("#e2c795"), linear("#bd995f"), 0.0
        case "snow-ground":
            a, b, gloss = linear("#f4f7fb"), linear("#c4d3e4"), 0.0
    podium = words["surface"] == "podium"
    white = rng.random() < 0.4
    return {
        "back_low": (min(1.0, wall[0] * low), min(1.0, wall[1] * low), min(1.0, wall[2] * low)),
        "back_top": (wall[0] * top, wall[1] * top, wall[2] * top),
        "surface": float(vocabulary().ids("surface").index(words["surface"])),
        "surface_a": a, "surface_b": b, "surface_gloss": gloss,
        "surface_scale": u(0.8, 1.15), "surface_seed": u(0, 50),
        "podium_height": u(0.28, 0.45) if podium else 0.0,
        "podium_rgb": linear("#f2f2f0") if white else _jitter(rng, wall, 0.12),
    }  # fmt: skip


def _props(rng: random.Random, words: dict[str, str], size: Size) -> dict[str, float | Rgb]:
    colours = {
        "lanterns": ["#d01818"], "petals": ["#f48fb0", "#c8171f", "#f7dfe0"],
        "ornaments": ["#c8171f", "#1f8a3b", "#1f55c8"], "bokeh": ["#ffb060", "#ff7060", "#80a0ff"],
        "leaves": ["#2f7a34", "#4f8f2e", "#c06a1c"],
    }  # fmt: skip
    names = ["", *vocabulary().ids("props")]
    kinds = [
        "",
        "lanterns",
        "snow",
        "petals",
        "ornaments",
        "fireworks",
        "bokeh",
        "steam",
        "leaves",
        "confetti",
    ]
    assert sorted(names) == sorted(kinds), "props.h numbers the vocabulary's props"
    prop = words["props"]
    width, height = EXTENT[words["product"]]
    return {
        "prop_kind": float(kinds.index(prop)), "prop_seed": rng.uniform(0, 90),
        "prop_rgb": linear(rng.choice(colours.get(prop, ["#ffffff"]))),
        "prop_spread": min(1.5, 1.15 * (size[0] / size[1]) ** 0.5), "top": height, "radius": width,
    }  # fmt: skip


def _camera(rng: random.Random, words: dict[str, str], size: Size, podium: float) -> Camera:
    u, view, product = rng.uniform, words["camera"], words["product"]
    width, height = EXTENT[product]
    yaw = {
        "close-up": u(-0.4, 0.4), "three-quarter": rng.choice([-1, 1]) * u(0.5, 0.8),
        "top-down": u(-0.35, 0.35), "low-angle": u(-0.35, 0.35), "front": u(-0.12, 0.12),
    }[view]  # fmt: skip
    lift = {
        "close-up": u(0.12, 0.32), "three-quarter": u(0.26, 0.44), "top-down": u(0.72, 0.98),
        "low-angle": u(0.0, 0.05), "front": u(0.1, 0.18),
    }[view]  # fmt: skip
    share = u(0.72, 0.82) if view == "close-up" else u(0.58, 0.72)
    if view == "top-down":  # a steep view shortens the product: fit its foreshortened outline
        height = height * 0.62 + width * 1.0
    distance = fit(width, height, size, share) * (0.86 if view == "close-up" else 1.0) + 0.35
    target = podium * 0.85 + EXTENT[product][1] * (0.44 if view == "top-down" else 0.5)
    turn = 0.15 if product in ("phone", "candle", "watch") else 0.25
    return Camera(
        yaw, lift, distance, target, u(-turn, turn), u(-0.06, 0.06), u(-0.05, 0.05)
    )  # fmt: skip
