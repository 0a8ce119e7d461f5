"""A seeded clip of textured objects moving over a textured scene, with exact masks, of any length.

Every frame is a pure function of (seed, frame number). Motion is a sum of sinusoids: it stays bounded forever, frames
can be drawn in any order, and an endless stream keeps nothing. Lengths are in pixels, times in frames, angles in
radians.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from dataset.errors import DatasetError
from dataset.masks import in_pixels
from dataset.synthetic_body import WIDEST, Body, Painted, Wave, similarity
from dataset.synthetic_texture import draw_clutter, draw_pillars, draw_scene, random_palette, random_texture

_FIRST_SHARE = 0.017     # share of the pixels that an object must cover in frame 0
_LATE_SHARE = 0.002      # the same for a late object, which still enters in its first frame
_ATTEMPTS = 500


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
        self.palettes = palettes              # colors of the objects
        self._scene = Scene(rng, self.size, palettes)
        self._bodies: list[Painted] = []
        for number, palette in enumerate(palettes, start=1):
            self._admit(rng, number, palette)
        self._gain = Wave.random(rng, amplitude=[0.05] * 3 + [0.06], period=(50, 200))

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
            if t >= self.appears.get(body.number, 0):
                body.paint(image, labels, t)
        if (pillars := self._scene.before(t)) is not None:
            color, alpha = pillars
            image += alpha[..., None] * (color - image)
            labels[alpha > 0.5] = 0
        return labels

    def _admit(self, rng: np.random.Generator, number: int, palette: np.ndarray) -> None:
        """Add a body that is visible in its first frame and leaves the others visible in theirs."""
        others, extent = self._bodies, int(WIDEST * 1.5 * min(self.size))
        texture = random_texture(rng, (extent, extent), palette)
        for _ in range(_ATTEMPTS):
            body = Body(rng, number, self.size, self.appears[number], texture)
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


class Scene:
    """The background, which pans, zooms and sways, and in some clips pillars in front of the objects."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], palettes: list[np.ndarray]) -> None:
        self.size = size
        canvas = round(1.7 * size[0]), round(1.7 * size[1])
        self._canvas = draw_scene(rng, canvas)
        draw_clutter(rng, self._canvas, palettes)
        self._pillars = draw_pillars(rng, canvas) if rng.random() < 0.4 else None
        reach = rng.uniform(0.04, 0.22)
        # x, y (pixels), zoom (log), roll
        self._camera = Wave.random(
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
        to_canvas = similarity(np.exp(zoom), roll, (self.size[1] / 2, self.size[0] / 2), center)
        return cv2.warpAffine(
            canvas, to_canvas, self.size[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
        )
