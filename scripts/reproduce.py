"""Every table and figure of the thesis: the runs that they need, and one page that compares the numbers.

    python scripts/reproduce.py --davis-root DAVIS --youtube-root YouTube-VOS/valid \\
        --all-frames-root YouTube-VOS/valid_all_frames --weights stcn.pth --output runs/thesis
    python scripts/reproduce.py --davis-root DAVIS --weights stcn.pth --table 1 3 7 --output runs/thesis --plan

configs/thesis_tables.yaml lists the tables and figures and their runs. A run that several of them need is done once.
First, a few frames are measured, and the time that all runs will take is printed; --plan stops there. Runs whose data
or weights are not given are left out, and the page says which flag is missing. Tables 5, 6, 9 and 10 also need networks
trained with the regularizers: --dropout-weights and --reallocation-weights.

The labels of YouTube-VOS are on a server. Upload OUTPUT/youtube-*/submission.zip, write the scores into a CSV
(run,overall,j_seen,f_seen,j_unseen,f_unseen), and give it with --server-scores.

Writes OUTPUT/reproduction.md, reproduction.html (one file with all tables and pictures) and a run folder per run. To
resume a stopped reproduction, run the same command again; more tables, data and weights may be added. Several processes
share the sequences of each run: torchrun --nproc-per-node 2 scripts/reproduce.py ...
"""

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import eval_davis
import eval_youtube
from inference.commands import LESS_MEMORY, command
from inference.options import Options, option
from inference.reproduction.estimate import estimate, estimate_table
from inference.reproduction.experiments import read_items, selected
from inference.reproduction.page import check_output, not_run, write_reproduction
from inference.reproduction.plan import Plan, SourceOptions, make_plan
from inference.reproduction.results import Results, collect, scores_of
from inference.reproduction.work import Evaluation, Work, do_all, open_all
from inference.runtime import RuntimeOptions
from model.processes import Processes
from scripts.arguments import CommandParser

EVALUATIONS: dict[str, Evaluation] = {"eval_davis": eval_davis, "eval_youtube": eval_youtube}


@dataclass(frozen=True)
class SelectionOptions(Options):
    """What to reproduce, and how far to go."""

    table: tuple[int, ...] | None = option(
        None, "only the tables of these numbers; 11 is figure 11 (default: all tables and figures)", metavar="N")
    figure: tuple[int, ...] | None = option(None, "only the figures of these numbers", metavar="N")
    plan: bool = option(False, "print what would be run and how long it would take, and stop")
    page: bool = option(False, "run nothing; write the page from the runs that are finished")


@command(less=LESS_MEMORY)
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    sources, runtime = options[SourceOptions], options[RuntimeOptions].resolved()
    selection, processes = options[SelectionOptions], Processes.of_evaluation()
    check_output(sources.output)
    items = read_items()
    server = scores_of(sources.server_scores, items)
    plan = make_plan(selected(items, selection.table, selection.figure), sources, runtime)
    works, unreadable = open_all(plan, EVALUATIONS, runtime)
    plan = Plan(plan.items, [work.run for work in works], plan.lacking | unreadable)
    if not selection.page:
        if processes.first:
            print_plan(plan, works, runtime, processes.count)
        if selection.plan:
            return
        do_all(works, processes)
    if processes.first:
        results = collect(plan, works, server)
        page = write_reproduction(sources.output, plan, results, sources.davis_root)
        print(f"wrote {page} and {page.with_suffix('.html')}")


def print_plan(plan: Plan, works: list[Work], runtime: RuntimeOptions, processes: int) -> None:
    """The runs and their times, and what cannot be run."""
    print(estimate_table(estimate(works, runtime), processes).markdown())
    for line in not_run(plan.items, Results({}, plan.lacking)):
        print(line)


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    parser.add_options(SourceOptions)
    parser.add_options(SelectionOptions, title="selection")
    parser.add_options(RuntimeOptions, title="how the network runs")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
