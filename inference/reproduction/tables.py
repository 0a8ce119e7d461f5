"""The thesis's tables with our numbers: every printed row, ours above it if there is a run, and the difference."""

import math
from collections.abc import Iterable

from inference.report.protocol import departures
from inference.report.runs import Run
from inference.report.tables import Table, number
from inference.report.thesis import NOTES, PER_OBJECT, compare, reference, value_of
from inference.reproduction.experiments import Experiment, Item
from inference.reproduction.results import Results, other_data

KINDS = ("ours", "thesis", "difference")
SCORES = ("J-Mean", "F-Mean")                # of an object
PARTS = ("Data", "Method", "Sequence", "Erratum")
CAPACITY_COLUMN = "J&F"


def table_of(item: Item, results: Results) -> Table:
    """The table of the thesis that an item stands for."""
    return per_object(item, results) if item.number in PER_OBJECT else summary(item, results)


def summary(item: Item, results: Results) -> Table:
    """Three rows per printed row. No difference for other data, and for columns with an erratum (a star)."""
    columns = [column for column in reference(item.number)[0] if column not in PARTS]
    rows, errata = [], []
    for printed, experiment in _rows(item):
        run = results.runs.get(experiment)
        erratum = printed["Erratum"] or ""
        wrong = erratum.partition(":")[0].split(", ")
        triples = [
            _triple(math.nan if run is None else value_of(run, column), printed[column], 1, column in wrong, run)
            for column in columns
        ]
        rows += [
            [printed["Data"], printed["Method"], kind, *line]
            for kind, line in zip(KINDS, zip(*triples, strict=True), strict=True)
        ]
        errata += [f"\\* Erratum, {printed['Data']}, {printed['Method']}: {erratum}."] if erratum else []
    faster = [speeds(item, results)] if "FPS" in columns else []
    return Table(_name(item), ["data", "method", "value", *columns], rows, _heading(item),
                 (*notes_of(item, results), *filter(None, faster), *errata), words=3)


def per_object(item: Item, results: Results) -> Table:
    """A row per object that a run and the thesis share, in the thesis's unit (0 to 1), and the means over these."""
    rows, notes = [], notes_of(item, results)
    for experiment in item.experiments:
        printed = [row for row, its in _rows(item) if its == experiment]
        objects = results.runs[experiment].objects if experiment in results.runs else {}
        if not (shared := [row for row in printed if row["Sequence"] in objects]):
            continue
        pairs = [
            [(objects[row["Sequence"]][column], float(row[column])) for row in shared] for column in SCORES
        ]
        for row, *both in zip(shared, *pairs, strict=True):
            rows.append([experiment.method, row["Sequence"], *_in_a_row(both)])
        rows.append([experiment.method, f"mean of {len(shared)}", *_in_a_row([_mean(pair) for pair in pairs])])
        if len(shared) < len(printed):
            notes.append(f"{experiment.method}: {len(shared)} of the table's {len(printed)} rows, those that the run "
                         "has; both means are over these.")
    header = ["method", "object", *(f"{column} {kind}" for column in SCORES for kind in KINDS)]
    return Table(_name(item), header, rows, _heading(item), tuple(notes), words=2)


def capacity_table(item: Item, results: Results) -> Table:
    """The points of figure 11. The thesis prints those that table 2 has too."""
    printed = {row["Method"]: row[CAPACITY_COLUMN] for row in reference(2)}
    rows = []
    for experiment in item.experiments:
        run = results.runs.get(experiment)
        ours = math.nan if run is None else value_of(run, CAPACITY_COLUMN)
        held = "" if run is None else number(run.totals["frames_held_mean"], 1)
        rows.append([experiment.method, held, *_triple(ours, printed.get(experiment.method, "nan"), 1, run=run)])
    notes = [*notes_of(item, results), "The thesis prints no numbers of this figure; those here are of table 2. Its "
             "text says that J&F increases by 2 from 2 to 4 frames."]
    return Table(_name(item), ["method", "frames held", *(f"J&F {kind}" for kind in KINDS)], rows, "", tuple(notes))


def notes_of(item: Item, results: Results) -> list[str]:
    """What a reader of the table must know: what is missing and why, and which numbers are over other data."""
    notes = [NOTES[item.number]] if item.kind == "table" and item.number in NOTES else []
    methods: dict[tuple[str, str], list[str]] = {}
    for experiment in item.experiments:
        about = [results.reasons.get(experiment)]
        if run := results.runs.get(experiment):
            words = departures(run)
            about += [f"other data than the thesis's ({other})" if (other := other_data(run)) else None,
                      f"not the thesis's protocol: {', '.join(words)}" if words else None]
        for text in filter(None, about):
            methods.setdefault((experiment.data, text), []).append(experiment.method)
    return notes + [f"{data}: {', '.join(names)}: {text}." for (data, text), names in methods.items()]


def speeds(item: Item, results: Results) -> str:
    """How much faster the LFU bank is than the others, ours and the thesis's; empty without its run."""
    printed = {row["Method"]: float(row["FPS"]) for row in reference(item.number)}
    ours = {e.method: value_of(results.runs[e], "FPS") for e in item.experiments if e in results.runs}
    lfu = "LFU 2"
    if lfu not in ours:
        return ""
    words = [
        f"{_faster(ours[lfu], ours[other])} than {other} (thesis: {_faster(printed[lfu], printed[other])})"
        for other in ours if other != lfu
    ]
    return f"{lfu} is {'; '.join(words)}." if words else ""


def _faster(speed: float, other: float) -> str:
    return f"{100 * abs(speed / other - 1):.0f} % {'faster' if speed >= other else 'slower'}"


def _triple(
    ours: float, printed: str, digits: int, wrong: bool = False, run: Run | None = None
) -> tuple[str, str, str]:
    """Ours, printed, difference. run: there is no difference if it is over other data."""
    mine, thesis, difference = compare(ours, float(printed), digits, wrong)
    return mine, thesis, "" if math.isnan(float(printed)) or (run and other_data(run)) else difference


def _rows(item: Item) -> list[tuple[dict[str, str], Experiment]]:
    """The printed rows of a table, each with the run that it stands for."""
    runs = {(experiment.data, experiment.method): experiment for experiment in item.experiments}
    return [(row, runs[row["Data"], row["Method"]]) for row in reference(item.number)]


def _in_a_row(pairs: Iterable[tuple[float, float]]) -> list[str]:
    """Ours, printed and difference of every pair, of scores from 0 to 1."""
    return [text for ours, printed in pairs for text in compare(ours, printed, 3)]


def _mean(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    ours, printed = zip(*pairs, strict=True)
    return sum(ours) / len(pairs), sum(printed) / len(pairs)


def _name(item: Item) -> str:
    return f"{item.kind}{item.number:02d}"


def _heading(item: Item) -> str:
    return f"{item.label.capitalize()}: {item.title}"
