#!/usr/bin/env bash
# Generates miniature data, trains, evaluates and writes a report: at most ten minutes on two cores (without the
# installation). Run it again to resume after a stop; delete runs/quickstart to start over.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
run=runs/quickstart
data=$run/data
device=${DEVICE:-auto}
started=$SECONDS

step() { echo; echo "== $1 ($((SECONDS - started)) s so far)"; }

step "1/6  miniature data sets in the real layouts"
if [ ! -e $data/.complete ]; then
    $python scripts/make_synthetic.py --output $data --videos 24 --frames 48 --seed 0 --overwrite
    touch $data/.complete
else
    echo "$data already exists"
fi

step "2/6  training, first stage: still images, one object, one mask channel"
$python train.py --config configs/quickstart_static.yaml --output $run/static --resume auto --device $device

step "3/6  training, second stage: videos, several objects, two mask channels"
$python train.py --config configs/quickstart_video.yaml --output $run/video --resume auto --device $device \
    --init-weights $run/static/network.pth

step "4/6  evaluation on held-out clips with five memory banks"
weights=$run/video/network.pth
evaluate() {
    name=$1
    shift
    $python eval_davis.py --davis-root $data/DAVIS --year 2017 --weights $weights \
        --output $run/$name --device $device "$@" | tail -n 2
}
evaluate every5 --memory every_k
evaluate first_and_latest --memory first_and_latest
evaluate lfu1 --memory lfu --memory-frames 1
evaluate lfu2 --memory lfu --memory-frames 2
evaluate lfu4 --memory lfu --memory-frames 4

step "5/6  report"
$python scripts/report.py $run/every5 $run/first_and_latest $run/lfu1 $run/lfu2 $run/lfu4 \
    --davis-root $data/DAVIS --year 2017 --title "Quickstart: memory banks on held-out miniature clips" \
    --output $run/report.md

step "6/6  the repository's own weights, trained on real images and videos, on the same clips"
weights=compact
evaluate compact_lfu2 --memory lfu --memory-frames 2 --overlays
echo
echo "Done in $((SECONDS - started)) s. Open $run/report.md; the training curves: tensorboard --logdir $run"
