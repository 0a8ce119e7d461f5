"""A report as one HTML file: its text, tables and pictures, and what was run. It needs no other file and no network."""

import base64
import csv
import html
import mimetypes
import re
from collections.abc import Sequence
from pathlib import Path

from markdown import Markdown

from dataset.errors import DatasetError
from inference.report.runs import Run
from inference.report.tables import Table, number

TEMPLATE = Path(__file__).with_suffix(".html")
_PICTURES = (".jpg", ".jpeg", ".png")
_LINK = re.compile(r'<img alt="(?P<alt>[^"]*)" src="(?P<src>[^"]+)" ?/?>|<a href="(?P<href>[^"]+)">(?P<text>[^<]*)</a>')


def html_page(text: str, folder: Path, runs: Sequence[Run], steps: Table | None = None) -> str:
    """The page that `write_page` wrote, as HTML with its pictures and CSV files inside, and a section on what was run.

    Args:
        text: the page in Markdown. folder: what its links are relative to. steps: what was run before, of `read_steps`.
    """
    title = text.partition("\n")[0].removeprefix("# ")
    body = _html("\n".join([text, *what_was_run(runs, steps)]))
    body = _LINK.sub(lambda found: _embedded(found, folder), body)
    template = TEMPLATE.read_text(encoding="utf-8")
    return template.replace("__TITLE__", html.escape(title)).replace("__BODY__", body)


def read_steps(file: Path) -> Table:
    """A table of steps: fields separated by tabs; the first line names them."""
    try:
        with open(file, newline="", encoding="utf-8") as lines:
            header, *rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    except ValueError:
        raise DatasetError(f"{file}: expected lines of fields separated by tabs, found no text; see --steps") from None
    if any(len(row) != len(header) for row in rows):
        raise DatasetError(f"{file}: expected {len(header)} fields in every line, as in the first, found a line with "
                           "another number of them; see --steps")
    return Table("steps", header, rows, "Steps")


def what_was_run(runs: Sequence[Run], steps: Table | None) -> list[str]:
    """The steps before, weights and machine of every run, and its settings, as lines of Markdown."""
    places = [
        [run.title, f"`{run.folder}`", f"`{run.about.get('weights', '')}`", str(run.about.get("device", "")),
         str(run.totals["frames"]), number(run.totals["frames"] / run.totals["fps"], 1)] for run in runs
    ]
    made = Table("runs", ["run", "folder", "weights", "device", "frames", "seconds"], places, "Runs", words=4)
    keys = list(dict.fromkeys(key for run in runs for key in run.settings))
    rows = [[key, *(_shown(run.settings.get(key)) for run in runs)] for key in keys]
    settings = Table("settings", ["setting", *(run.title for run in runs)], rows, "Settings", words=len(runs) + 1)
    versions = [[name, *(str(run.about.get(name, "")) for run in runs)] for name in _versions(runs)]
    used = Table("versions", settings.header, versions, "Versions", words=len(runs) + 1)
    lines = ["## What was run", ""]
    for table in filter(None, (steps, made, settings, used)):
        lines += [f"### {table.title}", "", table.markdown(), ""]
    return lines


def _versions(runs: Sequence[Run]) -> list[str]:
    own = ("weights", "device")
    return list(dict.fromkeys(name for run in runs for name in run.about if name not in own))


def _shown(value: object) -> str:
    """A setting as text in a table."""
    return "" if value is None else str(value).replace("|", "/")


def _html(text: str) -> str:
    """Markdown as HTML; HTML in it is shown, not interpreted."""
    converter = Markdown(extensions=["tables"], output_format="html")
    converter.preprocessors.deregister("html_block")
    converter.inlinePatterns.deregister("html")
    return re.sub("(<table>.*?</table>)", r'<div class="table">\1</div>', converter.convert(text), flags=re.DOTALL)


def _embedded(found: re.Match[str], folder: Path) -> str:
    """A picture, or a link to a picture or another file, with the file inside; any other link as it is."""
    name = html.unescape(found["src"] or found["href"])
    path = folder / name
    if ":" in name or not path.is_file():
        return found[0]
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    data = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if path.suffix.lower() in _PICTURES:
        return f'<img alt="{found["alt"] or found["text"]}" src="{data}">'
    return f'<a download="{html.escape(path.name)}" href="{data}">{found["text"]}</a>'
