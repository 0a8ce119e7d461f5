"""reproduce.py on miniature stand-ins: every number's way from run.json to the page, and interrupted three times."""

import csv
import html
import json
import re
import signal
from pathlib import Path

import pytest
import torch

from dataset.synthetic import make_youtube
from inference.report.thesis import reference
from model import STCN
from model.checkpoint import save_network
from tests.fixtures import TINY
from tests.processes import Command
from tests.standins import make_miniature_davis

pytestmark = pytest.mark.slow
FOLDERS = {"DAVIS 2016 val": "davis16", "DAVIS 2017 val": "davis17", "YouTube-VOS valid": "youtube"}
SEVERAL = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29523", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
INTERRUPTED = ["--table", "2", "8"]
SECTIONS = ("Table 2: ", "Table 8: ")


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str]:
    """Its arguments but --output: two sequences of DAVIS, a video of YouTube-VOS, three networks."""
    root = tmp_path_factory.mktemp("data")
    make_miniature_davis(root / "DAVIS", frames=5, size=(32, 48))
    make_youtube(root / "YouTube", {"train": 1, "valid": 1}, 11, (32, 48), progress=False)
    (root / "meta.json").write_text(json.dumps({"videos": {"seen": {"objects": {"1": {"category": "shape"}}}}}))
    _rename_a_category(root / "YouTube/valid/meta.json")
    words = ["--davis-root", root / "DAVIS", "--youtube-root", root / "YouTube/valid", "--resize", "area",
             "--device", "cpu", "--ground-truth", root / "YouTube/valid_ground_truth/Annotations",
             "--seen-from", root / "meta.json"]
    for seed, flag in enumerate(("--weights", "--dropout-weights", "--reallocation-weights")):
        torch.manual_seed(seed)
        save_network(root / f"{seed}.pth", STCN(TINY))
        words += [flag, root / f"{seed}.pth"]
    return list(map(str, words))


@pytest.fixture(scope="module")
def reproduced(command, tmp_path_factory) -> Path:
    """All tables and figures, never interrupted."""
    output = tmp_path_factory.mktemp("never") / "thesis"
    status, last = start(command, output).wait()
    assert (status, last) == (0, f"wrote {output}/reproduction.md and {output}/reproduction.html")
    return output


def test_every_number_comes_from_run_json(reproduced):
    page, shown = (reproduced / "reproduction.md").read_text(), cells_of_html(reproduced / "reproduction.html")
    in_markdown = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in page.splitlines()}
    numbers = 0
    for table in range(1, 11):
        rows = read_csv(reproduced / f"reproduction-table{table:02d}.csv")
        expected = list(per_object(reproduced, table) if table >= 7 else summary(reproduced, table))
        ours = [row for row in rows if table >= 7 or row["value"] == "ours"]
        assert [{key: row[key] for key in each} for row, each in zip(ours, expected, strict=True)] == expected, table
        numbers += sum(len(each) for each in expected)
        for row in rows:
            cells = tuple(text or "-" for text in row.values())
            assert cells in in_markdown
            assert cells in shown
    assert numbers > 200
    figure = read_csv(reproduced / "reproduction-figure11.csv")
    assert [row["J&F ours"] for row in figure] == [
        f"{100 * run_json(reproduced, 'YouTube-VOS valid', row['method'])['scores']['J&F']:.1f}" for row in figure]
    for name in ("figure09-dance-twirl.jpg", "figure10-breakdance.jpg", "figure11.png"):
        assert f"](reproduction-{name})" in page
        assert (reproduced / f"reproduction-{name}").stat().st_size > 5000
    assert "What is missing" not in page


def test_interrupted_three_times_it_ends_with_the_same_page(reproduced, command, tmp_path):
    output = tmp_path / "thesis"
    for finished, stop in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), start=1):
        process = start([*command, *INTERRUPTED], output)
        process.await_(lambda enough=finished: len(list(output.glob("*/.records/*.json"))) >= enough)
        process.send(stop)
        status, last = process.wait()
        assert status == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
        assert stop == signal.SIGKILL or "run the same command again" in last
        assert not (output / "reproduction.md").exists()
    ranks = [start([*command, *INTERRUPTED], output, SEVERAL | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    assert [rank.wait()[0] for rank in ranks] == [0, 0]
    expected, found = (sections((folder / "reproduction.md").read_text()) for folder in (reproduced, output))
    for beginning in SECTIONS:
        (title,) = (title for title in found if title.startswith(beginning))
        assert found[title] == expected[title]
    files = [path for path in output.glob("reproduction-*")]
    assert len(files) == 2
    for path in files:
        assert path.read_bytes() == (reproduced / path.name).read_bytes(), path.name


def start(arguments: list[str], output: Path, torchrun: dict[str, str] | None = None) -> Command:
    log = output.with_name(f"log {(torchrun or {}).get('RANK', 'alone')}.txt")
    return Command("scripts.reproduce", [*arguments, "--output", str(output)], log, torchrun)


def run_json(output: Path, data: str, method: str) -> dict:
    """What the evaluation recorded for a row of the thesis."""
    folder = output / f"{FOLDERS[data]}-{method.lower().replace(' ', '-')}"
    return json.loads((folder / "run.json").read_text()) | {"folder": folder}


def summary(output: Path, table: int):
    """The numbers of our rows, made of run.json by hand."""
    for row in reference(table):
        run = run_json(output, row["Data"], row["Method"])
        scores, totals = run["scores"], run["totals"]
        values = {f"{m}-Mean": (scores[f"{m}-seen"] + scores[f"{m}-unseen"]) / 2 for m in "JF" if "J-seen" in scores}
        values |= {"J&F-Mean": scores["J&F"]} if "J&F" in scores else {}
        values |= scores
        values |= {"FPS": totals["fps"] / 100, "Frames-held": totals["frames_held_mean"] / 100}
        columns = [column for column in row if column not in ("Data", "Method", "Erratum")]
        yield {"data": row["Data"], "method": row["Method"]} | {
            column: f"{100 * values[column]:.1f}" for column in columns}


def per_object(output: Path, table: int):
    """The numbers of our objects in the official CSV of the run, then their means."""
    for data, method in dict.fromkeys((row["Data"], row["Method"]) for row in reference(table)):
        run = run_json(output, data, method)
        printed = [row["Sequence"] for row in reference(table) if row["Method"] == method]
        scored = {row["Sequence"]: row for row in read_csv(run["folder"] / "per-sequence_results-val.csv")}
        shared = [scored[name] for name in printed if name in scored]
        assert len(shared) == 2
        columns = ("J-Mean", "F-Mean")
        for row in shared:
            yield {"method": method, "object": row["Sequence"]} | {
                f"{column} ours": f"{float(row[column]):.3f}" for column in columns}
        yield {"method": method, "object": "mean of 2"} | {
            f"{column} ours": f"{sum(float(row[column]) for row in shared) / 2:.3f}" for column in columns}


def sections(page: str) -> dict[str, str]:
    """Title -> text of the sections of a page."""
    return {section.partition("\n")[0]: section for section in page.split("\n## ")}


def cells_of_html(page: Path) -> set[tuple[str, ...]]:
    """The rows of all tables."""
    rows = re.findall("<tr>(.*?)</tr>", page.read_text(), re.DOTALL)
    return {tuple(map(html.unescape, re.findall("<td[^>]*>(.*?)</td>", row))) for row in rows}


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as lines:
        return list(csv.DictReader(lines))


def _rename_a_category(meta: Path) -> None:
    """One object of each video is of an unseen category."""
    content = json.loads(meta.read_text())
    for video in content["videos"].values():
        video["objects"]["1"]["category"] = "unseen"
    meta.write_text(json.dumps(content))
