"""The server of annotate.py: only its own page is served, one tab writes, everything is bounded."""

import itertools
import json
import random
from collections import Counter

import numpy as np
import pytest

from dataset.masks import read_image, read_labels
from scripts.annotation.events import MOST_TABS, Hub
from scripts.annotation.guard import Guard
from scripts.annotation.server import Server
from tests.annotating import COUNT, SHOWN, Annotating, painted, png, write_frames
from tests.asgi_client import Client, wait_for

TOKEN, HOST = "0123456789abcdef" * 2, "127.0.0.1:8000"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def opened(clip, tmp_path_factory, weights):
    """An annotation that is served; tests leave it without given masks."""
    root = tmp_path_factory.mktemp("annotating")
    hub = Hub()
    at = Annotating(root / "out", write_frames(root / "frames", clip), weights)
    at.hub, tell = hub, at.tell
    at.annotation.tell = at.annotation.engine.tell = lambda *event: (tell(*event), hub.publish(*event))
    yield at
    at.annotation.close()


@pytest.fixture(scope="module")
def client(opened):
    server = Server(opened.annotation, opened.hub, TOKEN, [HOST, "localhost:8000"])
    with Client(server.application, TOKEN, HOST) as client:
        client.server = server
        yield client


@pytest.fixture(autouse=True)
def _unhurried(client):
    """The tests are no flood."""
    client.server.application._left = 600.0


@pytest.mark.parametrize(("status", "changes"), [
    (200, {}),
    (200, {"host": "localhost:8000", "origin": "http://localhost:8000"}),
    (200, {"sec_fetch_site": "same-origin"}),
    (403, {"host": "evil.example"}),
    (403, {"host": "evil.example:8000"}),
    (403, {"host": "127.0.0.1"}),
    (403, {"origin": "http://evil.example"}),
    (403, {"origin": "null"}),
    (403, {"origin": "https://127.0.0.1:8000"}),
    (403, {"sec_fetch_site": "cross-site"}),
    (404, {"path_prefix": "/"}),
    (404, {"path_prefix": "/" + "0" * 32 + "/"}),
    (404, {"path_prefix": f"//{TOKEN}/"}),
    (404, {"path_prefix": f"/{TOKEN}0/"}),
    (400, {"content_length": "-1"}),
    (400, {"content_length": "1e3"}),
])
@pytest.mark.parametrize(("method", "path"), [("GET", "api/state"), ("POST", "api/cancel")])
def test_only_the_page_that_was_delivered_is_served(client, method, path, status, changes):
    answer = client(method, path, **changes)
    assert answer.status == status
    assert status == 200 or answer.error
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", [
    "static/../server.py", "static/..%2fserver.py", "static/%2e%2e/server.py", "static/..", "static//etc/passwd",
    "../../../etc/passwd", "static/server.py", "static/.gitignore", "static/", "api/frame/../../given/00000.png",
    "api/mask/../00000.png", "api/mask/-1.png", "api/frame/999.jpg", "api/frame/1e1.jpg", "api/memory/0/../../x.png",
    "api/frame/" + "9" * 200 + ".jpg", "static/x\\..\\y", "static/\0", "API/state", "",
])
def test_no_path_reaches_the_file_system(client, path):
    answer = client("GET", path)
    assert answer.status in ((200, 404) if path == "" else (404,))      # "" is the page
    assert answer.status == 200 or answer.error
    assert b"import " not in answer.body


def test_a_long_address_is_refused(client):
    assert client("GET", "api/frame/" + "9" * 5000 + ".jpg").status == 414


def test_a_large_body_is_refused_without_being_read(client):
    read = []

    def body():
        for _ in range(1600):
            read.append(1)
            yield b"x" * 2**16
    announced = client("POST", "api/mask/0", chunks=body(), content_length=str(100 * 2**20))
    assert (announced.status, announced.headers["connection"], len(read)) == (413, "close", 0)
    assert client("POST", "api/mask/0", chunks=body()).status == 413           # of unknown length
    assert len(read) <= 6
    assert client("POST", "api/objects", b" " * (2**18 + 1)).status in (400, 413)


def test_one_tab_writes_and_others_are_told(client):
    first, close_first = client.listen("aa")
    second, close_second = client.listen("bb")
    assert client("GET", "api/state", tab="aa").json()["writer"] is True
    assert client("GET", "api/state", tab="bb").json()["writer"] is False
    for method, path in (("POST", "api/mask/0"), ("DELETE", "api/mask/0"), ("POST", "api/propagate"),
                         ("POST", "api/cancel"), ("POST", "api/objects"), ("POST", "api/lock/0")):
        refused = client(method, path, tab="bb")
        assert (refused.status, "another tab" in refused.error) == (409, True)
        assert client(method, path, tab="").status == 409
    close_first()
    wait_for(lambda: b"event: state" in b"".join(second))
    assert client("POST", "api/cancel", tab="bb").status == 200
    third, close_third = client.listen("cc")
    assert client("POST", "api/writer", tab="cc").status == 200
    assert client("POST", "api/cancel", tab="bb").status == 409
    close_third()
    close_second()
    wait_for(lambda: client("POST", "api/cancel", tab="dd").status == 200)
    assert b"connected" in first[1]
    assert b"connected" in third[1]


def test_tabs_are_bounded_and_a_slow_one_is_told_to_read_again(client, opened):
    each = [client.listen(f"{number:x}") for number in range(MOST_TABS)]
    assert client("GET", "api/events?tab=ff").status == 409
    for number in range(3000):
        opened.hub.publish("mask", {"frame": number})
    wait_for(lambda: b'"frame": 2999' in b"".join(each[0][0]))
    for _, close in each:
        close()


def malformed(rng):
    """(method, path, body) of which something is wrong."""
    path = rng.choice(["api/objects", "api/propagate", "api/bank", "api/lock/1", "api/grabcut/1", "api/export",
                       "api/mask/1", "api/lock/99", "api/grabcut/99", "api/mask/77"])
    value = rng.choice([None, [], {}, "x", -1, 1e308, 10**30, True, [[]], [None], [[["x", 1]]], {"a": 1}, 3.5, "\0"])
    keys = ["number", "name", "direction", "from", "memory", "memory_frames", "locked", "box", "kinds", "radius"]
    content = {key: value for key in rng.sample(keys, rng.randint(0, len(keys)))}
    body = rng.choice([
        json.dumps(content).encode(), json.dumps(content).encode()[:-1], b"", b"[" * 100_000, b"\xff\xfe", b"null",
        b"NaN", b'{"number": 1e400, "box": [0, 0, NaN, 1]}', png(painted())[:60], png(np.zeros((9, 9), np.uint8)),
        png(np.zeros((*SHOWN, 3), np.uint8)), png(np.full(SHOWN, 255, np.uint8)), rng.randbytes(200),
    ])
    return "POST", path, body


def test_malformed_messages_are_answered_with_errors(client, capfd):
    rng, found = random.Random(0), Counter()
    for _ in range(1000):
        client.server.application._left = 600.0
        method, path, body = malformed(rng)
        answer = client(method, path, body)
        found[answer.status] += 1
        assert answer.status in (400, 404, 409) or (answer.status == 200 and "grabcut" in path), (path, body, answer)
        assert answer.status == 200 or list(answer.json()) == ["error"]
    assert found[400] > 500
    assert "Traceback" not in "".join(capfd.readouterr())
    assert client("GET", "api/state").json()["given"] == []


@pytest.mark.parametrize(("path", "message", "words"), [
    ("api/objects", {"number": 0}, "number"),
    ("api/objects", {"number": 1, "name": "x" * 65}, "name"),
    ("api/objects", {"number": 1, "color": "red"}, "color"),
    ("api/objects", {"number": 1, "visible": 1}, "visible"),
    ("api/propagate", {"direction": "up", "from": 0}, "direction"),
    ("api/propagate", {"direction": "both", "from": COUNT}, "from"),
    ("api/propagate", {"direction": "both", "from": 0}, "given mask"),
    ("api/bank", {"memory": "nope"}, "memory"),
    ("api/bank", {"memory": "lfu", "memory_frames": 0}, "memory_frames"),
    ("api/lock/0", {"locked": "yes"}, "locked"),
    ("api/grabcut/0", {"box": [1, 2, 3]}, "box"),
    ("api/grabcut/0", {"foreground": [[[1, 2]] * 10_001]}, "points"),
    ("api/export", {"kinds": ["../../x"]}, "kinds"),
])
def test_errors_say_what_was_expected(client, path, message, words):
    answer = client("POST", path, json=message)
    assert answer.status in (400, 409)
    assert words in answer.error


def test_a_flood_is_slowed_down():
    async def served(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    times = itertools.chain([0.0] * 1001, itertools.repeat(1.0))
    guard = Guard(served, TOKEN, [HOST], 10, clock=lambda: next(times))
    scope = {"type": "http", "path": f"/{TOKEN}/", "headers": [(b"host", HOST.encode())], "query_string": b""}
    found = Counter((guard._refusal(scope) or [200])[0] for _ in range(1000))
    assert found == {200: 600, 429: 400}
    assert guard._refusal(scope) is None                             # a second later


def test_the_page_does_the_whole_job(client, opened, tmp_path):
    state = client("GET", "api/state").json()
    assert (state["frames"], state["width"], state["height"]) == (COUNT, *SHOWN[::-1])
    for index in range(2):
        frame = client("GET", f"api/frame/{index}.jpg")
        (tmp_path / "frame.jpg").write_bytes(frame.body)
        assert read_image(tmp_path / "frame.jpg").shape == (*SHOWN, 3)
        assert "max-age" in frame.headers["cache-control"]
    assert client("GET", "api/mask/0.png").status == 404
    cut = client("POST", "api/grabcut/0", json={"object": 1, "box": [6, 4, 40, 28], "foreground": [[[20, 15]]]})
    assert (cut.status, cut.headers["content-type"]) == (200, "image/png")
    assert client("POST", "api/mask/0", png(painted())).json() == {"ok": True}
    assert client("POST", "api/propagate", json={"direction": "forward", "from": 0}).status == 202
    wait_for(lambda: client("GET", "api/state").json()["progress"] is None)
    state = client("GET", "api/state").json()
    assert (state["given"], state["predicted"], state["stale"]) == ([0], [[1, COUNT - 1]], [])
    assert len(state["confidence"]["1"]) == COUNT
    mask = client("GET", "api/mask/0.png")
    (tmp_path / "mask.png").write_bytes(mask.body)
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.png"), painted())
    assert mask.headers["cache-control"] == "no-store"
    held = client("GET", "api/memory/5").json()
    assert client("GET", held["frames"][0]["cells"]).headers["content-type"] == "image/png"
    assert client("GET", "api/reads/5?x=20&y=9.5").json()[0].keys() == {"frame", "x", "y", "weight"}
    assert client("GET", "api/reads/5?x=nan&y=1").status == 400
    assert client("POST", "api/lock/2", json={"locked": True}).status == 200
    assert client("POST", "api/mask/2", png(painted())).status == 409
    assert client("POST", "api/lock/2", json={"locked": False}).status == 200
    answer = client("POST", "api/export", json={"kinds": ["masks", "rle"]})
    assert answer.json()["files"] == ["masks", "masks.json", "confidence.csv", "run.json"]
    assert client("DELETE", "api/mask/0").status == 200
    assert client("DELETE", "api/objects/1").status == 200
    assert client("DELETE", "api/objects/1").status == 404
