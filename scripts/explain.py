"""Why a memory bank kept what it kept: pictures and a page from a run with --telemetry.

    python eval_davis.py --davis-root DAVIS --year 2016 --weights stcn.pth --memory lfu --output runs/lfu2 --telemetry
    python scripts/explain.py --run runs/lfu2 --davis-root DAVIS --sequences breakdance --output runs/lfu2-explained

For each sequence it writes <sequence>-survivors.png (entries held, painted on the frames they come from),
<sequence>-usage.png (uses over age, with lfu's eviction line) and <sequence>-occupancy.png. One index.html steps
through all of them frame by frame. It takes about 2 MB per sequence and contains everything, so that it can be mailed
as one file. Of long videos it shows at most 150 frames.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from tqdm import tqdm

from dataset.files import write_text
from inference.commands import command
from inference.run.data import sequences_of
from inference.run.record import read_run
from inference.telemetry.explain_page import page
from inference.telemetry.frames import explained, recorded_sequences
from inference.telemetry.pictures import draw_figures
from scripts.arguments import CommandParser


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    run = read_run(options.run, ["command", "memory", "index"])
    settings, telemetry = run["settings"], options.run / "telemetry"
    sequences = sequences_of(
        options.run, settings, options.sequences or recorded_sequences(telemetry), options.davis_root,
        options.youtube_root, options.all_frames_root, options.root,
    )
    masks = options.run / ("" if settings["command"] == "eval_davis" else "Annotations")
    clips = [explained(telemetry, sequence, masks / sequence.name, options.width) for sequence in sequences]
    options.output.mkdir(parents=True, exist_ok=True)
    scored = settings["memory"] == "lfu" and settings["index"] == "topk"
    for clip in tqdm(clips, unit="sequence", desc="figures", dynamic_ncols=True):
        draw_figures(clip, options.output, scored)
    text = page(clips, run, options.title or options.run.resolve().name)
    write_text(options.output / "index.html", text)
    print(f"wrote {options.output / 'index.html'}: {len(clips)} sequences, {len(text) / 1e6:.1f} MB")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--run", type=Path, required=True, help="run folder of eval_davis.py, eval_youtube.py or eval_folder.py, with "
        "--telemetry")
    add("--davis-root", type=Path, help="the data of the run: folder with JPEGImages, Annotations and ImageSets")
    add("--youtube-root", type=Path, help="the same for a run of eval_youtube.py")
    add("--all-frames-root", type=Path, help="the same as in that run")
    add("--root", type=Path, help="the same for a run of eval_folder.py (default: as in that run)")
    add("--output", type=Path, required=True, help="folder of the figures and index.html")
    add("--sequences", nargs="+", metavar="NAME", help="explain only these sequences (default: all with telemetry)")
    add("--width", type=int, default=320, metavar="PIXELS", help="width of the frames shown (default: 320)")
    add("--title", help="heading of the page (default: the name of the run folder)")
    return parser


if __name__ == "__main__":
    main()
