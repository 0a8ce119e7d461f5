"""3x3 convolutions by F(6x6, 3x3) (Lavin and Gray 2016), as matrix products: a fifth of the multiplications.

An output tile of 6x6 pixels needs an input tile d of 8x8: Y = A^T [(G g G^T) * (B^T d B)] A, summed over the input
channels. For each of the 64 positions that sum is a matrix product over all tiles, so that this is as fast as the
machine's matrix products. The transforms are products as well, with the tiles' channels side by side.
"""

import functools

import torch
from torch import Tensor
from torch.nn.functional import pad

TILE, INPUT_TILE = 6, 8
ROWS = 16             # of tiles that are computed together: what lies between the transforms takes a few megabytes

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
    """[O, C, 3, 3] -> [64, C, O]: G g G^T for each pair of channels. It takes seven times the memory."""
    g = torch.tensor(_G, dtype=torch.float64)
    both_ways = torch.kron(g, g).to(weight.dtype)
    outputs, channels = weight.shape[:2]
    return (both_ways @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(INPUT_TILE**2, channels, outputs)


def winograd(x: Tensor, kernel: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """x [N, C, H, W] with `padding` zeros around it -> [N, O, H + 2 padding - 2, W + 2 padding - 2], channels last.

    kernel: of `transformed_kernel`. In fp32 the result differs from a direct convolution by about 1e-5 of its range.
    """
    out_h, out_w = (side + 2 * padding - 2 for side in x.shape[2:])
    rows, columns = -(-out_h // TILE), -(-out_w // TILE)
    right, below = (TILE * tiles + 2 - side - padding for tiles, side in ((columns, x.shape[3]), (rows, x.shape[2])))
    padded = pad(x.permute(0, 2, 3, 1), (0, 0, padding, right, padding, below))         # [N, H', W', C]
    y = x.new_empty(len(x), rows, TILE, columns, TILE, kernel.shape[2])
    for image in range(len(x)):
        for first in range(0, rows, ROWS):
            last = min(first + ROWS, rows)
            y[image, first:last] = _convolve_tiles(padded[image, TILE * first : TILE * last + 2], kernel, bias)
    whole = y.view(len(x), TILE * rows, TILE * columns, -1)[:, :out_h, :out_w]
    return whole.permute(0, 3, 1, 2)


def _convolve_tiles(part: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """[6 rows + 2, 6 columns + 2, C] -> [rows, 6, columns, 6, O]."""
    b_t, a_t = _transforms(part.dtype)
    tiles = part.unfold(0, INPUT_TILE, TILE).unfold(1, INPUT_TILE, TILE)                # [rows, columns, C, 8, 8]
    rows, columns, channels = tiles.shape[:3]
    values = _both_ways(b_t, tiles.permute(3, 4, 0, 1, 2).reshape(INPUT_TILE**2, -1))
    products = torch.bmm(values.view(INPUT_TILE**2, rows * columns, channels), kernel)
    y = _both_ways(a_t, products).view(TILE, TILE, rows, columns, -1)
    if bias is not None:
        y += bias
    return y.permute(2, 0, 3, 1, 4)


def _both_ways(matrix: Tensor, tiles: Tensor) -> Tensor:
    """M X M^T of tiles X [k * k, ...], for M [m, k] -> [m, m, the rest]."""
    m, k = matrix.shape
    return torch.matmul(matrix, (matrix @ tiles.view(k, -1)).view(m, k, -1))


@functools.cache
@torch.inference_mode(False)
def _transforms(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """B^T [8, 8] and A^T [6, 8]."""
    return torch.tensor(_B_T, dtype=dtype), torch.tensor(_A_T, dtype=dtype)
