"""Fit the confidence of masks to generated clips, and see what it is worth on these and on DAVIS.

    python scripts/calibrate_confidence.py --output runs/confidence
    python scripts/calibrate_confidence.py --output runs/confidence --davis-root data/DAVIS

Segments clips of one to three objects, which occlude one another, look alike, leave and return; a third of the clips
move twice as fast, a third four times. Prints the constants of inference/quality.py and what they are worth; writes
OUTPUT/masks.csv (a row per mask) and OUTPUT/reliability.png. The sequences of DAVIS are only measured: nothing is
fitted to them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
from tqdm import tqdm

from dataset.folder import FolderSequence, Frame
from dataset.synthetic_clip import SyntheticClip
from inference import quality
from inference.commands import command
from inference.data_options import DavisOptions
from inference.evaluation import make_segmenter
from inference.memory import MemoryOptions
from inference.options import Options, option
from inference.report.pictures import pyplot
from inference.runtime import RuntimeOptions, load_for
from inference.scoring.calibration import auc, calibration_error, fit_logistic, logistic, reliability
from inference.scoring.metrics import RECALL_THRESHOLD, region_similarity
from inference.views import ViewOptions, ViewSegmenter
from scripts.arguments import CommandParser

_FIRST_SEED = 10_000      # no clip of make_synthetic.py's defaults, on which compact.pth was trained
_BAD, _GOOD = 0.3, 0.7    # J of masks that confidence must separate

Constants = list[tuple[float, float]]      # offset and slope of masks with pixels, and of masks without


@dataclass(frozen=True)
class CalibrationOptions(Options):
    """What is measured."""

    output: Path = option(help="folder for masks.csv and reliability.png", metavar="DIR")
    weights: str = option("compact", "network: own or published STCN layout", metavar="FILE")
    clips: int = option(27, "generated clips", metavar="N", minimum=2)
    frames: int = option(40, "frames of a clip", metavar="N", minimum=2)
    davis_root: Path | None = option(
        None, "also measure the validation sequences of DAVIS 2016 in this folder", metavar="DIR")


@dataclass(frozen=True)
class Mask:
    """One mask that was measured."""

    video: str
    frame: str
    object: int
    area: float               # pixels
    score: float              # of `quality.mask_score`
    j: float                  # 1 if neither the mask nor the truth has a pixel


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    wanted, runtime = options[CalibrationOptions], options[RuntimeOptions].resolved()
    network = load_for(runtime, wanted.weights)
    segmenter = make_segmenter(network, runtime, ViewOptions(), options[MemoryOptions])
    clips = [list(measure(f"clip {index}", generated(index, wanted.frames), wanted.frames, segmenter))
             for index in range(wanted.clips)]
    davis = [mask for sequence in sequences(wanted.davis_root)
             for mask in measure(sequence.name, sequence, len(sequence), segmenter)]

    wanted.output.mkdir(parents=True, exist_ok=True)
    write_rows(wanted.output / "masks.csv", [mask for clip in [*clips, davis] for mask in clip])
    report(clips, davis, wanted.output)


def report(clips: list[list[Mask]], davis: list[Mask], output: Path) -> None:
    """Fit to all clips. Print and draw what this is worth on DAVIS, and what a fit to half the clips on the others."""
    halves = [[mask for clip in clips[start::2] for mask in clip] for start in (0, 1)]
    constants = fit([*halves[0], *halves[1]])
    print("inference/quality.py: OFFSET, SLOPE = {:.2f}, {:.2f}".format(*constants[0]))
    print("inference/quality.py: OFFSET_ABSENT, SLOPE_ABSENT = {:.2f}, {:.2f}".format(*constants[1]))
    crossed = [judge(one, fit(other)) for one, other in (halves, halves[::-1])]
    judged = {"generated clips": Judged(*(np.concatenate([getattr(each, name) for each in crossed])
                                          for name in ("confidence", "j")))}
    if davis:
        judged["DAVIS 2016"] = judge(davis, constants)
    for name, each in judged.items():
        print(f"{name}: {each.described()}")
    for video in dict.fromkeys(mask.video for mask in davis):
        print(f"  {video}: {judge([mask for mask in davis if mask.video == video], constants).described()}")
    draw_reliability(judged, output / "reliability.png")
    print(f"wrote {output}: masks.csv, reliability.png")


def generated(index: int, frames: int) -> Iterator[Frame]:
    """The frames of a generated clip, each with its truth."""
    objects, speed = 1 + index % 3, 2 ** (index // 3 % 3)
    clip = SyntheticClip(_FIRST_SEED + index, length=speed * frames, objects=objects)
    for t in range(frames):
        yield Frame(f"{t:05d}", *clip.frame(speed * t))


def sequences(davis_root: Path | None) -> list[FolderSequence]:
    """With the truth of every frame as its annotation; none without a folder."""
    found = DavisOptions(davis_root, 2016).read() if davis_root else []
    return [replace(sequence, annotations=sequence.ground_truth) for sequence in found]


def measure(video: str, frames: Iterable[Frame], length: int, segmenter: ViewSegmenter) -> Iterator[Mask]:
    """Segment a video from its first truth on; yields the masks of all frames after it."""
    segmenter.reset()
    for frame in tqdm(frames, video, length, unit="frame", leave=False, mininterval=0.5):
        truth, known = np.asarray(frame.annotation), segmenter.objects
        probabilities = segmenter.step(frame.image, None if known else truth)
        labels = segmenter.labels(probabilities)
        area, score = (values.tolist() for values in quality.mask_score(probabilities))
        for place, number in enumerate(known):
            j = region_similarity(np.equal(truth, number), np.equal(labels, number))
            yield Mask(video, frame.name, number, area[place], score[place], j)


def fit(masks: list[Mask]) -> Constants:
    """For masks with pixels and for those without; the ones in use if there are not both right and wrong masks."""
    constants = [(quality.OFFSET, quality.SLOPE), (quality.OFFSET_ABSENT, quality.SLOPE_ABSENT)]
    for absent in (False, True):
        chosen = [mask for mask in masks if (mask.area == 0) == absent]
        right = np.array([mask.j >= RECALL_THRESHOLD for mask in chosen])
        if right.any() and not right.all():
            constants[absent] = fit_logistic(np.array([mask.score for mask in chosen]), right)
    return constants


@dataclass(frozen=True)
class Judged:
    """Confidence and J of some masks, [n] each."""

    confidence: np.ndarray
    j: np.ndarray

    @property
    def right(self) -> np.ndarray:
        return self.j >= RECALL_THRESHOLD

    def described(self) -> str:
        """What confidence is worth on these masks, in one line."""
        bad, good, flagged = self.j < _BAD, self.j > _GOOD, self.confidence < quality.UNCERTAIN
        separation = auc(self.confidence[bad | good], good[bad | good])
        return (f"{len(self.j)} masks, mean J {self.j.mean():.2f}; AUC of {bad.sum()} with J < {_BAD} against "
                f"{good.sum()} with J > {_GOOD}: {separation:.3f}; calibration error "
                f"{calibration_error(self.confidence, self.right):.3f}; confidence below {quality.UNCERTAIN}: "
                f"{(flagged & ~self.right).sum()} of {(~self.right).sum()} wrong masks, "
                f"{(flagged & self.right).sum()} of {self.right.sum()} right ones")


def judge(masks: list[Mask], constants: Constants) -> Judged:
    score = np.array([mask.score for mask in masks])
    offset, slope = np.where([[mask.area > 0] for mask in masks], *constants).T
    return Judged(logistic(offset + slope * score), np.array([mask.j for mask in masks]))


def draw_reliability(judged: dict[str, Judged], path: Path) -> None:
    """Share of right masks over confidence, a curve for each set of masks; numbers say how many a point stands for."""
    figure, axes = pyplot.subplots(figsize=(5.5, 4.5), dpi=120, layout="constrained")
    axes.plot([0, 1], [0, 1], color="gray", linestyle="--", label="ideal")
    for name, each in judged.items():
        bins = reliability(each.confidence, each.right)
        axes.plot([one.confidence for one in bins], [one.right for one in bins], marker="o",
                  label=f"{name} ({len(each.j)} masks)")
        for one in bins:
            axes.annotate(str(one.count), (one.confidence, one.right), (4, -10), textcoords="offset points", size=7)
    axes.set_xlabel("confidence")
    axes.set_ylabel(f"share of masks with J of at least {RECALL_THRESHOLD}")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path)
    pyplot.close(figure)


def write_rows(path: Path, masks: list[Mask]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, [field.name for field in fields(Mask)])
        rows.writeheader()
        rows.writerows(map(asdict, masks))


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    parser.add_options(CalibrationOptions)
    parser.add_options(RuntimeOptions)
    parser.add_options(MemoryOptions, title="memory bank")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
