"""How a run departs from the thesis's protocol: precision, decoding, size and choice of the frames.

The thesis evaluates with the published code of STCN. By default, that code computes in float32, decodes whole frames,
and shows DAVIS at 480p as it is and YouTube-VOS with every frame, at a short side of 480 pixels.
"""

from dataclasses import fields

from inference.options import labels
from inference.report.runs import Run
from inference.runtime import RuntimeOptions

SHORT_SIDE = 480
_SAME_MASKS = {each.name for each in fields(RuntimeOptions)} - {"precision", "decode"}      # up to rounding


def departures(run: Run) -> tuple[str, ...]:
    """What differs, in words such as "precision bf16"; none for a run by the protocol, and for what no one recorded."""
    settings, words = run.settings, labels(RuntimeOptions, run.settings, _SAME_MASKS)
    youtube, side = run.year is None, settings.get("short_side")
    if side is not None and (side != SHORT_SIDE if youtube else 0 < side < SHORT_SIDE):
        words.append(f"short side {side}" if side else "frames at native size")
    if youtube and settings.get("all_frames_root", "") is None:
        words.append("without the frames between the annotated ones (--all-frames-root)")
    return tuple(words)


class Footnotes:
    """The footnotes of one table. Runs with the same departures share a footnote."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def title(self, run: Run) -> str:
        """The run's title, with the mark of its footnote if it has one: "LFU, 2 frames [1]"."""
        if not (words := departures(run)):
            return run.title
        return f"{run.title} [{self._numbers.setdefault(words, len(self._numbers) + 1)}]"

    @property
    def notes(self) -> tuple[str, ...]:
        """The footnotes of the titles given so far."""
        return tuple(
            f"[{number}] Not the thesis's protocol: {', '.join(words)}." for words, number in self._numbers.items()
        )
