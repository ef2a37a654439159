"""sRGB and linear light."""

import functools

Rgb = tuple[float, float, float]


@functools.lru_cache(maxsize=1024)  # seven a scene, of about 80 colours
def linear(hex: str) -> Rgb:
    """``#rrggbb`` to linear light in 0..1 (IEC 61966-2-1)."""
    codes = [int(hex.lstrip("#")[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    r, g, b = (((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in codes)
    return r, g, b


def luminance(rgb: Rgb) -> float:
    """Relative luminance (Rec. 709 weights)."""
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]
