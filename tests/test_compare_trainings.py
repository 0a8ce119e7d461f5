"""Several trainings side by side: means, intervals over trainings and sequences, recipes, the curve of a training."""

import csv
import json

import numpy as np
import pytest

from dataset.masks import read_image
from inference.report.intervals import interval_over_trainings, paired_interval
from inference.scoring.davis import GLOBAL_COLUMNS
from scripts.compare_trainings import main

BANKS = {
    "every_k": {"memory": "every_k"}, "first_and_latest": {"memory": "first_and_latest"},
    "lfu": {"memory": "lfu", "memory_frames": 2},
}


def training(folder, better=0.0, lfu=0.1, sequences=("dog", "libby", "blackswan")):
    """A folder of scripts/ablate.py: every-5 has 0.70, 0.71, 0.72 in these sequences, plus `better`; first-and-latest
    0.1 less, and LFU `lfu` more than that."""
    def result(bank, change):
        scores = {name: 0.7 + better + change + i / 100 for i, name in enumerate(sequences)}
        rows = {name: dict.fromkeys(GLOBAL_COLUMNS, score) for name, score in scores.items()}
        mean = float(np.mean([row["J&F-Mean"] for row in rows.values()] or 0))
        return BANKS[bank] | {
            "totals": {"frames": 12, "fps": 8.0, "frames_held_mean": 4.0, "frames_held_peak": 5.0},
            "scores": dict.fromkeys(GLOBAL_COLUMNS, mean), "scores_per_sequence": rows,
        }

    settings = {
        "command": "ablate", "year": 2016, "split": "val", "resolution": "480p", "memory_every": 5, "top_k": 20,
        "index": "topk", "include_last": False, "protect_first": False,
    }
    results = {"every_k": result("every_k", 0), "first_and_latest": result("first_and_latest", -0.1),
               "lfu": result("lfu", -0.1 + lfu)}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(
        {"settings": settings, "sequences": list(sequences), "results": results, "totals": {}}))
    return str(folder)


def table(path):
    return list(csv.reader(path.read_text().splitlines()))


def test_banks_over_trainings(tmp_path, capsys):
    folders = [training(tmp_path / "seed_0", lfu=0.02), training(tmp_path / "seed_1", better=0.1, lfu=0.06)]
    main([*folders, "--minus", "every-5", "first-and-latest", "--output", str(tmp_path / "out/page.md")])
    assert table(tmp_path / "out/page-banks.csv") == [
        ["memory bank", "seed_0", "seed_1", "mean", "minus every-5", "minus first-and-latest"],
        ["every-5", "71.0", "81.0", "76.0", "", "+10.0 (+10.0 to +10.0)"],
        ["first-and-latest", "61.0", "71.0", "66.0", "-10.0 (-10.0 to -10.0)", ""],
        ["LFU, 2 frames", "63.0", "77.0", "70.0", "-6.0 (-8.0 to -4.0)", "+4.0 (+2.0 to +6.0)"],
    ]
    page = (tmp_path / "out/page.md").read_text()
    assert "3 sequences: dog, libby, blackswan." in page
    assert "| LFU, 2 frames " in page
    assert "wrote" in capsys.readouterr().out
    main([*folders, "--output", str(tmp_path / "page.md")])
    assert table(tmp_path / "page-banks.csv")[0][-1] == "minus every-5"


def test_recipes_are_paired(tmp_path):
    plain = [training(tmp_path / f"plain_{i}", better=0.1 * i) for i in range(2)]
    dropout = [training(tmp_path / f"dropout_{i}", better=0.1 * i - 0.02) for i in range(2)]
    main([*plain, "--against", "dropout", *dropout, "--output", str(tmp_path / "page.md")])
    assert table(tmp_path / "page-recipes.csv")[:2] == [
        ["memory bank", "mean", "dropout", "difference"], ["every-5", "76.0", "74.0", "-2.0 (-2.0 to -2.0)"]]


def test_the_curve_of_a_training(tmp_path):
    folders = [training(tmp_path / f"iteration_{i:07d}", better=i / 1000) for i in (50, 200, 100)]
    main([*folders, "--curve", str(tmp_path / "pictures/curve.png"), "--output", str(tmp_path / "page.md")])
    assert read_image(tmp_path / "pictures/curve.png").std() > 10
    header, *rows = table(tmp_path / "page-curve.csv")
    assert header == ["iteration", "every-5", "first-and-latest", "LFU, 2 frames",
                      "first-and-latest minus every-5", "LFU, 2 frames minus every-5"]
    assert rows == [[iteration, every_5, latest, every_5, "-10.0 (-10.0 to -10.0)", "+0.0 (+0.0 to +0.0)"]
                    for iteration, every_5, latest in (("50", "76.0", "66.0"), ("100", "81.0", "71.0"),
                                                       ("200", "91.0", "81.0"))]
    assert not (tmp_path / "page-banks.csv").exists()


def test_sequences_in_another_order_are_the_same(tmp_path):
    folders = [training(tmp_path / "a"), training(tmp_path / "b", sequences=("libby", "dog", "blackswan"))]
    main([*folders, "--output", str(tmp_path / "page.md")])
    assert table(tmp_path / "page-banks.csv")[1][1:4] == ["71.0", "71.0", "71.0"]


def test_one_sequence_has_no_interval(tmp_path):
    main([training(tmp_path / "a", sequences=("dog",)), "--output", str(tmp_path / "page.md")])
    assert table(tmp_path / "page-banks.csv")[2] == ["first-and-latest", "60.0", "60.0", "-10.0"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["{a}", "{fewer}"], r"fewer: expected the sequences dog, libby, blackswan, as before it, found dog, libby; "),
    (["{a}", "{nothing}"], r"nothing: expected the banks every-5, .* found none that are scored; evaluate all"),
    (["{a}", "--minus", "lfu"], r"--minus 'lfu': expected a bank .* give one of 'every-5', 'first-and-latest', 'LFU, "),
    (["{a}", "--against", "dropout"], r"--against dropout: expected a name and folders of trainings"),
    (["{a}", "--against", "dropout", "{a}", "{fewer}"], r"expected a training for each of a, found 2; give 1"),
    (["{a}", "--curve", "{out}/curve.png"], r"a: expected the name of a folder that ends with an iteration"),
    (["{out}/missing"], r"missing"),
])
def test_errors_are_one_line(arguments, message, tmp_path, refused):
    places = {"a": training(tmp_path / "a"), "fewer": training(tmp_path / "fewer", sequences=("dog", "libby")),
              "nothing": training(tmp_path / "nothing", sequences=()), "out": str(tmp_path)}
    with refused(message, alone=True):
        main([*(text.format(**places) for text in arguments), "--output", str(tmp_path / "page.md")])
    assert not (tmp_path / "page.md").exists()


def test_an_interval_over_trainings_is_wider_if_they_differ():
    generator = np.random.default_rng(1)
    of_sequences, of_trainings = generator.normal(0, 1, 400), generator.normal(0, 1, (50, 1))
    alike, different = np.broadcast_to(of_sequences, (50, 400)), of_sequences + of_trainings
    assert interval_over_trainings(alike[:1]) == paired_interval(of_sequences.tolist())
    for differences, deviation in ((alike, 1 / 20), (different, (1 / 400 + 1 / 50) ** 0.5)):
        low, high = interval_over_trainings(differences)
        assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.2)
    damaged = different.copy()
    damaged[3, 7] = np.nan
    assert interval_over_trainings(damaged) == interval_over_trainings(np.delete(different, 7, 1))
