"""TurboDiffusion's Wan models: few-step sampling, sparse-linear attention, 8-bit linears."""
