#!/usr/bin/env python3
"""Make src/test/resources/golden/merge-aware: losses and gradients through a straight-through rounding, by torch's autograd.

  merge_aware.py MODELS_DIR OUT_DIR     (src/test/resources/golden/models  src/test/resources/golden/merge-aware)

Base, adapter values and sequences are those of a case of train_gradients.py. Each adapted linear computes x Q(W + s B A)^T, where a custom
autograd function passes the gradient of Q straight through. Q is written here in numpy: with the base's scales kept (keep, dither), or by
gguf-py's and bitsandbytes' own quantizers (refit). cases.json has format, rounding, the case it stands on and the losses;
NAME.safetensors.gz the gradients ("grad.KEY") and of one module the rounded weight ("rounded.q" of layer 0, "rounded.down" of layer 1).

Needs torch 2.15, transformers 5.24, peft 0.21.2, bitsandbytes 0.50.2, gguf 0.19.
"""
import gzip
import json
import os
import sys
import warnings

import bitsandbytes.functional as bnb
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize, quantize
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save

import model_files
import train_gradients as tg

# name: (format, rounding, the case of train_gradients.py whose base and values it has)
CASES = {
    "q4_1-dither": ("q4_1", "dither", "q4_1"),
    "q4_1-keep": ("q4_1", "keep", "q4_1"),
    "q4_1-refit": ("q4_1", "refit", "q4_1"),
    "q4_0-dither": ("q4_0", "dither", "q4_0"),
    "qwen3-q4_1-dither": ("q4_1", "dither", "qwen3-q4_1"),
    "nf4-dither": ("nf4", "dither", "nf4"),
    "float-to-nf4": ("nf4", "dither", "lora"),
    "float-to-q4_1-rslora": ("q4_1", "dither", "rslora"),
}
CODE = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                 -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], np.float32)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, latent, rounded):
        return rounded.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def thresholds(rounding, module, count):
    if rounding == "keep":
        return np.full(count, 0.5, np.float32)
    with np.errstate(over="ignore"):
        z = np.uint64(module * 0x632BE59BD9B4E019 % 2**64) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (((z >> np.uint64(52)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-12)).astype(np.float32)


def on_affine_grid(x, raw, kind, t):
    """x float32 [rows, cols] onto the grid of GGUF blocks raw [rows, bytes]."""
    header = 4 if kind == "q4_1" else 2
    blocks = raw.reshape(-1, 16 + header)
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    m = blocks[:, 2:4].copy().view(np.float16).astype(np.float32) if kind == "q4_1" else np.float32(-8) * d
    up = (x.reshape(-1, 32) - m) / d + np.float32(1) - t.reshape(-1, 32)
    q = np.clip(np.floor(up), 0, 15).astype(np.float32)
    return ((q * d + m) if kind == "q4_1" else (q - np.float32(8)) * d).reshape(x.shape).astype(np.float32)


def on_nf4_grid(x, absmax, t):
    scales = np.repeat(absmax, 64)[: x.size]
    v = x.reshape(-1) / scales
    below = np.clip(np.searchsorted(CODE, v, side="right") - 1, 0, 15)
    above = np.minimum(below + 1, 15)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (v - CODE[below]) / (CODE[above] - CODE[below])
    q = np.where((below < 15) & (share >= t), above, below)
    return (CODE[q] * scales).reshape(x.shape)


def refitted(x, kind):
    if kind == "nf4":
        flat = torch.from_numpy(x).reshape(-1)
        packed, state = bnb.quantize_4bit(flat, quant_type="nf4", blocksize=64)
        out = _dequantize_4bit_compute(packed.reshape(-1), state.absmax, state.code, 64, tuple(flat.shape), torch.float32)
        return out.reshape(x.shape).numpy()
    kind = getattr(GGMLQuantizationType, kind.upper())
    return dequantize(quantize(x, kind), kind)


class Grids:
    """The stored blocks of each linear of a quantized base."""

    def __init__(self, models, base):
        self.reader = self.tensors = None
        path = os.path.join(models, base)
        if base.endswith(".gguf"):
            self.reader = {t.name: t for t in GGUFReader(path).tensors}
            self.permuted = "qwen" not in base
        elif "nf4" in base:
            self.tensors = load_file(os.path.join(path, "model.safetensors"))

    def rounded(self, name, x, kind, rounding, module):
        t = thresholds(rounding, module, x.size)
        if rounding == "refit" or not (self.reader or self.tensors):
            return refitted(x, kind)
        if self.tensors:
            return on_nf4_grid(x, self.tensors[name + ".weight.absmax"].numpy(), t)
        raw = self.reader[model_files.gguf_name(name + ".weight")].data
        heads = {"q_proj": model_files.HEADS, "k_proj": model_files.KV_HEADS}.get(name.split(".")[-1]) if self.permuted else None
        raw = np.ascontiguousarray(model_files.unpermute(raw, heads) if heads else raw)
        return on_affine_grid(x, raw, kind, t)


def patch(module, name, grids, kind, rounding):
    """Makes a PEFT linear compute with the rounded merged weight; gives that weight."""
    a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
    scaling, w, bias = module.scaling["default"], module.base_layer.weight, module.base_layer.bias
    latent = w.detach().numpy().astype(np.float64)
    left = b.detach().numpy().astype(np.float64) * np.float64(np.float32(scaling))
    right = a.detach().numpy().astype(np.float64)
    for r in range(right.shape[0]):
        latent = latent + left[:, r:r + 1] * right[r:r + 1]
    index = int(name.split("layers.")[1].split(".")[0]) * 7 + tg.LINEARS.index(name.split(".")[-1])
    rounded = torch.from_numpy(np.ascontiguousarray(grids.rounded(name, latent.astype(np.float32), kind, rounding, index)))

    def forward(x, *args, **kwargs):
        return torch.nn.functional.linear(x, StraightThrough.apply(w + scaling * (b @ a), rounded), bias)

    module.forward = forward
    return rounded


def run(models, name):
    kind, rounding, like = CASES[name]
    base, options = tg.CASES[like]
    torch.manual_seed(0)
    model = get_peft_model(tg.load(models, base), LoraConfig(task_type="CAUSAL_LM", **options))
    tg.randomize(model, 77)
    grids = Grids(models, base)
    tensors = {}
    for full, module in model.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            short = full.replace("base_model.model.", "")
            rounded = patch(module, short, grids, kind, rounding)
            for key, wanted in (("rounded.q", "layers.0.self_attn.q_proj"), ("rounded.down", "layers.1.mlp.down_proj")):
                if short.endswith(wanted):
                    tensors[key] = rounded
    losses = []
    for ids, targets in tg.sequences():
        logits = model(torch.tensor([ids])).logits[0]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), ignore_index=-100, reduction="sum")
        loss.backward()
        losses.append(float(loss.detach()))
    for key, p in tg.keyed(model, False).items():
        tensors["grad." + key] = p.grad.clone()
    return losses, tensors


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    models, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    cases = []
    for name, (kind, rounding, like) in CASES.items():
        losses, tensors = run(models, name)
        with open(os.path.join(out, name + ".safetensors.gz"), "wb") as f:
            f.write(gzip.compress(save(tensors), 9, mtime=0))
        cases.append(dict(name=name, format=kind, rounding=rounding, like=like, losses=losses))
        print(name, losses, len(tensors))
    with open(os.path.join(out, "cases.json"), "w") as f:
        json.dump(dict(cases=cases), f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
