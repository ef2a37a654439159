#!/bin/sh
# Two GPUs, one call: the image transformer on one, the video autoencoder and transformer on the other.
# both.sh START WORK SECONDS: weights to start from, a scratch folder, the wall clock to keep.
START=$1 WORK=$2 SECONDS_=$3
mkdir -p "$WORK/video" "$WORK/image" && cp -r "$START/video" "$WORK/video/"
CUDA_VISIBLE_DEVICES=0 python3 -m gpu.mini.train image --part transformer --out "$WORK/image" \
  --start "$START" --seconds "$SECONDS_" > "$WORK/image.log" 2>&1 &
CUDA_VISIBLE_DEVICES=1 python3 -m gpu.mini.train video --part vae --out "$WORK/video" \
  --start "$START" --seconds 258 > "$WORK/video-vae.log" 2>&1 &
CUDA_VISIBLE_DEVICES=1 python3 -m gpu.mini.train video --part transformer --out "$WORK/video" \
  --start "$WORK/video" --seconds "$SECONDS_" > "$WORK/video.log" 2>&1 &
wait
