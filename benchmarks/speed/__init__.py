"""What `benchmarks.gpu_speed` measures: pictures and clips, ours beside plain diffusers."""
