"""Recognize the layout of a data set, count what it holds, and find what training or evaluation would refuse."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import itertools
import json
from dataclasses import asdict

from dataset.check import Report, check
from dataset.files import write_text
from dataset.findings import SEVERITIES, Finding
from dataset.layouts import LAYOUTS
from inference.commands import command
from scripts.arguments import CommandParser, positive

SHOWN = 3       # files of one kind

EPILOG = """\
Layouts: davis (2016 and 2017), youtube (YouTube-VOS, BL30K), lvos, mose, vost, longvideo (mose and longvideo look like
youtube: give --layout), pairs (image.jpg + image.png: ECSSD, FSS-1000, BIG), folders (DUTS-TR-Image + DUTS-TR-Mask;
HRSOD), instances (images + instances: several objects an image), frames. docs/DATA.md shows their trees.

examples:
  python scripts/check_dataset.py data/DAVIS --year 2016
  python scripts/check_dataset.py data/YouTube-VOS/train_480p --workers 8 --json youtube.json

Exit status 0: no errors (warnings and notes may be found); 1: errors; 2: the folder is no data set.
"""


@command(again="run the same command again")
def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    report = check(options.root, options.layout, options.year, options.workers, options.fast, progress=True)
    if options.json:
        write_json(options.json, options.root, report)
    print(format_report(options.root, report, None if options.all else SHOWN))
    return int(any(finding.severity == "error" for finding in report.findings))


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("root", type=Path, metavar="ROOT", help="folder of the data set")
    add("--layout", choices=LAYOUTS, help="default: recognized by the folders in ROOT")
    add("--year", type=int, choices=(2016, 2017), help="year of DAVIS (default: 2017 if ImageSets has lists of 2017)")
    add("--workers", type=positive, metavar="N", help="threads (default: a few more than there are cores)")
    add("--fast", action="store_true", help="read headers only: finds neither truncated files nor wrong labels")
    add("--all", action="store_true", help=f"show every file, not only the first {SHOWN} of a kind")
    add("--json", type=Path, metavar="FILE", help="also write the report with all findings to FILE")
    return parser


def format_report(root: Path, report: Report, shown: int | None = SHOWN) -> str:
    """The report as text: layout, counts, findings by kind with the first `shown` files (None: all), totals."""
    counts = ", ".join(f"{number} {thing if number > 1 else thing[:-1]}" for thing, number in report.counts.items())
    lines = [f"{root}: {report.title}", counts or "nothing to count"]
    for (severity, kind), group in itertools.groupby(report.findings, lambda finding: (finding.severity, finding.kind)):
        findings: list[Finding] = list(group)
        lines += ["", f"{severity}: {kind} ({len(findings)})"]
        lines += [f"  {finding.message}" for finding in findings[:shown]]
        if shown is not None and len(findings) > shown:
            lines.append(f"  and {len(findings) - shown} more; --all shows them")
    totals = {severity: sum(finding.severity == severity for finding in report.findings) for severity in SEVERITIES}
    total = ", ".join(f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in totals.items())
    return "\n".join([*lines, "", total])


def write_json(path: Path, root: Path, report: Report) -> None:
    findings = [asdict(finding) | {"message": finding.message} for finding in report.findings]
    content = {"root": str(root), "layout": report.title, "counts": report.counts, "findings": findings}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
