"""What the page sends, checked: nothing of it is trusted. Everything wrong raises Refused with one line."""

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from dataset.masks import mode_problem, pixels_of
from inference.annotation.errors import Refused
from inference.annotation.grabcut import Hints

JSON_LIMIT = 2**18             # bytes
_MOST_POINTS = 10_000          # of all strokes
_LARGEST_RADIUS = 500.0
_LARGEST_COORDINATE = 1e5
_TAB = re.compile("[0-9a-f]{1,64}")


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty body is an empty one."""
    if len(body) > JSON_LIMIT:
        raise Refused(f"message: expected at most {JSON_LIMIT} bytes of JSON")
    try:
        content = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        raise Refused("message: expected JSON, found something else") from None
    if not isinstance(content, dict):
        raise Refused("message: expected a JSON object, found another value")
    return content


def text(message: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    value = message.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise Refused(f"{name}: expected one of {', '.join(allowed)}")
    return value


def texts(message: Mapping[str, Any], name: str, allowed: Sequence[str]) -> list[str]:
    values = message.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) and value in allowed for value in values):
        raise Refused(f"{name}: expected a list of some of {', '.join(allowed)}")
    return values


def whole(message: Mapping[str, Any], name: str, low: int, high: int, none: bool = False) -> int | None:
    """A whole number from `low` to `high`, or with `none` also null."""
    value = message.get(name)
    if value is None and none:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{name}: expected a whole number from {low} to {high}")
    return value


def flag(message: Mapping[str, Any], name: str) -> bool:
    value = message.get(name)
    if not isinstance(value, bool):
        raise Refused(f"{name}: expected true or false")
    return value


def number(value: Any, name: str) -> float:
    """A finite number, also as text, as in an address."""
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not abs(found) <= _LARGEST_COORDINATE:
        raise Refused(f"{name}: expected a number of at most {_LARGEST_COORDINATE:.0f}")
    return found


def hints(message: Mapping[str, Any]) -> Hints:
    """A box and strokes."""
    box = message.get("box")
    if box is not None and (not isinstance(box, list) or len(box) != 4):
        raise Refused("box: expected [x0, y0, x1, y1] or null")
    radius = number(message.get("radius", 3), "radius")
    if not 0 <= radius <= _LARGEST_RADIUS:
        raise Refused(f"radius: expected a number from 0 to {_LARGEST_RADIUS:.0f}")
    foreground, background = (_strokes(message.get(name) or [], name) for name in ("foreground", "background"))
    corners = None if box is None else tuple(number(value, "box") for value in box)
    return Hints(corners, foreground, background, radius)       # type: ignore[arg-type]   # four of them


def tab(value: str | None) -> str:
    """The name of a tab; empty for clients that are none."""
    if value and not _TAB.fullmatch(value):
        raise Refused("X-Tab: expected at most 64 hexadecimal digits")
    return value or ""


def label_map(body: bytes, size: tuple[int, int]) -> np.ndarray:
    """An 8-bit PNG of (h, w): [h, w] uint8. Larger pictures are refused before they are decoded."""
    try:
        image = Image.open(io.BytesIO(body), formats=["PNG"])
        if (image.height, image.width) != size:
            raise Refused(f"mask: expected {size[1]}x{size[0]} pixels, found {image.width}x{image.height}")
        if problem := mode_problem(image):
            raise Refused(problem.message("mask"))
        return pixels_of(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused("mask: expected a PNG, found something else or a damaged one") from None


def _strokes(value: Any, name: str) -> list[list[tuple[float, float]]]:
    if not isinstance(value, list) or not all(isinstance(stroke, list) and stroke for stroke in value):
        raise Refused(f"{name}: expected a list of strokes, each a list of [x, y]")
    points = [point for stroke in value for point in stroke]
    if len(points) > _MOST_POINTS:
        raise Refused(f"{name}: expected at most {_MOST_POINTS} points, found {len(points)}")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise Refused(f"{name}: expected a list of strokes, each a list of [x, y]")
    return [[(number(x, name), number(y, name)) for x, y in stroke] for stroke in value]
