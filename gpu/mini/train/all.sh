#!/bin/sh
# All parts after the first autoencoders, on two GPUs: pictures on one, decoders and clips on the other.
# all.sh START WORK OUT: START holds image_vae, video_vae and, to go on from earlier weights, video;
# WORK is scratch; OUT gets the two pipelines. About 25 minutes; each part fits a 10-minute lease,
# and goes on from WORK when this is run again with the finished parts left out.
set -e
START=$1 WORK=$2 OUT=$3
train() { python3 -m gpu.mini.train "$@"; }
mkdir -p "$WORK/image" "$WORK/video"
cp -r "$START/image_vae" "$WORK/image/"
for name in video_vae video; do [ -e "$START/$name" ] && cp -r "$START/$name" "$WORK/video/"; done

pictures() {
  export CUDA_VISIBLE_DEVICES=0
  at="--out $WORK/image --start $WORK/image"
  train image --part transformer $at --side 256 --rates 1:1 --guided 1:1 --seconds 420
  train image --part transformer $at --side 384 --rates 1:0.6 --guided 0.5:0.6 --seconds 520 --seed 1
  train image --part transformer $at --side 512 --rates 0.6:0.01 --guided 0:0 --seconds 560 --seed 2
}
clips() {
  export CUDA_VISIBLE_DEVICES=1
  at="--out $WORK/video --start $WORK/video"
  train image --part decoder --out "$WORK/polished" --start "$START" --seconds 240
  train video --part decoder --out "$WORK/polished" --start "$START" --seconds 320
  train video --part transformer $at --side 256 --rates 1:0.7 --seconds 260
  train video --part transformer $at --side 384 --rates 0.7:0.01 --seconds 480 --seed 1
}
pictures & clips & wait
python3 -m gpu.mini.train.pack "$WORK" "$OUT"
