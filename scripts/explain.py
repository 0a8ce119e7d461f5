"""Why a memory bank kept what it kept: pictures and a page from a run with --telemetry.

    python eval_davis.py --davis-root DAVIS --year 2016 --weights stcn.pth --memory lfu --output runs/lfu2 --telemetry
    python scripts/explain.py --run runs/lfu2 --davis-root DAVIS --sequences breakdance --output runs/lfu2-explained

Writes, for each sequence, <sequence>-survivors.png (entries held, painted on the frames they come from),
<sequence>-usage.png (uses over age, with lfu's eviction line) and <sequence>-occupancy.png, and one index.html of all
of them to step through frame by frame: about 2 MB a sequence, everything inside, so that it may be mailed as it is. Of
long videos it shows at most 150 frames.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import json
from collections.abc import Sequence

from tqdm import tqdm

from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.files import write_text
from dataset.folder import FolderSequence
from dataset.youtube import youtube_sequences
from inference.commands import command
from inference.telemetry.explain_page import page
from inference.telemetry.frames import explained
from inference.telemetry.pictures import occupancy_figure, survivors_figure, usage_figure
from scripts.arguments import CommandParser


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    run = read_run(options.run)
    settings = run["settings"]
    masks = options.run / ("Annotations" if settings["command"] == "eval_youtube" else "")
    sequences = sequences_of(options, run)
    clips = [
        explained(options.run / "telemetry", sequence, masks / sequence.name, options.width) for sequence in sequences
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    scored = settings["memory"] == "lfu" and settings["index"] == "topk"
    for clip in tqdm(clips, unit="sequence", desc="figures", dynamic_ncols=True):
        if clip.telemetry.moments:
            survivors_figure(clip, options.output / f"{clip.name}-survivors.png")
            usage_figure(clip, options.output / f"{clip.name}-usage.png", scored)
            occupancy_figure(clip, options.output / f"{clip.name}-occupancy.png")
    text = page(clips, run, options.title or options.run.resolve().name)
    write_text(options.output / "index.html", text)
    print(f"wrote {options.output / 'index.html'}: {len(clips)} sequences, {len(text) / 1e6:.1f} MB")


def read_run(folder: Path) -> dict:
    """The record of a run; raises DatasetError where there is none."""
    file = folder / "run.json"
    try:
        run = json.loads(file.read_text())
        if not {"command", "memory", "index"} <= run["settings"].keys():
            raise KeyError("settings")
        return run
    except FileNotFoundError:
        raise DatasetError(f"{file}: expected the record of a run, found none; is {folder} a run folder?") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        message = f"{file}: expected the record of a run, found something else; run the evaluation again"
        raise DatasetError(message) from None


def sequences_of(options: argparse.Namespace, run: dict) -> Sequence[FolderSequence]:
    """The sequences asked for, or those of the run that have telemetry, with their frames."""
    settings = run["settings"]
    names = options.sequences or sorted(file.stem for file in (options.run / "telemetry").glob("*.jsonl"))
    if not names:
        raise DatasetError(f"{options.run / 'telemetry'}: expected the telemetry of a run, found none; run the "
                           "evaluation again with --telemetry")
    if settings["command"] == "eval_youtube":
        if options.youtube_root is None:
            raise DatasetError(f"{options.run}: expected --youtube-root for this run of eval_youtube.py, found none; "
                               "give it")
        return youtube_sequences(options.youtube_root, options.all_frames_root, names)
    if options.davis_root is None:
        raise DatasetError(f"{options.run}: expected --davis-root for this run of eval_davis.py, found none; give it")
    return davis_sequences(options.davis_root, settings["year"], settings["split"], settings["resolution"], names)


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--run", type=Path, required=True, help="run folder of eval_davis.py or eval_youtube.py, with --telemetry")
    add("--davis-root", type=Path, help="the data of the run: folder with JPEGImages, Annotations and ImageSets")
    add("--youtube-root", type=Path, help="the same for a run of eval_youtube.py")
    add("--all-frames-root", type=Path, help="as in that run")
    add("--output", type=Path, required=True, help="folder of the figures and index.html")
    add("--sequences", nargs="+", metavar="NAME", help="only these (default: all with telemetry)")
    add("--width", type=int, default=320, metavar="PIXELS", help="of the frames shown (default: 320)")
    add("--title", help="heading of the page (default: the name of the run folder)")
    return parser


if __name__ == "__main__":
    main()
