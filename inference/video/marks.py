"""Marks in the corner of an overlay: each object's confidence, readable on any picture."""

from collections.abc import Sequence

import cv2
import numpy as np

from dataset.masks import PALETTE

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINES = 22          # of text that fit into the height of a picture
_SMALLEST = 11       # pixels of a line: smaller digits cannot be read
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


def draw_marks(picture: np.ndarray, marks: Sequence[tuple[int, str]]) -> None:
    """Draw a line per object onto `picture` [H, W, 3] uint8 RGB, in place: a square of its color, and words on black.

    marks: (object number, words). The lines start in the upper left corner; if they do not fit into the height, they
    continue in another column.
    """
    line = max(_SMALLEST, picture.shape[0] // _LINES)
    side, rows = line // 2, max(1, picture.shape[0] // line)
    scale = line / 32                                        # the font's digits are 21 pixels high at scale 1
    thick = max(1, round(1.5 * scale))
    words_width = max((cv2.getTextSize(words, _FONT, scale, thick)[0][0] for _, words in marks), default=0)
    width = 4 * side + words_width
    for place, (number, words) in enumerate(marks):
        left, bottom = place // rows * width, (place % rows + 1) * line
        cv2.rectangle(picture, (left, bottom - line), (left + width - 1, bottom - 1), _BLACK, -1)
        low = bottom - (line - side) // 2
        corners = (left + side, low - side), (left + 2 * side, low)
        cv2.rectangle(picture, *corners, PALETTE[number].tolist(), -1)
        cv2.rectangle(picture, *corners, _WHITE, 1)          # some objects' colors are nearly black
        cv2.putText(picture, words, (left + 3 * side, low), _FONT, scale, _WHITE, thick, cv2.LINE_AA)
