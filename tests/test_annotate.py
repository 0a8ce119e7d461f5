"""annotate.py as a user starts it: it prints an address of this machine alone, and Ctrl-C ends it with all saved."""

import json
import re
import signal
import socket
from http.client import HTTPConnection

import pytest

from inference.annotation.example import write_example
from inference.annotation.options import AnnotateOptions
from model.errors import ConfigError
from scripts import annotate
from scripts.annotation.listening import listening
from tests.annotating import painted, png, write_frames
from tests.processes import Command


@pytest.mark.slow
def test_a_session_from_start_to_ctrl_c(clip, tmp_path, weights):
    frames, log = write_frames(tmp_path / "frames", clip), tmp_path / "log"
    arguments = ["--input", frames, "--output", tmp_path / "out", "--weights", weights, "--no-browser", "--device",
                 "cpu", "--tune", "off", "--short-side", "32"]
    for given in ([], [0]):
        command = Command("scripts.annotate", arguments, log)
        command.await_(lambda: log.exists() and "Ctrl-C" in log.read_text())
        host, port, token = re.search(r"http://([\d.]+):(\d+)/([0-9a-f]{32})/\n", log.read_text()).groups()
        assert host == "127.0.0.1"
        connection = HTTPConnection(host, int(port), timeout=60)
        connection.request("GET", f"/{token}/api/state")
        assert json.loads(connection.getresponse().read())["given"] == given
        connection.request("POST", f"/{token}/api/mask/0", png(painted()))
        assert connection.getresponse().read() == b'{"ok":true}'
        with socket.create_connection((host, int(port)), timeout=60) as large:
            head = f"POST /{token}/api/mask/0 HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {100 * 2**20}\r\n\r\n"
            large.sendall(head.encode())
            answer = b"".join(iter(lambda: large.recv(65536), b""))          # until the server closes
        assert answer.startswith(b"HTTP/1.1 413")
        command.send(signal.SIGINT)
        assert command.wait() == (130, "interrupted; run the same command again: everything is saved")
        log.unlink()


@pytest.mark.parametrize(("words", "arguments"), [
    ("--example for a generated clip", []),
    ("found both", ["--input", "x.mp4", "--example"]),
    ("--port 70000", ["--example", "--port", "70000"]),
    ("--short-side 3", ["--example", "--short-side", "3"]),
    ("nothing.mp4", ["--input", "nothing.mp4", "--weights", "compact"]),
])
def test_what_cannot_be_annotated_is_refused(refused, words, arguments):
    with refused(words):
        annotate.main([*arguments, "--device", "cpu"])


def test_a_port_that_is_taken_is_refused():
    with listening(0) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match="free port"):
            listening(taken.getsockname()[1])


def test_the_output_has_a_default(tmp_path):
    assert str(AnnotateOptions(input=tmp_path / "cat.mp4").folder) == "runs/annotate/cat"
    assert str(AnnotateOptions(example=True).folder) == "runs/annotate/example"
    assert AnnotateOptions(example=True, output=tmp_path).folder == tmp_path


def test_the_example_is_always_the_same_clip(tmp_path):
    one, two = (write_example(tmp_path / name, frames=2, size=(64, 96)) for name in ("one", "two"))
    written = (one / "00001.jpg").stat().st_mtime_ns
    for name in ("00000.jpg", "00001.jpg"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    write_example(one, frames=2, size=(64, 96))
    assert (one / "00001.jpg").stat().st_mtime_ns == written
