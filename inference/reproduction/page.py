"""The page of a reproduction: every table and figure asked for, ours beside the thesis's, and what was not run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.report.html_page import html_page
from inference.report.page import table_lines
from inference.report.pictures import capacity_figure, picture
from inference.report.runs import Run
from inference.report.server_scores import SOURCE
from inference.report.tables import Table
from inference.reproduction.experiments import Experiment, Item, experiments_of
from inference.reproduction.plan import Plan
from inference.reproduction.results import Results
from inference.reproduction.tables import capacity_table, notes_of, table_of
from inference.run.data import davis_of

STEM = "reproduction"
PICTURED = 3                                 # sequences of a figure with masks whose own sequences are not there


def write_reproduction(output: Path, plan: Plan, results: Results, davis_root: Path | None) -> Path:
    """Write OUTPUT/reproduction.md with its CSVs and pictures, and reproduction.html, which contains them."""
    output.mkdir(parents=True, exist_ok=True)
    lines = ["# The tables and figures of the thesis", "", *introduction(results)]
    lines += not_run(plan.items, results)
    for item in plan.items:
        if item.kind == "table":
            lines += _second_level(table_lines(table_of(item, results), output, STEM))
        else:
            lines += figure_section(item, results, output, davis_root)
    lines += commands(plan)
    page = output / f"{STEM}.md"
    write_text(page, "\n".join(lines))
    named = [replace(run, title=run.name) for run in results.runs.values()]
    write_text(page.with_suffix(".html"), html_page("\n".join(lines), output, named))
    return page


def introduction(results: Results) -> list[str]:
    """What the numbers are, and what they were made with."""
    lines = ["Ours: measured on this machine. Thesis: as printed (`docs/reference`). Difference: ours minus the "
             "thesis's, for the thesis's data only. Scores are in per cent, those of single objects from 0 to 1.", ""]
    weights = {experiment.how.weights: run.about["weights"] for experiment, run in results.runs.items()}
    for role, file in weights.items():
        lines.append(f"- {'Weights' if role == 'main' else f'Weights trained with {role}'}: `{file}`")
    for file in dict.fromkeys(run.about[SOURCE] for run in results.runs.values() if SOURCE in run.about):
        lines.append(f"- Scores of YouTube-VOS from the server: `{file}`")
    return [*lines, ""]


def not_run(items: Sequence[Item], results: Results) -> list[str]:
    """A table of the runs without numbers, what needs them, and why; nothing if there are none."""
    if not results.reasons:
        return []
    rows = [
        [experiment.name, _needed_by(experiment, items), results.reasons[experiment].replace("|", "/")]
        for experiment in experiments_of(items) if experiment in results.reasons
    ]
    table = Table("not-run", ["run", "needed by", "why"], rows, words=3)
    return ["## What is missing", "", table.markdown(), ""]


def figure_section(item: Item, results: Results, output: Path, davis_root: Path | None) -> list[str]:
    """Masks of the runs on some sequences; or, for a figure without sequences, the score over the capacity."""
    lines = [f"## {item.label.capitalize()}: {item.title}", ""]
    runs = results.of(item)
    if not item.sequences:
        file = f"{STEM}-{item.kind}{item.number:02d}.png"
        if capacity_figure(runs, output / file):
            lines += [f"![{item.title}]({file})", ""]
        return lines + table_lines(capacity_table(item, results), output, STEM)
    if davis_root is not None:
        for sequence in davis_of(runs[0].settings, davis_root, pictured(item, runs)) if runs else ():
            file = f"{STEM}-{item.kind}{item.number:02d}-{sequence.name}.jpg"
            picture(runs, sequence, output / file)
            lines += [f"![{sequence.name}]({file})", ""]
    return lines + [line for note in notes_of(item, results) for line in (note, "")]


def pictured(item: Item, runs: Sequence[Run]) -> list[str]:
    """The sequences of a figure that all runs have; if there are none, the first ones that they have."""
    shared = [name for name in runs[0].sequences if all(name in run.sequences for run in runs)]
    return [name for name in item.sequences if name in shared] or shared[:PICTURED]


def commands(plan: Plan) -> list[str]:
    """The command of every run, to do it alone."""
    lines = ["## The runs", "", "Each run can also be done alone; the same command resumes it.", ""]
    for run in plan.runs:
        words = " ".join(f'"{word}"' if " " in word else word for word in run.arguments)
        lines += [f"- {run.experiment.name}: `python {run.experiment.data_set.command}.py {words}`"]
    return [*lines, ""]


def check_output(output: Path) -> None:
    """Raises DatasetError if the page could not be written there."""
    if output.is_file():
        raise DatasetError(f"--output {output}: expected a folder for the runs and the page, found a file; choose "
                           "another")


def _needed_by(experiment: Experiment, items: Sequence[Item]) -> str:
    return ", ".join(item.label for item in items if experiment in item.experiments)


def _second_level(lines: list[str]) -> list[str]:
    """The lines of a table with its title as a section."""
    return [lines[0].removeprefix("#"), *lines[1:]]
