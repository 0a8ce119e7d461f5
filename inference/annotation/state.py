"""The state of an annotation as one JSON object: what the page draws."""

from typing import Any

from inference.annotation.annotation import Annotation
from inference.annotation.records import why
from inference.annotation.saved import ranges
from inference.memory import POLICIES
from inference.video.options import installed
from inference.video.output import FPS


class StateReader:
    """Suggestions take a moment; while something runs, those of before are shown."""

    def __init__(self, annotation: Annotation, example: bool = False) -> None:
        self.annotation, self.example = annotation, example
        self._suggestions: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any]:
        """As `GET api/state` answers it, but for what depends on the tab."""
        annotation, board = self.annotation, self.annotation.engine.board
        records, count = annotation.engine.records, len(annotation.video.names)
        absent, uncertain = records.lost()
        given, stale = set(annotation.given), annotation.stale
        progress, running = annotation.progress, annotation.worker.busy
        if not running:
            self._suggestions = self._suggest(given)
        waiting = {"what": running, "done": 0, "total": 0, "fps": 0.0, "seconds_left": None, "frame": None}
        return {
            "frames": count, "width": annotation.size[1], "height": annotation.size[0],
            "fps": annotation.video.fps or FPS, "size": list(annotation.video.size[::-1]),
            "video": annotation.video.path.name, "folder": str(annotation.project.root), "example": self.example,
            "objects": annotation.objects.list(), "given": sorted(given), "locked": sorted(annotation.locked),
            "predicted": ranges(board.masked - stale - given), "stale": ranges(board.masked & stale),
            "confidence": records.curves(), "absent": absent, "uncertain": uncertain,
            "suggestions": self._suggestions, "direction": board.direction,
            "bank": {"memory": board.bank.memory, "memory_frames": board.bank.memory_frames,
                     "choices": sorted(POLICIES)},
            "exports": {"rle": installed("pycocotools")},
            "progress": progress.state() if progress else waiting if running else None,
        }

    def _suggest(self, given: set[int]) -> list[dict[str, Any]]:
        found = []
        for each in self.annotation.engine.records.suggestions(sorted(given)):
            number, words = why(each)
            found.append({"frame": int(each.name), "object": number, "why": words})
        return found
