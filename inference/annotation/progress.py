"""How far a propagation or an export is: frames per second and time left."""

import time
from collections import deque
from typing import Any

from inference.annotation.engine import Tell

_RECENT = 20           # steps over which the speed is measured
_APART = 0.2           # seconds between two events


class Progress:
    """what: "propagate" or "export"."""

    def __init__(self, what: str, tell: Tell) -> None:
        self.what, self._tell = what, tell
        self._times = deque([time.monotonic()], maxlen=_RECENT + 1)
        self._told = 0.0
        self._done, self._left, self._frame = 0, 0, 0

    def step(self, left: int, frame: int) -> None:
        """One more step is done, that of `frame`."""
        self._done, self._left, self._frame = self._done + 1, left, frame
        now = time.monotonic()
        self._times.append(now)
        if now - self._told > _APART:
            self._told = now
            self._tell("progress", self.state())

    def state(self) -> dict[str, Any]:
        """As `GET api/state` answers it."""
        times = list(self._times)
        speed = (len(times) - 1) / max(times[-1] - times[0], 1e-6)
        left = round(self._left / speed, 1) if speed else None
        return {"what": self.what, "done": self._done, "total": self._done + self._left, "fps": round(speed, 2),
                "seconds_left": left, "frame": self._frame}
