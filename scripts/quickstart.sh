#!/usr/bin/env bash
# Segments a clip with the repository's own weights, then generates miniature data, trains both stages, evaluates five
# memory banks and writes a report: at most ten minutes on two cores (without the installation). Run it again to resume
# after a stop; delete runs/quickstart to start over.
set -euo pipefail
source "$(dirname "$0")/environment.sh"
run=runs/quickstart
data=$run/data
clip=$run/first/DAVIS
device=${DEVICE:-auto}
videos=16
frames=40
size="240 416"    # height and width of the first clip
mkdir -p $run

seconds() { awk -F'\t' -v name="$2" '$1 == name { print $2 }' "$1" 2>/dev/null || true; }

# What step $1 took so far: a step that was stopped adds the rest when it is resumed.
took() { seconds $run/took.tsv "$1"; }

begin() {    # name, what it does
    name=$1
    started=$SECONDS
    before=$(took "$1")
    echo; echo "== $1: $2 (about $(seconds $run/expected.tsv "$1") s)"
    trap finish EXIT
}

finish() {
    trap - EXIT
    { grep -v "^$name	" $run/took.tsv 2>/dev/null || true; } > $run/took.partial
    printf '%s\t%s\n' "$name" $((${before:-0} + SECONDS - started)) >> $run/took.partial
    mv $run/took.partial $run/took.tsv
}

unless() {   # a file, and the command that makes it: shows the command and runs it, unless the file exists
    [ ! -e "$1" ] || { echo "$1 already exists"; return; }
    local words
    printf -v words ' %q' "${@:3}"
    echo "\$ python$words"
    "${@:2}"
}

if [ ! -e $run/expected.tsv ]; then
    echo "Measuring this machine for some seconds ..."
    $python scripts/quickstart_plan.py --output $run/expected.tsv --videos $videos --frames $frames --size $size \
        --device $device
fi

begin picture "the repository's own weights segment a generated clip"
unless $clip/ImageSets/2017/val.txt $python scripts/make_synthetic.py --output $run/first --kind davis --videos 1 \
    --frames $frames --size $size --seed 11 --overwrite
unless $run/first/result/run.json $python scripts/segment_video.py --input $clip/JPEGImages/480p/clip-001 \
    --mask $clip/Annotations/480p/clip-001/00000.png --weights compact --output $run/first/result --overwrite \
    --device $device
unless $run/first.jpg $python scripts/show_masks.py --images $clip/JPEGImages/480p/clip-001 \
    --masks $run/first/result/masks --output $run/first.jpg
finish
echo "Look at $run/first.jpg: the first mask was given, the others were found."

begin data "miniature data sets in the real layouts"
unless $data/YouTube/valid/meta.json $python scripts/make_synthetic.py --output $data --videos $videos \
    --frames $frames --seed 0 --overwrite
finish

begin static "training, first stage: still images, one object, one mask channel"
unless $run/static/network.pth $python train.py --config configs/quickstart_static.yaml --output $run/static \
    --resume auto --device $device
finish

begin video "training, second stage: videos, several objects, two mask channels"
unless $run/video/network.pth $python train.py --config configs/quickstart_video.yaml --output $run/video \
    --resume auto --device $device --init-weights $run/static/network.pth
finish

begin evaluation "five memory banks on held-out clips"
unless $run/banks/ablation.md $python scripts/ablate.py --davis-root $data/DAVIS --year 2017 \
    --weights $run/video/network.pth --output $run/banks --memory every_k first_and_latest lfu \
    --memory-frames 1 2 4 --write-masks --device $device
finish

begin report "tables, figures and pictures"
steps() {
    printf 'step\texpected seconds\tseconds\n'
    while IFS=$'\t' read -r step expected; do
        printf '%s\t%s\t%s\n' "$step" "$expected" "$(took "$step")"
    done < $run/expected.tsv
}
steps > $run/steps.tsv
unless $run/report.html $python scripts/report.py $run/banks --davis-root $data/DAVIS --year 2017 \
    --output $run/report.md --title "Quickstart: memory banks on held-out miniature clips" --steps $run/steps.tsv
finish

echo; echo "How long each step took, over all runs of this script:"
steps | tail -n +2 | while IFS=$'\t' read -r step expected seconds; do
    printf '  %-12s %4s s  (expected: %4s s)\n' "$step" "$seconds" "$expected"
done
echo "Done in $SECONDS s. Open $run/report.html in a browser; the training curves: tensorboard --logdir $run"
