"""3x3 convolutions by F(6x6, 3x3) (Lavin and Gray 2016), as matrix products: a fifth of the multiplications.

An output tile of 6x6 pixels needs an input tile d of 8x8: Y = A^T [(G g G^T) * (B^T d B)] A, summed over the input
channels. For each of the 64 positions that sum is a matrix product over all tiles, so that this is as fast as the
machine's matrix products. The transforms are products as well, with the tiles' channels side by side.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

Sides = tuple[int, int, int, int]       # of an input: left, right, top, bottom

TILE, INPUT_TILE = 6, 8
ROWS = 16             # of tiles at most that are cut out of an input together
TILES = 640           # at most that are computed together: what lies between the transforms takes some megabytes
ONES = INPUT_TILE + 1       # the position, of the point 1 both ways, that reaches all pixels of a tile alike

# for the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity
_G = ((1, 0, 0), (-2 / 9, -2 / 9, -2 / 9), (-2 / 9, 2 / 9, -2 / 9), (1 / 90, 1 / 45, 2 / 45), (1 / 90, -1 / 45, 2 / 45),
      (32 / 45, 16 / 45, 8 / 45), (32 / 45, -16 / 45, 8 / 45), (0, 0, 1))
_B_T = ((1, 0, -5.25, 0, 5.25, 0, -1, 0), (0, 1, 1, -4.25, -4.25, 1, 1, 0), (0, -1, 1, 4.25, -4.25, -1, 1, 0),
        (0, 0.5, 0.25, -2.5, -1.25, 2, 1, 0), (0, -0.5, 0.25, 2.5, -1.25, -2, 1, 0), (0, 2, 4, -2.5, -5, 0.5, 1, 0),
        (0, -2, 4, 2.5, -5, -0.5, 1, 0), (0, -1, 0, 5.25, 0, -5.25, 0, 1))
_A_T = ((1, 1, 1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0), (0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0),
        (0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0), (0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0),
        (0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1))


def transformed_kernel(weight: Tensor) -> Tensor:
    """[O, C, 3, 3] -> [64, C, O]: G g G^T, transposed, for each pair of channels. It takes seven times the memory."""
    g = torch.tensor(_G, dtype=torch.float64)
    both_ways = torch.kron(g, g).to(weight.dtype)
    outputs, channels = weight.shape[:2]
    return (both_ways @ weight.permute(3, 2, 1, 0).reshape(9, -1)).view(INPUT_TILE**2, channels, outputs)


def winograd(x: Tensor, kernel: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """x [N, C, H, W] with `padding` zeros around it -> [N, O, H + 2 padding - 2, W + 2 padding - 2], channels last.

    kernel: of `transformed_kernel`. In fp32 the result differs from a direct convolution by about 1e-5 of its range.
    """
    return winograd_of_parts([x], kernel, bias, [(padding,) * 4])[0]


def winograd_of_parts(
    parts: Sequence[Tensor], kernel: Tensor, bias: Tensor | None, zeros: Sequence[Sides]
) -> list[Tensor]:
    """`winograd` of each of several inputs of any sizes, each with its own zeros around it.

    Their tiles share the matrix products, which for a few tiles take as long as reading the weights.
    """
    bands, outputs = [], []
    for x, (left, right, top, bottom) in zip(parts, zeros, strict=True):
        height, width = x.shape[2] + top + bottom - 2, x.shape[3] + left + right - 2
        rows, columns = -(-height // TILE), -(-width // TILE)
        y = x.new_empty(len(x), rows, TILE, columns, TILE, kernel.shape[2])
        bands += [
            _Band(x[image].permute(1, 2, 0), y[image, first : first + ROWS], TILE * first - top, -left)
            for image in range(len(x)) for first in range(0, rows, ROWS)
        ]
        outputs.append(y.view(len(x), TILE * rows, TILE * columns, -1)[:, :height, :width].permute(0, 3, 1, 2))
    while bands:
        few = max(1, sum(tiles <= TILES for tiles in itertools.accumulate(band.tiles for band in bands)))
        _convolve(bands[:few], kernel, bias)
        bands = bands[few:]
    return outputs


@dataclass
class _Band:
    """Some rows of tiles of an input."""

    x: Tensor           # [H, W, C], the whole input
    y: Tensor           # [rows, 6, columns, 6, O]: where the results go
    top: int            # the pixel of the input at which the tiles begin; in front of it, there are zeros
    left: int

    @property
    def tiles(self) -> int:
        return self.y.shape[0] * self.y.shape[2]

    def cut(self, tiles: Tensor) -> None:
        """Fill in tiles [64, tiles, C]: pixels of the input, and zeros around it."""
        rows, columns = self.y.shape[0], self.y.shape[2]
        below, right = (first + TILE * count + 2 for first, count in ((self.top, rows), (self.left, columns)))
        height, width, _ = self.x.shape
        inside = self.x[max(self.top, 0) : below]
        zeros = (-self.left, max(right - width, 0), max(-self.top, 0), max(below - height, 0))
        if any(zeros):
            inside = pad(inside, (0, 0, *zeros))
        overlapping = inside.unfold(0, INPUT_TILE, TILE).unfold(1, INPUT_TILE, TILE).permute(3, 4, 0, 1, 2)
        tiles.unflatten(1, (rows, columns)).unflatten(0, (INPUT_TILE, INPUT_TILE)).copy_(overlapping)


def _convolve(bands: Sequence[_Band], kernel: Tensor, bias: Tensor | None) -> None:
    """Fill in the results of these bands."""
    b_t, a_t = _transforms(kernel.dtype)
    counts = [band.tiles for band in bands]
    tiles = kernel.new_empty(INPUT_TILE**2, sum(counts), kernel.shape[1])
    for band, own in zip(bands, tiles.split(counts, 1), strict=True):
        band.cut(own)
    products = torch.bmm(_both_ways(b_t, tiles), kernel)
    if bias is not None:
        products[ONES] += bias
    for band, result in zip(bands, _both_ways(a_t, products).split(counts, 1), strict=True):
        rows, _, columns, _, outputs = band.y.shape
        band.y.copy_(result.view(TILE, TILE, rows, columns, outputs).permute(2, 0, 3, 1, 4))


def _both_ways(matrix: Tensor, tiles: Tensor) -> Tensor:
    """M X M^T, transposed, of tiles X [k * k, tiles, C], for M [m, k] -> [m * m, tiles, C].

    Both products are over an inner axis, which takes less time than one over the whole rows of X.
    """
    m, k = matrix.shape
    rows = torch.matmul(matrix, tiles.view(k, k, -1))                   # [k, m, the rest]
    return torch.matmul(matrix, rows.transpose(0, 1)).view(m * m, *tiles.shape[1:])


@functools.cache
@torch.inference_mode(False)
def _transforms(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """B^T [8, 8] and A^T [6, 8]."""
    return torch.tensor(_B_T, dtype=dtype), torch.tensor(_A_T, dtype=dtype)
