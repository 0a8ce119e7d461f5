"""Random textures and the static parts of a synthetic scene: backdrop, clutter and pillars.

Colors are RGB in 0..255; a palette is `[3, 3]` float32, one color per row.
"""

from collections.abc import Callable

import cv2
import numpy as np


def random_palette(rng: np.random.Generator, muted: bool = False) -> np.ndarray:
    """Three colors of which the first two differ clearly in brightness; muted ones are less saturated."""
    hue = rng.uniform(0, 360) + rng.normal(0, 25 if muted else 70, 3)
    saturation = rng.uniform(0.05, 0.5, 3) if muted else rng.uniform(0.15, 0.95, 3)
    value = rng.uniform(0.25, 0.6) + np.array([0.0, rng.uniform(0.15, 0.4), rng.uniform(0, 0.3)])
    colors = np.stack([hue % 360, saturation, value], axis=-1).astype(np.float32)
    palette: np.ndarray = 255 * cv2.cvtColor(rng.permutation(colors)[None], cv2.COLOR_HSV2RGB)[0]
    return palette


def octave_noise(
    rng: np.random.Generator, size: tuple[int, int], cells: float, octaves: int = 4
) -> np.ndarray:
    """Smooth noise `[H, W]` float32 of mean 0 and standard deviation 1, with `cells` bumps along the longer side."""
    height, width = size
    noise: np.ndarray = np.zeros(size, np.float32)
    for octave in range(octaves):
        across = cells * 2**octave / max(size)
        if octave and across > 0.5:
            break
        grid = rng.standard_normal((int(height * across) + 2, int(width * across) + 2), dtype=np.float32)
        noise += 0.55**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = (noise - noise.mean()) / (noise.std() + 1e-6)
    return noise


def random_texture(
    rng: np.random.Generator, size: tuple[int, int], palette: np.ndarray, cells: float | None = None
) -> np.ndarray:
    """Stripes, spots, checks or marble in the colors of `palette`. `[H, W, 3]` float32."""
    cells = rng.uniform(4, 10) if cells is None else cells
    wobble = octave_noise(rng, size, cells=3, octaves=2)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) * np.float32(2 * np.pi * cells / max(size))
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bend = rng.uniform(0.2, 1.2) * wobble
    patterns: dict[str, Callable[[], np.ndarray]] = {
        "stripes": lambda: np.sin(along + bend),
        "checks": lambda: 1.5 * np.sin(along + bend) * np.sin(across - bend),
        "spots": lambda: octave_noise(rng, size, 2 * cells, octaves=1) - 0.4,
        "marble": lambda: 0.5 * octave_noise(rng, size, cells, octaves=5),
    }
    pattern = patterns[rng.choice(["stripes", "checks", "spots", "marble"])]()
    first = _sigmoid(rng.uniform(2, 6) * pattern)[..., None]
    second = _sigmoid(3 * (octave_noise(rng, size, cells=2.5, octaves=3) - 0.5))[..., None]
    color: np.ndarray = palette[0] * (1 - first) + palette[1] * first
    color += 0.8 * second * (palette[2] - color)
    color = color + 7 * octave_noise(rng, size, cells=max(size) / 6, octaves=2)[..., None]
    return color


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A backdrop `[H, W, 3]` uint8: two grounds that meet in an uneven horizon, under soft light."""
    upper, lower = (
        random_texture(rng, size, random_palette(rng, muted=rng.random() < 0.7), cells=rng.uniform(4, 14))
        for _ in range(2)
    )
    height = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    horizon = rng.uniform(-0.5, 0.5) + 0.15 * octave_noise(rng, size, cells=4)
    blend = _sigmoid(rng.uniform(5, 40) * (height - horizon))[..., None]
    light = 1 + rng.uniform(-0.2, 0.2) * height + 0.1 * octave_noise(rng, size, cells=2, octaves=2)
    scene: np.ndarray = (upper * (1 - blend) + lower * blend) * light[..., None]
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    return scene


def draw_clutter(rng: np.random.Generator, scene: np.ndarray, palettes: list[np.ndarray]) -> None:
    """Paint static shapes onto `scene` uint8, in place; in half of the scenes, some have the colors of `palettes`."""
    side = min(scene.shape[:2])
    borrowed = rng.integers(1, 4) if rng.random() < 0.5 else 0
    for index in range(rng.integers(8, 17)):
        if index < borrowed:
            palette, radius = palettes[rng.integers(len(palettes))], side * rng.uniform(0.06, 0.14)
        else:
            palette, radius = random_palette(rng, muted=rng.random() < 0.5), side * rng.uniform(0.03, 0.17)
        _paint_shape(rng, scene, _random_polygon(rng, radius), palette)


def draw_pillars(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """One or two leaning bars over the full height, `[H, W, 4]` uint8 RGBA."""
    height, width = size
    alpha = np.zeros(size, np.uint8)
    for _ in range(rng.integers(1, 3)):
        foot, lean = rng.uniform(0.25, 0.75) * width, rng.uniform(-0.06, 0.06) * width
        half = rng.uniform(0.012, 0.035) * width
        top = foot + lean
        _fill(alpha, np.array([[foot - half, height], [foot + half, height], [top + half, 0], [top - half, 0]]))
    color = random_texture(rng, size, random_palette(rng, muted=True), cells=rng.uniform(10, 30))
    return np.dstack([np.clip(color, 0, 255).astype(np.uint8), alpha])


def _random_polygon(rng: np.random.Generator, radius: float) -> np.ndarray:
    """Corners `[N, 2]` about the origin: a wavy blob, an ellipse or a box."""
    boxy = rng.random() < 0.35
    angles = np.pi / 4 + np.arange(4 if boxy else 64) * (2 * np.pi / (4 if boxy else 64))
    radii = np.full(angles.shape, radius)
    if not boxy:
        radii *= 1 + rng.uniform(0, 0.25) * np.sin(rng.integers(2, 7) * angles + rng.uniform(0, 6))
    stretch, turn = np.exp(rng.uniform(-0.6, 0.6)), rng.normal(0, 0.3)
    points = np.stack([radii * np.cos(angles) * stretch, radii * np.sin(angles) / stretch])
    turned: np.ndarray = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ points
    return turned.T


def _paint_shape(
    rng: np.random.Generator, scene: np.ndarray, points: np.ndarray, palette: np.ndarray
) -> None:
    low, high = np.floor(points.min(0)) - 1, np.ceil(points.max(0)) + 1
    width, height = (high - low).astype(int)
    texture = random_texture(rng, (height, width), palette, cells=rng.uniform(2, 7))
    texture *= np.linspace(1.15, 0.8, height, dtype=np.float32)[:, None, None]
    alpha = np.zeros((height, width), np.uint8)
    _fill(alpha, points - low)
    left, top = (rng.uniform(size=2) * (np.array(scene.shape[1::-1]) - [width, height])).astype(int)
    box = scene[top : top + height, left : left + width]
    weight = (alpha / np.float32(255))[..., None]
    box[:] = np.clip(box + weight * (texture - box), 0, 255).astype(np.uint8)


def _fill(alpha: np.ndarray, points: np.ndarray) -> None:
    cv2.fillPoly(alpha, [np.round(points * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    value: np.ndarray = 1 / (1 + np.exp(-x))
    return value
