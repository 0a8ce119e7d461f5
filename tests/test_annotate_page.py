"""The page of scripts/annotate.py: its files fit together, and in a real browser it does the whole job."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataset.masks import read_labels, write_image
from dataset.synthetic_clip import SyntheticClip
from scripts import segment_video
from tests.processes import Command

PAGE = Path(__file__).resolve().parents[1] / "scripts/annotation/page"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FRAMES, SIZE = 10, (96, 160)
SETTINGS = ("--device", "cpu", "--precision", "fp32", "--short-side", 0)
PATIENCE = 30_000       # milliseconds
READY = "document.body.dataset.ready === 'true'"
IDLE = "window.annotate.state.server.progress === null"


def test_the_page_asks_for_nothing_from_the_network():
    for path in PAGE.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path.name
        assert not re.search(r"innerHTML|\beval\(|<script>|\sstyle=|\son\w+=\"", text), path.name
        assert len(text.splitlines()) <= 250, path.name


def test_every_command_has_a_key_an_action_and_a_tooltip():
    keys, main, page = ((PAGE / name).read_text() for name in ("keys.js", "main.js", "index.html"))
    table = dict(re.findall(r'^  \["([\w-]+)", \[([^\]]*(?:"\]")?[^\]]*)\], "', keys, re.M))
    used = [key for each in table.values() for key in re.findall(r'"([^"]+)"', each)]
    assert len(table) > 40
    assert len(used) == len(set(used)), "a key has two commands"
    assert set(re.findall(r'data-command="([\w-]+)"', page)) <= set(table)
    assert set(re.findall(r'data-tip="([\w-]+)"', page)) <= set(re.findall(r'^  "?([\w-]+)"?: \["', keys, re.M))
    tools = {"brush", "eraser", "polygon", "fill", "box", "foreground", "background", "pan"}
    for command in set(table) - tools:
        assert re.search(rf'^  "?{command}"?[,:]', main, re.M), f"{command} has no action in main.js"
    for control in re.findall(r"<(?:button|select|input)\b[^>]*>", page):
        labelled = re.search(rf"<label data-tip[^<]*(<output[^>]*></output>\s*)?{re.escape(control)}", page)
        assert "data-command" in control or "data-tip" in control or labelled, f"{control} has no tooltip"


def test_imports_of_the_page_exist():
    for path in PAGE.glob("*.js"):
        for names, source in re.findall(r'import \{([^}]+)\} from "\./([\w.]+)"', path.read_text()):
            exported = (PAGE / source).read_text()
            for name in names.replace("\n", " ").split(","):
                assert not name.strip() or re.search(
                    rf"export (async )?(const|let|function|class) {name.strip()}\b", exported), (path.name, name)


@pytest.fixture
def clip(tmp_path):
    """A folder of frames, and the true masks of the object in them."""
    pairs = [SyntheticClip(seed=5, size=SIZE, length=FRAMES, objects=1).frame(t) for t in range(FRAMES)]
    (tmp_path / "frames").mkdir()
    for t, (image, _) in enumerate(pairs):
        write_image(tmp_path / "frames" / f"{t:05d}.png", image)
    return tmp_path / "frames", [labels for _, labels in pairs]


@pytest.fixture
def served(clip, tmp_path):
    """The address of the page, for that clip and the output folder out."""
    command = Command("scripts.annotate", ["--input", clip[0], "--output", tmp_path / "out", "--no-browser", *SETTINGS],
                      tmp_path / "log")
    command.await_(lambda: (tmp_path / "log").is_file() and "Ctrl-C" in (tmp_path / "log").read_text())
    yield re.search(r"^open (\S+)$", (tmp_path / "log").read_text(), re.M)[1]
    command.kill()
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.fixture
def page():
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = driver.chromium.launch(executable_path=browser, args=options)
        page = chromium.new_page(viewport={"width": 1366, "height": 768})
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        assert page.errors == []
        chromium.close()


def until(page, condition):
    """Wait until the JavaScript expression is true. Asked from here, since the page forbids eval."""
    for _ in range(PATIENCE // 50):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {condition}; the notice: {page.inner_text('#notice')}")


def drag(page, *points):
    """Press at the first point of the frame, move over the others, release."""
    places = page.evaluate("""async points => {
        const { screenPoint } = await import(new URL("static/canvas.js", document.baseURI));
        return points.map(([x, y]) => screenPoint(x, y));
    }""", points)
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def shown(page):
    """The label map that the page shows."""
    return np.uint8(page.evaluate("Array.from(window.annotate.state.labels)")).reshape(SIZE)


def propose(page, labels):
    """A box and two strokes around the object; accepts what grabCut makes of them."""
    rows, columns = (np.flatnonzero(labels.any(axis)) for axis in (1, 0))
    y, x = np.argwhere(labels)[labels.sum() // 2]
    top, left, bottom, right = rows[0] - 3, columns[0] - 3, rows[-1] + 4, columns[-1] + 4
    page.keyboard.press("x")
    drag(page, [float(left), float(top)], [float(right), float(bottom)])
    until(page, "/Proposal/.test(document.querySelector('#proposal').textContent)")
    page.keyboard.press("o")
    drag(page, [float(x) - 2, float(y)], [float(x) + 2, float(y)])
    page.keyboard.press("i")
    drag(page, [float(left) - 5, float(top) - 5], [float(right) + 5, float(top) - 5])
    until(page, "/Proposal/.test(document.querySelector('#proposal').textContent)")
    page.keyboard.press("Enter")
    until(page, "window.annotate.state.server.given.includes(0)")


def listen(page):
    """Another tab, which only listens: window.masks holds the frames whose masks came."""
    page.evaluate("""() => {
        window.masks = [];
        new EventSource("api/events?tab=00000000000000ff").addEventListener(
            "mask", (event) => window.masks.push(JSON.parse(event.data).frame));
    }""")


def go(page, frame):
    """With the keys."""
    page.keyboard.press("Home")
    for _ in range(frame):
        page.keyboard.press("ArrowRight")
    until(page, f"window.annotate.state.frame === {frame} && window.annotate.state.labels !== null")


def correct(page, frame):
    """With the brush, the mouse and the keyboard's pointer; the frames after it are stale then."""
    go(page, frame)
    before = shown(page)
    page.keyboard.press("b")
    drag(page, [10, 10], [30, 12])
    stroke = shown(page)
    assert (stroke != before).sum() > 20
    page.keyboard.press("Control+z")
    assert np.array_equal(shown(page), before)
    page.keyboard.press("Control+Shift+Z")
    assert np.array_equal(shown(page), stroke)
    for key in ("Alt+ArrowDown", "k", "Alt+ArrowDown", "k"):
        page.keyboard.press(key)
    assert shown(page)[SIZE[0] // 2 + 4, SIZE[1] // 2] == 1
    until(page, "window.annotate.state.server.stale.length > 0")
    assert page.evaluate("window.annotate.state.server.stale.flat()") in ([frame, FRAMES - 1], [frame + 1, FRAMES - 1])


def refuses_to_paint(page, frame):
    go(page, frame)
    locked = shown(page)
    drag(page, [50, 50], [70, 52])
    assert np.array_equal(shown(page), locked)
    assert "locked" in page.inner_text("#notice")


@pytest.mark.slow
def test_the_whole_job_in_a_browser(page, served, clip, tmp_path):
    page.goto(served)
    until(page, READY)
    listen(page)
    propose(page, clip[1][0])
    found, true = shown(page) == 1, clip[1][0] == 1
    assert (found & true).sum() > 0.6 * (found | true).sum()
    page.keyboard.press("r")
    until(page, f"window.annotate.state.server.predicted.flat().at(-1) === {FRAMES - 1} && {IDLE}")
    correct(page, 6)
    page.evaluate("window.masks = []")
    page.keyboard.press("r")
    until(page, f"window.annotate.state.server.stale.length === 0 && {IDLE}")
    assert set(page.evaluate("window.masks")) - {6} == set(range(7, FRAMES))     # nothing before the correction

    go(page, 1)
    page.keyboard.press("l")
    until(page, "window.annotate.state.server.locked.includes(1)")
    page.reload()
    until(page, READY)
    kept = page.evaluate("window.annotate.state.server")
    assert (kept["given"], kept["locked"], kept["stale"], kept["writer"]) == ([0, 6], [1], [], True)
    refuses_to_paint(page, 1)
    page.keyboard.press("F4")
    page.keyboard.press("Control+e")
    until(page, "/files in/.test(document.querySelector('#export-status').textContent)")
    check_export(clip[0], tmp_path / "out", tmp_path / "same")


def check_export(frames, exported, same):
    """segment_video.py writes the same bytes for the same given masks."""
    given = map(str, sorted((exported / "given").glob("*.png")))
    settings = map(str, SETTINGS)
    segment_video.main(["--input", str(frames), "--mask", *given, "--output", str(same), "--no-overlay", *settings])
    names = [f"{t:05d}.png" for t in range(FRAMES)]
    assert [path.name for path in sorted((exported / "masks").iterdir())] == names
    for name in names:
        assert (exported / "masks" / name).read_bytes() == (same / "masks" / name).read_bytes(), name
    assert read_labels(exported / "masks" / names[-1]).any()
