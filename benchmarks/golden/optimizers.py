#!/usr/bin/env python3
"""Make src/test/resources/golden/trainer/{optimizers.safetensors,schedules.json}.

  optimizers.py OUT_DIR     (src/test/resources/golden/trainer; seconds, CPU)

Values and gradients follow from formulas that the tests repeat, so only results are stored: of torch's AdamW, of bitsandbytes'
AdamW8bit (its own code, with its generic blockwise quantizer in place of the CPU kernel, which rounds to 65536 bins first), and
the learning rates of transformers' get_scheduler. Needs torch 2.15, transformers 5.24, bitsandbytes 0.50.2.
"""
import json
import os
import sys

import bitsandbytes as bnb
import bitsandbytes.backends.cpu.ops as cpu_ops
import numpy as np
import torch
from bitsandbytes.functional import create_dynamic_map
from safetensors.torch import save_file
from transformers import get_scheduler
from transformers.training_args import TrainingArguments

SIZES = {"large": 5000, "small": 300}  # 5000: 19 whole blocks of 256 and a partial one; 300: below min_8bit_size
STEPS, LR, DECAY = 5, 1e-3, 0.01


def numbers(count, step):
    """In [-1, 1], over five orders of magnitude; float32 operations only, each exactly rounded."""
    i = np.arange(count, dtype=np.int64)
    whole = ((i * 7919 + step * 104729 + 17) % 2003 - 1001).astype(np.float32)
    scale = np.array([1001, 10010, 100100, 1001000, 10010000], dtype=np.float32)[i % 5]
    return torch.from_numpy(whole / scale)


def generic_quantize(a, code, absmax_out, out, blocksize):
    quantized, absmax = generic(a, code, blocksize)
    out.copy_(quantized)
    absmax_out.copy_(absmax)


def generic(a, code, blocksize):
    """bitsandbytes.backends.default.ops, quantize_blockwise."""
    flat = a.reshape(-1).float()
    full = flat.numel() - flat.numel() % blocksize
    blocks = flat[:full].reshape(-1, blocksize)
    absmax = blocks.abs().max(dim=-1)[0]
    scaled = torch.clamp(blocks * (1.0 / absmax.clamp(min=1e-38).view(-1, 1)), -1, 1).reshape(-1)
    if full < flat.numel():
        last = flat[full:].abs().max().clamp(min=1e-38)
        absmax = torch.cat([absmax, last.unsqueeze(0)])
        scaled = torch.cat([scaled, torch.clamp(flat[full:] / last, -1, 1)])
    bounds = (code[:-1] + code[1:]) / 2
    return torch.bucketize(scaled, bounds, out_int32=True).to(torch.uint8).reshape(a.shape), absmax


def run(make):
    params = {name: torch.nn.Parameter(numbers(n, 0).clone()) for name, n in SIZES.items()}
    optimizer = make(list(params.values()))
    for step in range(1, STEPS + 1):
        for name, n in SIZES.items():
            params[name].grad = numbers(n, step)
        optimizer.step()
    return params, optimizer


def main(out):
    os.makedirs(out, exist_ok=True)
    tensors = {}
    params, optimizer = run(lambda p: torch.optim.AdamW(p, lr=LR, weight_decay=DECAY, foreach=False))
    for name, p in params.items():
        tensors[f"adamw.{name}"] = p.data.clone()
        tensors[f"adamw.{name}.exp_avg"] = optimizer.state[p]["exp_avg"]
        tensors[f"adamw.{name}.exp_avg_sq"] = optimizer.state[p]["exp_avg_sq"]
    cpu_ops._quant_blockwise_fp32_direct = generic_quantize
    params, optimizer = run(lambda p: bnb.optim.AdamW8bit(p, lr=LR, weight_decay=DECAY))
    for name, p in params.items():
        tensors[f"adamw8bit.{name}"] = p.data.clone()
        for key in ("state1", "state2", "absmax1", "absmax2"):
            if key in optimizer.state[p]:
                tensors[f"adamw8bit.{name}.{key}"] = optimizer.state[p][key].clone()
    tensors["map.signed"], tensors["map.unsigned"] = create_dynamic_map(True), create_dynamic_map(False)
    save_file(tensors, os.path.join(out, "optimizers.safetensors"))

    cases = []
    for kind, name in (("cosine", "cosine"), ("linear", "linear"), ("constant", "constant_with_warmup")):
        for total, warmup in ((50, 0.03), (7, 0.5), (20, 5), (3, 0.0)):
            steps = TrainingArguments(output_dir="unused", warmup_steps=warmup).get_warmup_steps(total)
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
            scheduler = get_scheduler(name, optimizer, num_warmup_steps=steps, num_training_steps=total)
            rates = []
            for _ in range(total):
                rates.append(scheduler.get_last_lr()[0])
                optimizer.step()
                scheduler.step()
            cases.append(dict(kind=kind, total=total, warmup=warmup, rates=rates))
    with open(os.path.join(out, "schedules.json"), "w") as f:
        json.dump(cases, f)


if __name__ == "__main__":
    main(sys.argv[1])
