"""A seeded clip of textured objects moving over a textured scene, with exact masks, of any length.

Every frame is a pure function of (seed, frame number). Motion is a sum of sinusoids: it stays bounded forever, frames
can be drawn in any order, and an endless stream keeps nothing. Lengths are in pixels, times in frames, angles in
radians.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from dataset.errors import DatasetError
from dataset.masks import in_pixels
from dataset.synthetic_texture import draw_clutter, draw_pillars, draw_scene, random_palette, random_texture

_FIRST_SHARE = 0.017     # share of the pixels that an object must cover in frame 0
_LATE_SHARE = 0.002      # the same for a late object, which still enters in its first frame
_ATTEMPTS = 500
_WIDEST = 0.42           # mean diameter of the largest objects, as a share of the shorter side
_ANGLES = 256            # samples of an outline
_ENTRY = 15              # number of frames in which a late object slides in


class SyntheticClip:
    """A clip with a `frame(t)` for any t >= 0, also beyond its length.

    seed: any integer >= 0; it determines everything. size: (height, width), sides of at least 32 pixels. objects: 1 to
    6, numbered from 1. late: the frame in which the last object first appears. `appears` maps an object to the first
    frame that may show it. Raises DatasetError if an argument is out of range, or if the objects do not fit into the
    first frame.
    """

    def __init__(
        self, seed: int, size: tuple[int, int] = (192, 320), length: int = 60, objects: int = 2,
        late: int | None = None,
    ) -> None:
        if not 1 <= objects <= 6 or min(size) < 32 or length < 1 or seed < 0 or (late or 0) < 0:
            raise DatasetError(
                "synthetic clip: expected seed >= 0, sides >= 32, length >= 1, 1 to 6 objects and late >= 0, "
                f"found {seed=}, {size=}, {length=}, {objects=}, {late=}; change the argument that is out of range"
            )
        self.seed, self.size, self.length, self.objects = seed, (size[0], size[1]), length, objects
        self.appears = {number: 0 for number in range(1, objects + 1)}
        if late is not None:
            self.appears[objects] = late
        rng = np.random.default_rng([1, seed])
        palettes = [random_palette(rng) for _ in range(objects)]
        if rng.random() < 0.15:
            palettes[-1] = palettes[0]        # two similar objects: only place and pattern distinguish them
        self._scene = _Scene(rng, self.size, palettes)
        self._bodies: list[_Body] = []
        for number, palette in enumerate(palettes, start=1):
            self._admit(rng, number, palette)
        self._gain = _Wave.random(rng, amplitude=[0.05] * 3 + [0.06], period=(50, 200))

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (self.frame(t) for t in range(self.length))

    def frame(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Image `[H, W, 3]` uint8 RGB and labels `[H, W]` uint8 (0 is background) of frame t >= 0."""
        image = self._scene.behind(t).astype(np.float32)
        labels = self._paint(image, t)
        tint = self._gain(t)
        image *= (1 + tint[:3] * 0.5 + tint[3]).astype(np.float32)
        noise = np.random.default_rng([2, self.seed, t]).standard_normal(self.size, dtype=np.float32)
        image += (2.0 * noise)[..., None]
        return np.clip(image, 0, 255).astype(np.uint8), labels

    def _paint(self, image: np.ndarray, t: int) -> np.ndarray:
        """Paint the bodies, far ones first, then the pillars onto `image`, in place; return the labels."""
        labels = np.zeros(self.size, np.uint8)
        for body in self._bodies:
            if t >= self.appears[body.number]:
                body.paint(image, labels, t)
        if (pillars := self._scene.before(t)) is not None:
            color, alpha = pillars
            image += alpha[..., None] * (color - image)
            labels[alpha > 0.5] = 0
        return labels

    def _admit(self, rng: np.random.Generator, number: int, palette: np.ndarray) -> None:
        """Add a body that is visible in its first frame and leaves the others visible in theirs."""
        others, extent = self._bodies, int(_WIDEST * 1.5 * min(self.size))
        texture = random_texture(rng, (extent, extent), palette)
        for _ in range(_ATTEMPTS):
            body = _Body(rng, number, self.size, self.appears[number], texture)
            self._bodies = sorted([*others, body], key=lambda body: body.depth)
            if self._all_shown():
                return
        raise DatasetError(f"synthetic clip: expected {self.objects} objects to fit into the first frame, found too "
                           f"little room in {in_pixels(self.size)}; use a larger size or fewer objects")

    def _all_shown(self) -> bool:
        shares = {}
        for start in {self.appears[body.number] for body in self._bodies}:
            labels = self._paint(np.zeros((*self.size, 3), np.float32), start)
            shares[start] = np.bincount(labels.ravel(), minlength=256) / labels.size
        return all(
            shares[start][number] >= (_LATE_SHARE if start else _FIRST_SHARE)
            for number, start in ((body.number, self.appears[body.number]) for body in self._bodies)
        )


@dataclass
class _Wave:
    """Two incommensurable sinusoids for each of D quantities."""

    amplitude: np.ndarray    # [2, D]
    frequency: np.ndarray    # [2, D], radians per frame
    phase: np.ndarray        # [2, D]

    @classmethod
    def random(
        cls, rng: np.random.Generator, amplitude: ArrayLike, period: tuple[np.ndarray | float, np.ndarray | float]
    ) -> "_Wave":
        """Amplitudes `[D]`; the slower period is drawn between the two of `period`, each a number or `[D]`."""
        amplitude = np.asarray(amplitude, float)
        shape = (2, len(amplitude))
        return cls(
            amplitude * np.array([[0.75], [0.25]]),
            2 * np.pi / rng.uniform(*period, shape) * np.array([[1.0], [1.7]]),
            rng.uniform(0, 2 * np.pi, shape),
        )

    def __call__(self, t: float) -> np.ndarray:
        value: np.ndarray = (self.amplitude * np.sin(self.frequency * t + self.phase)).sum(0)
        return value


class _Scene:
    """The background, which pans, zooms and sways, and in some clips pillars in front of the objects."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], palettes: list[np.ndarray]) -> None:
        self.size = size
        canvas = round(1.7 * size[0]), round(1.7 * size[1])
        self._canvas = draw_scene(rng, canvas)
        draw_clutter(rng, self._canvas, palettes)
        self._pillars = draw_pillars(rng, canvas) if rng.random() < 0.4 else None
        reach = rng.uniform(0.04, 0.22)
        # x, y (pixels), zoom (log), roll
        self._camera = _Wave.random(
            rng, amplitude=[reach * size[1], 0.5 * reach * size[0], 0.12, 0.03], period=(150, 400)
        )

    def behind(self, t: int) -> np.ndarray:
        """`[H, W, 3]` uint8."""
        return self._view(self._canvas, t, parallax=1.0)

    def before(self, t: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Color `[H, W, 3]` and alpha `[H, W]` in 0..1, both float32, of the pillars."""
        if self._pillars is None:
            return None
        view = self._view(self._pillars, t, parallax=1.5).astype(np.float32)
        return view[..., :3], view[..., 3] / 255

    def _view(self, canvas: np.ndarray, t: int, parallax: float) -> np.ndarray:
        x, y, zoom, roll = self._camera(t)
        center = np.array([canvas.shape[1] / 2 + parallax * x, canvas.shape[0] / 2 + parallax * y])
        to_canvas = _similarity(np.exp(zoom), roll, (self.size[1] / 2, self.size[0] / 2), center)
        return cv2.warpAffine(
            canvas, to_canvas, self.size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
        )


class _Body:
    """One object: a star-shaped outline whose harmonics swing, filled with a texture that moves along."""

    def __init__(
        self, rng: np.random.Generator, number: int, size: tuple[int, int], start: int, texture: np.ndarray
    ) -> None:
        self.number, self.start, self.depth, self.texture = number, start, rng.random(), texture
        self._center = np.array(size[::-1]) * rng.uniform(0.3, 0.7, 2)
        side = min(size)
        self.radius = 0.5 * side * rng.uniform(0.23, _WIDEST)
        self._aspect = np.exp(rng.uniform(-0.3, 0.3))
        harmonics = np.arange(2, 8)
        weight = rng.uniform(0.2, 1.0, 6) / harmonics ** rng.uniform(0.3, 1.2)
        weight *= rng.uniform(0.15, 0.5) / weight.sum()
        self._steady = rng.uniform(0.4, 1.0) * weight
        self._swing = _Wave.random(rng, amplitude=weight, period=(25, 90))
        angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
        self._harmonics = np.cos(harmonics[:, None] * angles + rng.uniform(0, 2 * np.pi, (6, 1)))
        self._path = self._random_path(rng, size)
        self._turn = _Wave.random(rng, amplitude=[rng.uniform(0.3, 1.6), 0.16], period=(70, 200))
        # A late object enters from the side that is nearer to its target.
        target = self._position(start)[0]
        gap = 0.35 * self.radius
        self._entry = -target - gap if target < size[1] / 2 else size[1] - target + gap

    def paint(self, image: np.ndarray, labels: np.ndarray, t: int) -> None:
        """Blend into `image` float32 and overwrite `labels`, in place, within the body's bounding box."""
        x, y = self._place(t)
        angle, log_scale = self._turn(t)
        scale = np.exp(log_scale)
        outline = scale * self.radius * (1 + (self._steady + self._swing(t)) @ self._harmonics)
        reach = outline.max() * max(self._aspect, 1 / self._aspect) + 2
        left, right = (int(np.clip(x + sign * reach, 0, labels.shape[1])) for sign in (-1, 1))
        top, bottom = (int(np.clip(y + sign * reach, 0, labels.shape[0])) for sign in (-1, 1))
        if left >= right or top >= bottom:
            return
        dx, dy = np.meshgrid(np.arange(left, right) - x, np.arange(top, bottom) - y)
        cos, sin = np.cos(angle), np.sin(angle)
        along, across = cos * dx + sin * dy, cos * dy - sin * dx
        radius, theta = cv2.cartToPolar(along / self._aspect, across * self._aspect)
        edge = np.interp(theta, 2 * np.pi / _ANGLES * np.arange(_ANGLES + 1), np.append(outline, outline[0]))
        alpha = np.clip(0.5 + (edge - radius) / 1.5, 0, 1).astype(np.float32)    # about a pixel of soft edge
        middle = len(self.texture) / 2
        to_texture = _similarity(1 / scale, -angle, (x - left, y - top), (middle, middle))
        color = cv2.warpAffine(
            self.texture, to_texture, (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
        )
        shade = 1.08 - 0.3 * (radius / edge) ** 2 - 0.12 * (dx + 2 * dy) / reach    # round, lit from above
        color *= shade.astype(np.float32)[..., None]
        box = np.s_[top:bottom, left:right]
        image[box] += alpha[..., None] * (color - image[box])
        labels[box][radius < edge] = self.number

    def _place(self, t: int) -> np.ndarray:
        x, y = self._position(t)
        waiting = max(0.0, 1 - (t - self.start) / _ENTRY) if self.start else 0.0
        return np.array([x + waiting * self._entry, y])

    def _position(self, t: int) -> np.ndarray:
        position: np.ndarray = self._center + self._path(t)
        return position

    def _random_path(self, rng: np.random.Generator, size: tuple[int, int]) -> _Wave:
        """A few pixels per frame at 192 x 320; about a third of the bodies leave the frame and return."""
        reach = np.array(size[::-1]) * rng.uniform([0.1, 0.08], [0.4, 0.25])
        speed = min(size) / 192 * rng.uniform(1.5, 4.0, 2)
        if rng.random() < 0.35:
            axis = rng.integers(2)
            reach[axis] = 0.58 * size[1 - axis] + 1.6 * self.radius
            speed[axis] = min(size) / 192 * rng.uniform(4.5, 6.5)
        period = np.maximum(2 * np.pi * reach / speed, 50)
        return _Wave.random(rng, amplitude=reach, period=(0.9 * period, 1.1 * period))


def _similarity(scale: float, angle: float, source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """`[2, 3]`: rotate by `angle` and scale about `source`, which is moved to `target`."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.asarray(target) - turn @ np.asarray(source)])
