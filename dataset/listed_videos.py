"""A data set as the data doctor sees it: videos as pairs of frame and mask. No image is opened here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset.findings import Finding, finding_of
from dataset.image_files import list_images, name_problem, natural_order

Labels = Literal["binary", "objects", "static", "instances"]
Pair = tuple[Path | None, Path | None]              # (frame, mask) of one name; either may be missing
MaskRole = Literal["first", "given", "scored", "unread"]


@dataclass(frozen=True)
class Video:
    """Frames and masks that belong together: a video, or a whole set of still images.

    Attributes:
        labels: content of its masks: one object (DAVIS 2016) or object numbers; of still images, one object or object
            numbers.
        pairs: in natural order.
        first_only: evaluation gives only the first frame's mask and scores against the others (DAVIS); otherwise it
            gives every mask (YouTube-VOS).
        sparse: with first_only, the scores are those of the frames with masks; otherwise they need all masks.
    """

    name: str
    labels: Labels
    pairs: list[Pair]
    first_only: bool = False
    sparse: bool = False

    @property
    def still(self) -> bool:
        """Whether these are still images."""
        return self.labels in ("static", "instances")

    def roles(self) -> list[MaskRole]:
        """What evaluation does with the mask of each pair.

        A "first" mask is given and must show an object; a "given" one may be empty. Results are compared with a
        "scored" one. Only training reads an "unread" one.
        """
        if not self.first_only:
            return ["given"] * len(self.pairs)
        roles: list[MaskRole] = ["unread"] * len(self.pairs)
        frames = [index for index, (frame, _) in enumerate(self.pairs) if frame]
        if self.sparse:
            roles = ["scored" if mask else "unread" for _, mask in self.pairs]
        elif all(self.pairs[index][1] for index in frames):
            for index in frames[1:-1]:          # the protocol does not score the first and the last frame
                roles[index] = "scored"
        for index in frames[:1]:
            roles[index] = "first"
        return roles


def video_of(
    frames: Path, masks: Path, labels: Literal["binary", "objects"], findings: list[Finding], dense: bool = False
) -> Video:
    """The pairs of one video; what is missing goes to `findings`.

    `dense`: every frame has a mask, or only the first one does (splits whose labels are not public).
    """
    images, truth = (
        first_by_name(list_images(folder) if folder.is_dir() else [], findings) for folder in (frames, masks)
    )
    findings += [missing_folder(folder, what) for folder, found, what in
                 ((frames, images, "the frames of a video"), (masks, truth, "the masks of a video")) if not found]
    if images:
        findings += [Finding("error", "mask without frame", str(path), f"a frame {name} in {frames}", "none",
                             "restore the frame or remove the mask") for name, path in truth.items()
                     if name not in images]
    if dense and images and truth:
        first = next(iter(images))
        if first not in truth:
            findings.append(Finding("error", "first frame without mask", str(masks / first) + ".png",
                                    "the mask of the first frame", "none", "add it, or restore the data set"))
        elif 1 < len(truth) < len(images):
            findings.append(Finding("warning", "frames without mask", str(masks), f"{len(images)} masks",
                                    str(len(truth)), "correct if the others are not public; otherwise restore them"))
    names = [path.stem for path in natural_order([*({**truth, **images}).values()])]
    return Video(frames.name, labels, [(images.get(name), truth.get(name)) for name in names], first_only=dense)


def frames_of(folder: Path) -> Video:
    """The video of a folder of frames without masks."""
    return Video(folder.name, "objects", [(path, None) for path in list_images(folder)])


def still_images(
    name: str, pairs: Sequence[Pair], masks: Iterable[Path], findings: list[Finding], labels: Labels = "static"
) -> Video:
    """A set of still images; images without mask and masks without image go to `findings`."""
    findings += [Finding("error", "image without mask", str(image), "a mask of its name", "none",
                         "add it or remove the image") for image, mask in pairs if mask is None]
    paired = {mask for _, mask in pairs}
    alone = [mask for mask in masks if mask not in paired]
    findings += [Finding("warning", "mask without frame", str(mask), "an image of its name", "none",
                         "restore the image or remove the mask") for mask in alone]
    return Video(name, labels, [*pairs, *((None, mask) for mask in alone)])


def first_by_name(paths: list[Path], findings: list[Finding]) -> dict[str, Path]:
    """Frame name -> the first file of that name; further files of the name go to `findings`."""
    files: dict[str, Path] = {}
    for path in paths:
        if problem := name_problem(path, files.setdefault(path.stem, path)):
            findings.append(finding_of("error", path, problem))
    return files


def subfolders(parent: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones; none if there is no such folder."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def missing_folder(folder: Path, what: str, severity: Literal["error", "note"] = "error") -> Finding:
    found = "a folder without images" if folder.is_dir() else "no such folder"
    return Finding(severity, "missing folder", str(folder), what, found, "restore it, or check --layout")
