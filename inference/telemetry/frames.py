"""A recorded sequence with its frames and masks, shrunk for pictures of a memory bank."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dataset.davis import has_full_ground_truth
from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.masks import read_image, read_labels
from inference.scoring.davis import score_sequence
from inference.telemetry.moments import SequenceTelemetry, read_telemetry
from model.geometry import cells_under


@dataclass(frozen=True)
class Explained:
    """One sequence of a run. Frames are known by their index in it."""

    telemetry: SequenceTelemetry
    frames: FolderSequence
    masks: Path                       # folder of <frame name>.png
    width: int                        # pixels of the pictures; smaller frames stay as they are
    accuracy: dict[int, float]        # frame -> J, mean over objects; empty without full ground truth

    @property
    def name(self) -> str:
        return self.telemetry.sequence

    def picture(self, frame: int) -> np.ndarray:
        """[h, w, 3] uint8 RGB."""
        return _shrunk(read_image(self.frames.frames[frame]), self.width, cv2.INTER_AREA)

    def labels(self, frame: int) -> np.ndarray:
        """[h, w] uint8; all background for a frame whose mask was not written."""
        path = self.masks / f"{self.frames.frame_names[frame]}.png"
        if not path.is_file():
            return np.zeros(self.picture(frame).shape[:2], np.uint8)
        return _shrunk(read_labels(path), self.width, cv2.INTER_NEAREST_EXACT)

    def cell_of(self, shape: tuple[int, int]) -> np.ndarray:
        """The memory cell over each pixel of a picture of `shape`: [h, w] raster indices."""
        return cells_under(shape, self.telemetry.size)


def recorded_sequences(telemetry: Path) -> list[str]:
    """The sequences with telemetry in the folder OUTPUT/telemetry; raises DatasetError if there are none."""
    names = sorted(file.stem for file in telemetry.glob("*.jsonl"))
    if not names:
        raise DatasetError(f"{telemetry}: expected the telemetry of a run, found none; run the evaluation again with "
                           "--telemetry")
    return names


def explained(telemetry: Path, frames: FolderSequence, masks: Path, width: int) -> Explained:
    """Bring together a sequence's telemetry (from the folder OUTPUT/telemetry), its frames and its masks.

    Raises DatasetError if the telemetry is missing, or of other frames.
    """
    recorded = read_telemetry(telemetry, frames.name)
    names = [line["name"] for line in recorded.lines]
    if names != frames.frame_names:
        raise DatasetError(f"{telemetry / frames.name}.jsonl: expected the {len(frames)} frames of {frames.name}, "
                           f"found {len(names)} with other names; is this the data of the run?")
    return Explained(recorded, frames, masks, width, _accuracy(frames, masks))


def outline(labels: np.ndarray) -> np.ndarray:
    """Pixels of [h, w] labels whose right or lower neighbor has another label, and these neighbors: [h, w] bool."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, :-1] != labels[:, 1:], labels[:-1] != labels[1:]
    edge[:, :-1] |= across
    edge[:, 1:] |= across
    edge[:-1] |= down
    edge[1:] |= down
    return edge


def _accuracy(frames: FolderSequence, masks: Path) -> dict[int, float]:
    if not frames.ground_truth or not has_full_ground_truth(frames):
        return {}
    scores = score_sequence(frames.ground_truth, masks, frames.binary)
    index = {name: frame for frame, name in enumerate(frames.frame_names)}
    rows = zip(*(scored.j for scored in scores.objects.values()), strict=True)
    return {index[name]: float(np.mean(row)) for name, row in zip(scores.frames, rows, strict=True)}


def _shrunk(image: np.ndarray, width: int, interpolation: int) -> np.ndarray:
    if image.shape[1] <= width:
        return image
    return cv2.resize(image, (width, round(image.shape[0] * width / image.shape[1])), interpolation=interpolation)
