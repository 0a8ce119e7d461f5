"""J and F beside those of vos-benchmark (PyPI), an independent implementation; skipped if it is not installed.

Where its rules differ from the official DAVIS toolkit's, ours are the toolkit's: vos-benchmark counts an object from
the first scored frame on in which the ground truth or the result shows it (the toolkit: in all frames), counts objects
that the first mask lacks (the toolkit: does not), and takes void (255) for an object (the toolkit: background).
"""

from pathlib import Path

import numpy as np
import pytest

from dataset.image_files import by_frame_name, list_images
from dataset.masks import read_labels, write_labels
from inference.scoring.davis import score_sequence

benchmark = pytest.importorskip("vos_benchmark.benchmark", reason="vos-benchmark is not installed")
SHARED = Path(__file__).resolve().parents[2] / "shared"
EIGHT = SHARED / "data/DAVIS"
MULTI = SHARED / "data/multi"


def differences(truth: Path, results: Path) -> dict[int, float]:
    """Object -> the larger of the differences of J and F, of masks with object numbers."""
    ours = score_sequence(by_frame_name(list_images(truth)), results, binary=False)
    _, j, f = benchmark.VideoEvaluator(truth.parent, results.parent)(truth.name)
    return {
        number: max(abs(j[number] / 100 - scored.j_statistics.mean), abs(f[number] / 100 - scored.f_statistics.mean))
        for number, scored in ours.objects.items() if number in j
    }


def late(masks: list[np.ndarray], frames: int) -> list[np.ndarray]:
    """Results: each mask a few frames late, and one object cut."""
    delayed = [masks[max(0, index - frames)].copy() for index in range(len(masks))]
    for labels in delayed:
        labels[labels.shape[0] // 2:][labels[labels.shape[0] // 2:] == labels.max()] = 0
    return delayed


def write(folder: Path, masks: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for index, labels in enumerate(masks):
        write_labels(folder / f"{index:05d}.png", labels)
    return folder


@pytest.mark.parametrize("size", [(48, 64), (97, 131), (240, 432)])
def test_scores_of_random_masks_agree(size, tmp_path):
    random = np.random.default_rng(size[0])
    masks = []
    for _ in range(8):
        labels = np.zeros(size, np.uint8)
        for number in (1, 2, 3):
            top, left = (int(random.integers(0, limit // 2)) for limit in size)
            labels[top:top + size[0] // 3, left:left + size[1] // 3] = number
        labels[:2, :6] = np.repeat([1, 2, 3], 2)                        # all objects are in every frame
        masks.append(labels)
    found = differences(write(tmp_path / "truth/a", masks), write(tmp_path / "results/a", late(masks, 2)))
    assert list(found) == [1, 2, 3]
    assert max(found.values()) < 1e-9


def real_sequences() -> list[Path]:
    if not EIGHT.exists():
        return []
    names = (EIGHT / "ImageSets/2016/val.txt").read_text().split()
    return [EIGHT / "Annotations/480p" / name for name in names] + sorted((MULTI / "Annotations/480p").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("sequence", real_sequences(), ids=lambda path: path.name)
def test_scores_of_real_masks_agree(sequence, tmp_path):
    masks = [read_labels(path) for path in list_images(sequence)]
    if sequence.is_relative_to(EIGHT):
        masks = [(labels > 0).astype(np.uint8) for labels in masks]     # 0 and 255 of 2016
    found = differences(write(tmp_path / "truth/a", masks), write(tmp_path / "results/a", late(masks, 3)))
    assert max(found.values()) < 1e-6
