"""explain.py: figures that show something, and a page that holds everything and moves, in a real browser too."""

import base64
import io
import json
import re
import shutil
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

import eval_youtube
from dataset.davis import davis_sequences
from dataset.masks import read_image, read_labels
from dataset.synthetic import make_youtube
from inference.telemetry.explain_page import page
from inference.telemetry.frames import explained
from inference.telemetry.moments import read_telemetry
from scripts import explain

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def root(recorded):
    return recorded[0]


@pytest.fixture(scope="module")
def run(recorded):
    return recorded[1]


@pytest.fixture(scope="module")
def made(root, run, tmp_path_factory):
    """The folder of figures and page of that run."""
    output = tmp_path_factory.mktemp("explained")
    explain.main(["--run", str(run), "--davis-root", str(root), "--output", str(output), "--title", "</script><b>x"])
    return output


def content_of(text):
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.S)[1])


def test_a_recorded_entry_lies_over_its_pixels(root, run):
    clip = explained(run / "telemetry", davis_sequences(root, names=["clip-001"])[0], run / "clip-001", width=35)
    assert (clip.telemetry.grid, clip.telemetry.size) == ((3, 5), (48, 70))
    cells = clip.cell_of((48, 70))
    assert cells[0, [0, 10, 11, 27, 69]].tolist() == [0, 0, 1, 2, 4]     # 5 columns of padding on either side
    assert cells[47, 69] == 14
    assert clip.cell_of(clip.picture(0).shape[:2]).shape == clip.labels(0).shape == (24, 35)
    assert list(clip.accuracy) == list(range(1, 10))
    assert all(0 <= value <= 1 for value in clip.accuracy.values())


@pytest.mark.slow
def test_figures_are_written_and_show_something(made):
    figures = sorted(made.glob("*.png"))
    assert [figure.name for figure in figures] == [
        f"clip-00{number}-{kind}.png" for number in (1, 2) for kind in ("occupancy", "survivors", "usage")
    ]
    for figure in figures:
        image = read_image(figure)
        assert min(image.shape[:2]) > 300
        assert image.std() > 15
        assert len(np.unique(image @ np.array([65536, 256, 1]))) > 100      # colours


@pytest.mark.slow
def test_the_page_holds_all_frames_and_asks_for_nothing_else(made, run):
    text = (made / "index.html").read_text()
    assert "://" not in text
    assert not re.search(r"<(link|iframe|img|base)\b|\bsrc=|\bhref=|@import|url\(|innerHTML", text)
    assert text.count("</script>") == 2                 # names cannot end the element they are in
    content = content_of(text)
    assert content["title"] == "</script><b>x"
    assert [sequence["name"] for sequence in content["sequences"]] == ["clip-001", "clip-002"]
    for sequence in content["sequences"]:
        assert sequence["frames"] == [line["frame"] for line in sequence["lines"]] == list(range(11))
        pictures = [Image.open(io.BytesIO(base64.b64decode(text))).size for text in sequence["pictures"]]
        assert pictures == 11 * [(70, 48)]
        labels = np.frombuffer(unpacked(sequence["labels"]), np.uint8).reshape(11, 48, 70)
        assert np.array_equal(labels[7], read_labels(run / sequence["name"] / "00007.png"))
        moments = read_telemetry(run / "telemetry", sequence["name"]).moments
        written = np.frombuffer(unpacked(sequence["columns"]["written"]), "<i4")
        assert sequence["moments"] == [moment.frame for moment in moments]
        assert np.array_equal(np.split(written, sequence["starts"][1:-1])[3], moments[3].rows["written"])


def unpacked(text):
    return zlib.decompress(base64.b64decode(text))


PROBE = """<script>
const results = [], element = id => document.getElementById(id);
const state = () => ({frame: document.body.dataset.frame, sequence: document.body.dataset.sequence,
  cards: document.querySelectorAll("#sources figure").length, picture: element("frame").toDataURL(),
  cells: document.querySelector("#sources canvas").toDataURL(), numbers: element("numbers").textContent});
const until = async done => { while (!done()) await new Promise(next => setTimeout(next, 20)); };
(async () => {
  await until(() => document.body.dataset.frame);
  results.push(state());
  element("slider").value = 7;
  element("slider").dispatchEvent(new Event("input"));
  results.push(state());
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
  results.push(state());
  element("sequence").value = "clip-002";
  element("sequence").dispatchEvent(new Event("change"));
  await until(() => document.body.dataset.sequence === "clip-002");
  element("play").click();
  await until(() => document.body.dataset.frame === "3");
  element("play").click();
  results.push(state());
  document.body.append(Object.assign(document.createElement("pre"),
    {id: "results", textContent: JSON.stringify(results)}));
})();
</script></body>"""


@pytest.mark.slow
def test_a_browser_shows_other_pictures_as_the_slider_moves(made, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser is installed (any of {', '.join(BROWSERS)})")
    probed = tmp_path / "probed.html"
    probed.write_text((made / "index.html").read_text().replace("</body>", PROBE))
    dom = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=20000", "--dump-dom", f"{probed.as_uri()}#sequence=clip-001&frame=2"],
        capture_output=True, text=True, timeout=120,
    ).stdout
    found = re.search(r'<pre id="results">(.*?)</pre>', dom, re.S)
    assert found, dom[-2000:]
    start, moved, right, other = json.loads(found[1])
    assert [state["frame"] for state in (start, moved, right, other)] == ["2", "7", "8", "3"]
    assert [start["sequence"], other["sequence"]] == ["clip-001", "clip-002"]
    assert start["cards"] == 6
    for before, after in ((start, moved), (moved, right), (right, other)):
        assert before["picture"] != after["picture"]
        assert before["numbers"] != after["numbers"]
    assert start["cells"] != moved["cells"]


@pytest.mark.slow
def test_videos_whose_objects_appear_late(weights, tmp_path):
    root = tmp_path / "YouTube"
    make_youtube(root, videos={"train": 1, "valid": 1}, frames=14, size=(60, 90), progress=False)
    (video,) = (root / "valid/Annotations").iterdir()
    first = min(path.stem for path in video.iterdir())
    eval_youtube.main([
        "--youtube-root", str(root / "valid"), "--weights", str(weights), "--output", str(tmp_path / "out"), "--device",
        "cpu", "--memory-every", "2", "--top-k", "5", "--short-side", "48", "--no-score", "--telemetry",
    ])
    telemetry = read_telemetry(tmp_path / "out/telemetry", video.name)
    assert telemetry.size == (48, 72)
    for line in telemetry.lines:
        assert (line["entries"] == 0) == (line["name"] < first)
    shown = tmp_path / "shown"
    explain.main(["--run", str(tmp_path / "out"), "--youtube-root", str(root / "valid"), "--output", str(shown)])
    (sequence,) = content_of((shown / "index.html").read_text())["sequences"]
    assert set(sequence["accuracy"]) == {None}


def test_a_long_video_is_thinned_on_the_page(root, run, monkeypatch):
    monkeypatch.setattr("inference.telemetry.explain_page.MAX_FRAMES", 6)
    monkeypatch.setattr("inference.telemetry.explain_page.MAX_SOURCES", 3)
    monkeypatch.setattr("inference.telemetry.explain_page.MAX_ROWS", 150)
    clip = explained(run / "telemetry", davis_sequences(root, names=["clip-001"])[0], run / "clip-001", width=35)
    (sequence,) = content_of(page([clip], json.loads((run / "run.json").read_text()), "thinned"))["sequences"]
    assert sequence["sources"][0] == 0
    assert len(sequence["sources"]) == 3
    assert set(sequence["sources"]) <= set(sequence["frames"])
    assert len(sequence["pictures"]) == len(sequence["lines"]) == len(sequence["frames"]) <= 6
    assert sequence["starts"][-1] <= 150
    assert sequence["total"] == 11


@pytest.mark.parametrize(("damage", "arguments", "message"), [
    (None, ["--run", "{run}"], r"expected --davis-root for this run of eval_davis.py, found none"),
    (None, ["--run", "{run}/clip-001", "--davis-root", "{root}"], r"run.json: expected the record of a run, found no"),
    (None, ["--run", "{run}", "--davis-root", "{root}", "--sequences", "clip-007"], r"did you mean clip-00"),
    (lambda run: (run / "telemetry/clip-002.jsonl").unlink(),
     ["--run", "{run}", "--davis-root", "{root}", "--sequences", "clip-002"],
     r"clip-002.jsonl: expected a line of JSON per frame, found no such file; .*--telemetry"),
    (lambda run: shutil.rmtree(run / "telemetry"), ["--run", "{run}", "--davis-root", "{root}"],
     r"telemetry: expected the telemetry of a run, found none; run the evaluation again with --telemetry"),
    (lambda run: (run / "telemetry/clip-001.npz").write_bytes(b"PK"), ["--run", "{run}", "--davis-root", "{root}"],
     r"clip-001.npz: expected the moments of a sequence, found something else"),
    (lambda run: (run / "telemetry/clip-001.jsonl").write_text('{"frame": 0, "name": "00000"}\n'),
     ["--run", "{run}", "--davis-root", "{root}"], r"clip-001.jsonl: expected the 11 frames of clip-001, found 1"),
])
def test_errors_are_one_line(damage, arguments, message, root, run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    if damage is not None:
        damage(copy)
    with pytest.raises(SystemExit) as error:
        explain.main([*(text.format(run=copy, root=root) for text in arguments), "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().err
    assert (error.value.code, printed.count("\n")) == (2, 1)
    assert re.search(message, printed), printed
    assert not (tmp_path / "out").exists()
