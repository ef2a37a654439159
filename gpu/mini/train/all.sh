#!/bin/sh
# All parts after the first autoencoders, on two GPUs: pictures on one, decoders and clips on the other.
# From the repository's root: gpu/mini/train/all.sh START WORK OUT. START holds image_vae and video_vae
# (`--part vae --out START` of either model makes them) and, to go on from earlier weights, video;
# WORK is scratch; OUT gets the two pipelines. About 45 minutes; each part fits a 10-minute lease,
# and goes on from WORK when this is run again with the finished parts left out.
# --guided FROM:WHOLE, shares of a part's time: 1:1 is no guidance at all, 0:0 all of it at once.
set -eu
START=$1 WORK=$2 OUT=$3
train() { python3 -m gpu.mini.train "$@"; }
# Once only: a second run goes on from what the first one made.
bring() { [ -e "$2/${1##*/}" ] || cp -r "$1" "$2/"; }
mkdir -p "$WORK/image" "$WORK/video"
bring "$START/image_vae" "$WORK/image"
bring "$START/video_vae" "$WORK/video"
[ ! -e "$START/video" ] || bring "$START/video" "$WORK/video"

pictures() {
  export CUDA_VISIBLE_DEVICES=0
  set -- image --part transformer --out "$WORK/image" --start "$WORK/image"
  train "$@" --side 256 --rates 1:1 --guided 1:1 --seconds 420
  train "$@" --side 384 --rates 1:0.6 --guided 0.5:0.6 --seconds 520 --seed 1
  train "$@" --side 512 --rates 0.6:0.5 --guided 0:0 --seconds 560 --seed 2
  train "$@" --side 512 --rates 0.5:0.4 --guided 0:0 --seconds 560 --seed 3
  train "$@" --side 512 --rates 0.4:0.01 --guided 0:0 --seconds 560 --seed 4
}
clips() {
  export CUDA_VISIBLE_DEVICES=1
  train image --part decoder --out "$WORK/polished" --start "$START" --seconds 240
  train video --part decoder --out "$WORK/polished" --start "$START" --seconds 490
  set -- video --part transformer --out "$WORK/video" --start "$WORK/video"
  train "$@" --side 256 --rates 1:0.7 --seconds 260
  train "$@" --side 384 --rates 0.7:0.7 --seconds 480 --seed 1
  train "$@" --side 384 --rates 0.7:0.5 --seconds 560 --seed 3
  train "$@" --side 384 --rates 0.5:0.01 --seconds 560 --seed 4
}
pictures & one=$!
clips & other=$!
wait "$one"  # by name: a bare wait forgets that a part failed, and half a training would be packed
wait "$other"
python3 -m gpu.mini.train.pack "$WORK" "$OUT"
