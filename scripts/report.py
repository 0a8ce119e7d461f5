"""One page from several run folders: tables, the figure over capacity, pictures, a comparison with the thesis.

    python scripts/report.py runs/every5 runs/lfu2 runs/lfu4 --davis-root DAVIS --output runs/report.md
    python scripts/report.py runs/every5 runs/lfu2 --davis-root DAVIS --sequences dog --frames 10 25 40 --output page.md

Runs of eval_davis.py and eval_youtube.py may be mixed; each data set gets its own tables. The tables are also written
as CSV beside the page. Runs of DAVIS 2016 val, DAVIS 2017 val and YouTube-VOS valid are compared with the thesis's
tables (docs/reference) if data, sequences and memory bank are the thesis's: every-5, first-and-latest, LFU with 2
frames. A run with weights that were trained with a regularizer (tables 5, 6, 9, 10) is recognized by its name: an
every-5 run whose folder or --label contains "dropout" or "reallocation".

The page is also written as one HTML file beside it (runs/report.html), which contains all tables and pictures and what
was run, so it can be opened and mailed without the other files. A folder of scripts/ablate.py counts as one run per
setting; give its command --write-masks if the report shows pictures.

The labels of YouTube-VOS are on its server. Write the scores that it reports for your submissions into a CSV file, a
line per run, in numbers from 0 to 1 or in per cent:

    run,overall,j_seen,f_seen,j_unseen,f_unseen
    youtube-lfu2,0.811,0.803,0.843,0.761,0.838

and give it: --server-scores scores.csv. A run is named as on the page, by its folder's name or its label.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.commands import command
from inference.report.html_page import html_page, read_steps
from inference.report.page import Pictured, write_page
from inference.report.runs import read_runs
from inference.report.server_scores import with_server_scores
from scripts.arguments import CommandParser


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    runs = read_runs(options.runs, options.label)
    runs = with_server_scores(runs, options.server_scores) if options.server_scores else runs
    steps = read_steps(options.steps) if options.steps else None
    page, output = options.output.with_suffix(".html"), options.output
    if page == output:
        raise DatasetError(f"--output {output}: expected the name of a page in Markdown, found one in HTML, which is "
                           f"written beside it; give {output.with_suffix('.md')}")
    for table in write_page(runs, output, options.title, pictured(options)):
        print(table.markdown())
    write_text(page, html_page(output.read_text(encoding="utf-8"), output.parent, runs, steps))
    print(f"wrote {output} and {page}")


def pictured(options: argparse.Namespace) -> Pictured | None:
    """The data to picture; None without --davis-root."""
    if options.davis_root is not None:
        return Pictured(
            options.davis_root, options.year, options.split, options.sequences, options.pictures, options.frames
        )
    if options.frames or options.sequences:
        raise DatasetError("--frames, --sequences: expected --davis-root beside them, found none; give it")
    return None


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN",
        help="run folders, or folders of ablations; differences are from the first")
    add("--output", type=Path, required=True,
        help="the page, a .md file; pictures, CSVs and the page as .html go beside it")
    add("--title", default="Memory banks compared")
    add("--label", action="append", metavar="RUN=NAME", help="call a run NAME (default: its memory bank); repeatable")
    add("--server-scores", type=Path, metavar="FILE",
        help="CSV of the scores that the YouTube-VOS server reported: run,overall,j_seen,f_seen,j_unseen,f_unseen")
    add("--steps", type=Path, metavar="FILE",
        help="table of what was run before, for the page in HTML: fields separated by tabs, the first line names them")
    pictures = parser.add_argument_group("pictures and the copied-first-mask baseline, from the data")
    add = pictures.add_argument
    add("--davis-root", type=Path, help="folder with JPEGImages, Annotations and ImageSets; without it, no pictures")
    add("--year", type=int, choices=(2016, 2017), help="picture the runs of this year (default: of the first run)")
    add("--split", help="the list in ImageSets (default: that of the runs)")
    add("--sequences", nargs="+", metavar="NAME", help="picture these (default: the first ones, see --pictures)")
    add("--pictures", type=int, default=3, metavar="N", help="how many sequences to picture (default: 3)")
    add("--frames", nargs="+", type=int, metavar="N", help="picture these frame numbers (default: five, spread out)")
    return parser


if __name__ == "__main__":
    main()
