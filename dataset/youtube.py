"""YouTube-VOS and folders laid out like it: objects that appear at any frame.

Xu et al., "YouTube-VOS: a large-scale video object segmentation benchmark", 2018. Layout: `JPEGImages/<video>`,
`Annotations/<video>` and, in YouTube-VOS, `meta.json`. Frames without an annotation file have none.
"""

import difflib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset.davis import DAVIS_RESOLUTIONS
from dataset.errors import DatasetError
from dataset.folder import FolderSequence, Frame
from dataset.image_files import by_frame_name, list_images, natural_order
from dataset.masks import labels_in

_Objects = dict[str, dict[str, Any]]      # of a video in meta.json: object number -> {"category", "frames"}


@dataclass
class YouTubeSequence(FolderSequence):
    """A video whose objects are each given once, in the frame where they first appear.

    Annotation files may hold more than that (full ground truth); only the labels not seen before are given.
    `required`: the frames whose masks the benchmark asks for. `categories`: object number -> category.
    """

    required: frozenset[str] = frozenset()
    categories: dict[int, str] = field(default_factory=dict)

    def _given(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """With annotations restricted to objects not seen before."""
        seen: set[int] = set()
        for frame in frames:
            given = frame.annotation
            if given is not None:
                newcomers = set(labels_in(given)) - seen - {0}
                seen |= newcomers
                given = np.where(np.isin(given, list(newcomers)), given, 0) if newcomers else None
            yield replace(frame, annotation=given)
        if not seen:
            first = natural_order(self.annotations.values())[0]
            warnings.warn(f"{first}: expected an object in the masks of {self.name}, found only 0 (background) in "
                          "each; nothing was segmented", stacklevel=2)


def youtube_sequences(
    root: Path | str, all_frames_root: Path | str | None = None, names: Sequence[str] | None = None
) -> list[YouTubeSequence]:
    """The videos of a root, sorted by name.

    Args:
        root: holds JPEGImages, Annotations and, for YouTube-VOS, meta.json, whose frames are `required`.
        all_frames_root: the same videos with every frame; if it is given, every frame is segmented.
        names: read only these videos.

    Raises DatasetError for missing files, and for an unknown name.
    """
    root = Path(root)
    _check_layout(root)
    frames_root = root if all_frames_root is None else Path(all_frames_root)
    if not (frames_root / "JPEGImages").is_dir():
        raise DatasetError(f"{frames_root / 'JPEGImages'}: expected the videos with every frame, found no such folder; "
                           "check --all-frames-root")
    meta = read_meta(root / "meta.json")
    annotated = (path.name for path in (root / "Annotations").iterdir() if path.is_dir())
    objects = dict.fromkeys(sorted(annotated)) if meta is None else meta
    if not objects:
        raise DatasetError(f"{root / 'Annotations'}: expected a folder per video, found none; check --youtube-root")
    return [_sequence(root, frames_root, name, objects[name]) for name in chosen_videos([*objects], names, root)]


def _check_layout(root: Path) -> None:
    for folder in (root, root / "JPEGImages", root / "Annotations"):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected the YouTube-VOS layout (JPEGImages, Annotations, meta.json), found "
                               "no such folder; check --youtube-root")
    if resolution := next((name for name in DAVIS_RESOLUTIONS if (root / "JPEGImages" / name).is_dir()), None):
        raise DatasetError(f"{root}: expected the YouTube-VOS layout (JPEGImages/<video>), found that of DAVIS "
                           f"(JPEGImages/{resolution}); use eval_davis.py --davis-root {root}")


def _sequence(root: Path, frames_root: Path, name: str, objects: _Objects | None) -> YouTubeSequence:
    annotations = by_frame_name(list_images(root / "Annotations" / name))
    if not annotations:
        raise DatasetError(f"{root / 'Annotations' / name}: expected the masks of objects where they first appear, "
                           "found none; add them, or remove the folder")
    frames = list_images(frames_root / "JPEGImages" / name)
    required = {path.stem for path in frames}
    if objects is not None:
        required = {frame for entry in objects.values() for frame in entry.get("frames", [])} or required
    if absent := sorted(required - {path.stem for path in frames}):
        raise DatasetError(f"{frames_root / 'JPEGImages' / name}: expected frame {absent[0]} that meta.json lists, "
                           "found no such file; restore the frame, or remove meta.json to segment what is there")
    categories = {int(number): entry.get("category", "") for number, entry in (objects or {}).items()}
    return YouTubeSequence(name, frames, annotations, required=frozenset(required), categories=categories)


def read_meta(path: Path) -> dict[str, _Objects] | None:
    """Video -> object number -> its entry, such as {"category", "frames"}; None if there is no such file.

    Raises DatasetError for a damaged file.
    """
    if not path.is_file():
        return None
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))["videos"]
        return {name: videos[name]["objects"] for name in sorted(videos)}
    except (ValueError, KeyError, TypeError):
        raise DatasetError(f'{path}: expected {{"videos": {{name: {{"objects": ...}}}}}}, found something else; '
                           "restore it from the archive, or remove it to segment every frame") from None


def read_categories(path: Path) -> set[str]:
    """The categories of a meta.json; those of the training set are the seen ones."""
    meta = read_meta(path)
    if meta is None:
        raise DatasetError(f"{path}: expected the training set's meta.json, found no such file; check --seen-from")
    return {entry["category"] for objects in meta.values() for entry in objects.values() if "category" in entry}


def chosen_videos(videos: list[str], names: Sequence[str] | None, root: Path) -> list[str]:
    """Those of `videos` that are in `names` (None: all). Raises DatasetError for a name that is not among them."""
    for name in names or ():
        if name not in videos:
            nearest = difflib.get_close_matches(name, videos, n=1, cutoff=0)[0]
            raise DatasetError(f"{root}: expected to find video {name}, found no such name; did you mean {nearest}?")
    return [name for name in videos if names is None or name in names]
