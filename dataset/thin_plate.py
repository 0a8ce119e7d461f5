"""An optional thin-plate-spline warp for still images (STCN's static stage; off by default).

Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations", 1989.
"""

import cv2
import numpy as np

POINTS, STRENGTH = 12, 0.02     # control points; standard deviation of their shifts, as a share of the side
_COARSE = 48                    # the field is smooth, so it is computed on this grid and then enlarged


def displacement(side: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth random field of shifts in pixels, [side, side, 2] float32 (x, y), for an output of side x side."""
    points = rng.uniform(0, 1, (POINTS, 2))
    shifts = rng.normal(0, STRENGTH, (POINTS, 2))
    weights = _solve(points, shifts)
    axis = (np.arange(_COARSE) + 0.5) / _COARSE
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    field: np.ndarray = np.concatenate([_kernel(grid, points), np.ones((len(grid), 1)), grid], 1) @ weights
    field = field.reshape(_COARSE, _COARSE, 2).astype(np.float32) * side
    return cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC)


def maps(matrix: np.ndarray, shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The source of each output pixel, for cv2.remap: shifted, then mapped by the inverse of `matrix`."""
    side = len(shifts)
    x, y = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
    x, y = x + shifts[..., 0], y + shifts[..., 1]
    inverse = np.linalg.inv(matrix).astype(np.float32)
    return tuple(inverse[row, 0] * x + inverse[row, 1] * y + inverse[row, 2] for row in (0, 1))


def _solve(points: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of the spline through `values` at `points`: of the kernels, then of the affine part."""
    count = len(points)
    affine = np.concatenate([np.ones((count, 1)), points], 1)
    system = np.block([[_kernel(points, points), affine], [affine.T, np.zeros((3, 3))]])
    return np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """r^2 log r between two sets of points."""
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    kernel: np.ndarray = 0.5 * squared * np.log(np.maximum(squared, 1e-12))
    return kernel
