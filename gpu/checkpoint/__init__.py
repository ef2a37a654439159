"""Reads the weight files that companies have: ComfyUI's, TurboDiffusion's, GGUF, fp8 and int8.

A file becomes the module of diffusers or transformers that we run. In order: `tensors` (what lies
in a file), `layouts` (how each publisher names a model's tensors), `match` (every name accounted
for, before a weight is read), `packed` (weights stored in 8 bits or fewer), `assemble` (the whole).
"""
