"""report.html: one file with all tables, pictures and what was run; and ablations as runs of a report."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from dataset.synthetic import make_davis
from inference.report.html_page import html_page, read_steps
from inference.report.runs import read_runs
from scripts import ablate, report

pytestmark = pytest.mark.slow

TITLES = ["every-5", "first-and-latest", "LFU, 1 frame", "LFU, 2 frames"]


class Page(HTMLParser):
    """The attributes of a page's elements, and the cells of its tables."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self.text, self.in_cell = [], [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data):
        self.text += data
        if self.in_cell:
            self.tables[-1][-1][-1] += data

    def values(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, {"val": 2}, frames=6, size=(48, 70), progress=False)
    return root


@pytest.fixture(scope="module")
def banks(davis, weights, tmp_path_factory):
    """The folder of an ablation."""
    output = tmp_path_factory.mktemp("runs") / "banks"
    ablate.main(["--davis-root", str(davis), "--weights", str(weights), "--output", str(output), "--device", "cpu",
                 "--memory", "every_k", "first_and_latest", "lfu", "--memory-frames", "1", "2", "--write-masks"])
    return output


@pytest.fixture(scope="module")
def folder(davis, banks):
    """The folder of a report on it."""
    steps = banks.parent / "steps.tsv"
    steps.write_text("step\texpected seconds\tseconds\ndata\t30\t32\nvideo\t180\t201\n")
    report.main([str(banks), "--davis-root", str(davis), "--output", str(banks.parent / "report.md"),
                 "--title", "A & B", "--steps", str(steps)])
    return banks.parent


def test_an_ablation_is_a_run_per_setting(banks):
    runs = read_runs([banks])
    assert [run.title for run in runs] == TITLES
    results = json.loads((banks / "run.json").read_text())["results"]
    assert [run.scores for run in runs] == [result["scores"] for result in results.values()]
    assert all((run.folder / "clip-001/00003.png").is_file() for run in runs)
    with open(banks / "ablation.csv", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["sequence"] == "clip-001"]
    assert [f"{run.per_sequence['clip-001']['J&F-Mean']:.6f}" for run in runs] == [row["J&F-Mean"] for row in rows]
    assert [run.title for run in read_runs([banks], ["banks=mine"])] == [f"mine: {title}" for title in TITLES]


def test_the_page_needs_no_other_file(folder):
    text = (folder / "report.html").read_text()
    page = Page(text)
    assert not re.search(r"https?://|url\(|@import", text)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    embedded = page.values("src") + page.values("href")
    assert embedded
    assert all(value.startswith("data:") for value in embedded)


def test_it_has_the_pictures_and_tables_of_the_markdown(folder):
    page, markdown = Page((folder / "report.html").read_text()), (folder / "report.md").read_text()
    pictures = [Image.open(io.BytesIO(content(value))) for value in page.values("src")]
    names = re.findall(r"\(([\w.+-]+\.(?:png|jpg))\)", markdown)
    assert len(names) == 1 + 2 + len(TITLES)              # the figure, two clips, an overlay per bank
    assert [picture.size for picture in pictures] == [Image.open(folder / name).size for name in names]
    files = re.findall(r"\(([\w.+-]+\.csv)\)", markdown)
    assert [content(value) for value in page.values("href")] == [(folder / name).read_bytes() for name in files]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in row] for table in page.tables for row in table]
    assert [row for row in rows if "---" not in row[0]] == cells[: sum(map(len, page.tables[:3]))]
    assert "A & B" in page.text


def test_it_says_what_was_run(folder):
    page = Page((folder / "report.html").read_text())
    steps, runs, settings, versions = page.tables[3:]
    assert steps[1:] == [["data", "30", "32"], ["video", "180", "201"]]
    assert [row[0] for row in runs[1:]] == TITLES
    assert runs[1][3] == "cpu"
    found = {row[0]: row[1:] for row in settings[1:]}
    assert found["memory_frames"] == ["-", "-", "1", "2"]
    assert set(found["precision"]) == {"fp32"}
    assert {"torch", "python", "machine"} <= {row[0] for row in versions[1:]}


def test_text_is_shown_and_not_interpreted(tmp_path):
    (tmp_path / "a&b.csv").write_text("1")
    markdown = "# <b>x</b>\n\n<script>alert(1)</script>\n\n[csv](a&b.csv) [far](https://example.org)"
    text = html_page(markdown, tmp_path, [])
    assert "<script" not in text
    assert "<b>" not in text
    assert Page(text).values("href") == ["data:text/csv;base64,MQ==", "https://example.org"]
    assert Page(text).values("download") == ["a&b.csv"]


@pytest.mark.parametrize(("content", "message"), [
    ("a\tb\n1\n", "expected 2 fields in every line"), ("", "expected lines of fields separated by tabs"),
])
def test_steps_that_are_no_table(content, message, tmp_path):
    (tmp_path / "steps.tsv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_steps(tmp_path / "steps.tsv")


def test_errors_are_one_line(banks, tmp_path, capsys):
    with pytest.raises(SystemExit):
        report.main([str(banks), "--output", str(tmp_path / "page.html")])
    assert "expected the name of a page in Markdown" in capsys.readouterr().err
    run = json.loads((banks / "run.json").read_text())
    del run["results"]["every_k-every5-top20"]["scores_per_sequence"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old/run.json").write_text(json.dumps(run))
    with pytest.raises(SystemExit):
        report.main([str(tmp_path / "old"), "--output", str(tmp_path / "page.md")])
    assert re.search(r"old/run.json: expected a finished, scored run", capsys.readouterr().err)


def content(uri):
    return base64.b64decode(uri.partition("base64,")[2])
