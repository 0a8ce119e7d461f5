"""The objects of an annotation: a number, a name and a color each."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from dataset.masks import PALETTE
from inference.annotation.errors import Missing, Refused

_LONGEST = 64          # characters of a name


class Objects:
    """By number, 1 to 254."""

    def __init__(self, earlier: Iterable[dict[str, Any]] = ()) -> None:
        self._each: dict[int, dict[str, Any]] = {}
        for values in earlier:
            self.put(values["number"], values)

    def list(self) -> "list[dict[str, Any]]":
        """As `GET api/state` answers them, by ascending number."""
        return [dict(values) for _, values in sorted(dict(self._each).items())]

    def palette(self) -> np.ndarray:
        """[256, 3] uint8 RGB: the color of each number."""
        colors = PALETTE.copy()
        for number, values in list(self._each.items()):
            colors[number] = list(bytes.fromhex(values["color"][1:]))
        return colors

    def put(self, number: int, values: dict[str, Any]) -> None:
        """Add an object, or change some of its values. Raises Refused for values that are not allowed."""
        if not 1 <= number <= 254:
            raise Refused(f"object {number}: expected a number from 1 to 254")
        known = self._each.get(number) or {
            "number": number, "name": f"object {number}", "color": _color(number), "visible": True}
        changed = known | {name: value for name, value in values.items() if name in known}
        if not isinstance(changed["name"], str) or not 0 < len(changed["name"]) <= _LONGEST:
            raise Refused(f"object {number}: expected a name of 1 to {_LONGEST} characters")
        if not isinstance(changed["color"], str) or not re.fullmatch("#[0-9a-fA-F]{6}", changed["color"]):
            raise Refused(f"object {number}: expected a color such as #1f77b4")
        if not isinstance(changed["visible"], bool):
            raise Refused(f"object {number}: expected visible to be true or false")
        self._each[number] = changed | {"number": number}

    def add(self, numbers: Iterable[int]) -> None:
        """Objects that a mask shows; those that are known stay as they are."""
        for number in numbers:
            if number and number not in self._each:
                self.put(number, {})

    def remove(self, number: int) -> None:
        """Raises Missing for an unknown object."""
        if self._each.pop(number, None) is None:
            raise Missing(f"object {number}: expected one of the objects {sorted(self._each)}")


def _color(number: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[number].tolist())
