"""How the public STCN code resizes the frames of YouTube-VOS, for `--resize stcn`.

Frames: normalized, then interpolated with cubic polynomials, without averaging, to a short side of 480 pixels; smaller
frames are enlarged. Masks: the nearest pixel, counted from the corner. The long side is cut to whole pixels. Here,
frames are interpolated before they are normalized, which is the same up to rounding: both are linear, and the weights
of a pixel add up to 1. So these frames are float32, and may lie a little outside 0 to 255.
"""

import numpy as np
import torch
from torch.nn.functional import interpolate


def resized_size(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """(height, width) of a frame of `size` whose shorter side becomes `short_side`."""
    height, width = size
    if width <= height:
        return int(short_side * height / width), short_side
    return short_side, int(short_side * width / height)


def resized_frame(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W, 3] uint8 RGB -> [h, w, 3] float32 in the same units."""
    image = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1).float()
    if frame.shape[:2] != size:
        image = interpolate(image[None], size=size, mode="bicubic", align_corners=False)[0]
    return image.permute(1, 2, 0).contiguous().numpy()


def resized_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """[H, W] integers -> [h, w] of the same type. Objects that fall between the sampled pixels are lost, as there."""
    if labels.shape == size:
        return labels
    sampled = interpolate(torch.from_numpy(labels.astype(np.float32))[None, None], size=size, mode="nearest")
    return sampled[0, 0].numpy().astype(labels.dtype)
