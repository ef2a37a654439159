"""The one list of a scene's numbers, and the C header made from it."""

from typing import Final

_WIDTHS: Final = {
    "eye": 3, "target": 3, "focal": 1, "shift": 2, "lens": 1, "focus": 1, "base_yaw": 1,
    "base_tilt": 1, "time": 1, "exposure": 1, "key_dir": 3, "key_rgb": 3, "fill_rgb": 3,
    "hardness": 1, "back_top": 3, "back_low": 3, "surface": 1, "surface_a": 3, "surface_b": 3,
    "surface_gloss": 1, "surface_scale": 1, "surface_seed": 1, "podium_height": 1,
    "podium_rgb": 3, "product": 1, "material": 1, "body_rgb": 3, "accent_rgb": 3,
    "accent_material": 1, "trim_rgb": 3, "contrast": 3, "label_ink": 3, "labelled": 1,
    "emblem": 1, "pattern": 1, "shape": 6, "yaw_cos": 1, "yaw_sin": 1, "top": 1, "radius": 1,
    "prop_kind": 1, "prop_rgb": 3, "prop_seed": 1, "prop_spread": 1,
}  # fmt: skip


def _offsets() -> dict[str, slice]:
    """Name -> slice of the scene vector, in the order of the list."""
    found, start = {}, 0
    for name, width in _WIDTHS.items():
        found[name] = slice(start, start + width)
        start += width
    return found


AT: Final = _offsets()
SIZE: Final = sum(_WIDTHS.values())


def header() -> str:
    """C definitions of every offset, so that Python and C cannot disagree."""
    lines = [f"#define {name.upper()} {at.start}" for name, at in AT.items()]
    return "\n".join([*lines, f"#define PARAMS {SIZE}", ""])
