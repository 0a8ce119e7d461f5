"""The moving bodies of a synthetic clip, and the waves by which everything in it moves.

Lengths are in pixels, times in frames, angles in radians.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike

WIDEST = 0.42           # mean diameter of the largest objects, as a share of the shorter side
_ANGLES = 256           # samples of an outline
_ENTRY = 15             # number of frames in which a late object slides in


@dataclass
class Wave:
    """Two incommensurable sinusoids for each of D quantities."""

    amplitude: np.ndarray    # [2, D]
    frequency: np.ndarray    # [2, D], radians per frame
    phase: np.ndarray        # [2, D]

    @classmethod
    def random(
        cls, rng: np.random.Generator, amplitude: ArrayLike, period: tuple[np.ndarray | float, np.ndarray | float]
    ) -> "Wave":
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


@dataclass(frozen=True)
class Change:
    """How a body differs in one frame from its own motion and look."""

    shift: tuple[float, float] = (0.0, 0.0)      # x, y
    turn: float = 0.0
    log_scale: float = 0.0
    light: float = 1.0                           # factor of its brightness


UNCHANGED = Change()


class Painted(Protocol):
    """What a clip paints, far ones (of small depth) first; number 0: it belongs to the background."""

    @property
    def number(self) -> int: ...

    @property
    def depth(self) -> float: ...

    def paint(self, image: np.ndarray, labels: np.ndarray, t: int) -> None: ...


class Body:
    """One object: a star-shaped outline whose harmonics swing, filled with a texture that moves along."""

    def __init__(
        self, rng: np.random.Generator, number: int, size: tuple[int, int], start: int, texture: np.ndarray
    ) -> None:
        self.number, self.start, self.depth, self.texture = number, start, rng.random(), texture
        self._center = np.array(size[::-1]) * rng.uniform(0.3, 0.7, 2)
        side = min(size)
        self.radius = 0.5 * side * rng.uniform(0.23, WIDEST)
        self._aspect = np.exp(rng.uniform(-0.3, 0.3))
        harmonics = np.arange(2, 8)
        weight = rng.uniform(0.2, 1.0, 6) / harmonics ** rng.uniform(0.3, 1.2)
        weight *= rng.uniform(0.15, 0.5) / weight.sum()
        self._steady = rng.uniform(0.4, 1.0) * weight
        self._swing = Wave.random(rng, amplitude=weight, period=(25, 90))
        angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
        self._harmonics = np.cos(harmonics[:, None] * angles + rng.uniform(0, 2 * np.pi, (6, 1)))
        self._path = self._random_path(rng, size)
        self._turn = Wave.random(rng, amplitude=[rng.uniform(0.3, 1.6), 0.16], period=(70, 200))
        # A late object enters from the side that is nearer to its target.
        target = self._position(start)[0]
        gap = 0.35 * self.radius
        self._entry = -target - gap if target < size[1] / 2 else size[1] - target + gap

    def paint(self, image: np.ndarray, labels: np.ndarray, t: int, change: Change = UNCHANGED) -> None:
        """Blend into `image` float32 and overwrite `labels`, in place, within the body's bounding box."""
        x, y = self.place(t) + change.shift
        angle, log_scale = self._turn(t)
        angle, scale = angle + change.turn, np.exp(log_scale + change.log_scale)
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
        to_texture = similarity(1 / scale, -angle, (x - left, y - top), (middle, middle))
        color = cv2.warpAffine(
            self.texture, to_texture, (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
        )
        shade = 1.08 - 0.3 * (radius / edge) ** 2 - 0.12 * (dx + 2 * dy) / reach    # round, lit from above
        color *= (shade * change.light).astype(np.float32)[..., None]
        box = np.s_[top:bottom, left:right]
        image[box] += alpha[..., None] * (color - image[box])
        labels[box][radius < edge] = self.number

    def place(self, t: int) -> np.ndarray:
        """The center, (x, y), in frame t."""
        x, y = self._position(t)
        waiting = max(0.0, 1 - (t - self.start) / _ENTRY) if self.start else 0.0
        return np.array([x + waiting * self._entry, y])

    def _position(self, t: int) -> np.ndarray:
        position: np.ndarray = self._center + self._path(t)
        return position

    def _random_path(self, rng: np.random.Generator, size: tuple[int, int]) -> Wave:
        """A few pixels per frame at 192 x 320; about a third of the bodies leave the frame and return."""
        reach = np.array(size[::-1]) * rng.uniform([0.1, 0.08], [0.4, 0.25])
        speed = min(size) / 192 * rng.uniform(1.5, 4.0, 2)
        if rng.random() < 0.35:
            axis = rng.integers(2)
            reach[axis] = 0.58 * size[1 - axis] + 1.6 * self.radius
            speed[axis] = min(size) / 192 * rng.uniform(4.5, 6.5)
        period = np.maximum(2 * np.pi * reach / speed, 50)
        return Wave.random(rng, amplitude=reach, period=(0.9 * period, 1.1 * period))


def similarity(scale: float, angle: float, source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """`[2, 3]`: rotate by `angle` and scale about `source`, which is moved to `target`."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.asarray(target) - turn @ np.asarray(source)])
