#!/usr/bin/env bash
# Asks a machine with a GPU all that this repository wants to know of it, in about half an hour, and leaves one folder:
# the machine and its versions, a log of each step, the lines of the benchmark. A step that fails does not stop the others.
#   bash scripts/gpu_check.sh [DATA] [OUTPUT]
# DATA: with DAVIS and static/ECSSD (default: data; the sections of the benchmark that need them fail without).
set -uo pipefail
source "$(dirname "$0")/environment.sh"
data=${1:-data}
output=${2:-runs/gpu_check_$(date +%Y-%m-%d_%H%M)}
mkdir -p "$output"
failed=()

step() {
    name=$1
    shift
    echo "== $name: $*"
    if "$@" > "$output/$name.log" 2>&1; then tail -n 1 "$output/$name.log"; else
        failed+=("$name")
        echo "failed; see $output/$name.log"
    fi
}

{
    date
    git rev-parse HEAD 2> /dev/null
    nvidia-smi
    $python -m torch.utils.collect_env
} > "$output/machine.txt" 2>&1
if ! $python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "error: PyTorch finds no GPU here; see $output/machine.txt" >&2
    exit 2
fi

step tests env OMP_NUM_THREADS=2 $python -m pytest -m cuda -rs -n 4      # the tests compare small clips with the CPU
for section in read stages video window files train; do
    step "benchmark_$section" $python scripts/benchmark.py --data "$data" --only $section --compile \
        --output "$output/benchmark.jsonl"
done
step data $python scripts/make_synthetic.py --output "$output/data" --videos 24 --frames 48 --seed 0 --overwrite
# the configurations name the folder of the quickstart's data: a link in its place would touch a run of the user's
for stage in static video; do
    sed "s#runs/quickstart/data#$output/data#" configs/quickstart_$stage.yaml > "$output/$stage.yaml"
done
step train_static timeout 900 $python train.py --config "$output/static.yaml" \
    --output "$output/static" --device cuda
step train_video timeout 900 $python train.py --config "$output/video.yaml" \
    --output "$output/video" --device cuda --init-weights "$output/static/network.pth"
step evaluate $python eval_davis.py --davis-root "$output/data/DAVIS" --year 2017 --weights compact \
    --output "$output/compact_lfu2" --device cuda
rm -rf "$output/data"

echo "Everything is in $output; docs/SPEED.md, section \"On a GPU\", says where the numbers belong."
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
