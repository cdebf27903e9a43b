#!/usr/bin/env python3
"""Make src/test/resources/golden/quant: what gguf-py and bitsandbytes make of small cases.

  quant_formats.py OUT_DIR          (OUT_DIR = src/test/resources/golden/quant)

gguf.safetensors   TYPE.bytes (random valid blocks) and TYPE.floats (gguf.quants.dequantize); quantize.input [rows, 96] and
                   quantize.TYPE (gguf.quants.quantize); half.bits / half.floats and narrow.floats / narrow.bits (numpy float16).
nf4.safetensors    CASE.input, .packed, .absmax, .floats, and with double quantization .dq_codes, .dq_absmax, .dq_code,
                   .dq_offset, .dq_floats (bitsandbytes quantize_4bit on the CPU, dequantized by its generic kernel: the CPU kernel
                   of 0.50.2 is wrong for columns that are no multiple of 64).

Needs torch 2.15, bitsandbytes 0.50.2, gguf 0.19, numpy, safetensors.
"""
import os
import sys

import bitsandbytes.functional as bnb
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file as save_torch

HALF_SCALES = {"Q4_0": [0], "Q4_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def blocks(rng, name, rows, per_row):
    """Random blocks whose half precision scales are finite, of both signs, now and then subnormal or zero."""
    _, size = GGML_QUANT_SIZES[T[name]]
    data = rng.integers(0, 256, (rows * per_row, size), dtype=np.uint8)
    for at in HALF_SCALES.get(name, []):
        scale = (rng.standard_normal(len(data)) * 10.0 ** rng.integers(-7, 2, len(data))).astype(np.float16)
        scale[0] = 0
        data[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
    return data.reshape(rows, per_row * size)


def gguf_cases(rng):
    out = {}
    for name in HALF_SCALES:
        data = blocks(rng, name, 3, 4 if "K" in name else 8)
        out[name + ".bytes"] = data
        out[name + ".floats"] = dequantize(data, T[name])
    bf16 = rng.integers(0, 256, (3, 64), dtype=np.uint8)
    bf16[:, 1::2] &= 0x3F  # no infinities
    out["BF16.bytes"] = bf16
    out["BF16.floats"] = dequantize(bf16, T.BF16)
    rows = [rng.standard_normal(96), np.zeros(96), np.full(96, -0.75), rng.standard_normal(96) * 3000,
            rng.standard_normal(96) * 1e-6, np.abs(rng.standard_normal(96)) + 5, np.round(rng.standard_normal(96) * 8) / 2]
    x = np.array(rows, dtype=np.float32)
    out["quantize.input"] = x
    for name in ("Q4_0", "Q4_1", "Q8_0"):
        out["quantize." + name] = quantize(x, T[name])
    bits = np.arange(0, 65536, 13, dtype=np.uint16)
    bits = bits[(bits & 0x7C00) != 0x7C00]
    out["half.bits"] = bits.view(np.int16)
    out["half.floats"] = bits.view(np.float16).astype(np.float32)
    wide = (rng.standard_normal(3000) * 2.0 ** rng.integers(-28, 17, 3000)).astype(np.float32)
    halves = rng.integers(0, 0x7BFF, 500, dtype=np.uint16)
    ties = (halves.view(np.float16).astype(np.float64) + (halves + 1).astype(np.uint16).view(np.float16)) / 2
    edges = np.array([65504, 65519.996, 65520, 1e9, 2.0**-24, 2.0**-25, 2.0**-25 * 1.0001, 2.0**-14, 0, -0.0], np.float32)
    x = np.concatenate([wide, ties.astype(np.float32), -edges, edges])
    out["narrow.floats"] = x
    with np.errstate(over="ignore"):
        out["narrow.bits"] = x.astype(np.float16).view(np.int16)
    return out


def nf4_case(out, name, x, double_quant):
    """Adds one matrix; x is float32 [rows, cols]."""
    packed, state = bnb.quantize_4bit(x, quant_type="nf4", blocksize=64, compress_statistics=False)
    out[name + ".input"] = x.to(torch.bfloat16) if torch.equal(x.to(torch.bfloat16).float(), x) else x
    out[name + ".packed"] = packed.reshape(-1)
    out[name + ".absmax"] = state.absmax
    out[name + ".floats"] = flat_dequantize(packed, state.absmax, state)
    if not double_quant:
        return
    packed_dq, dq = bnb.quantize_4bit(x, quant_type="nf4", blocksize=64, compress_statistics=True)
    assert torch.equal(packed, packed_dq)
    out[name + ".dq_codes"] = dq.absmax
    out[name + ".dq_absmax"] = dq.state2.absmax
    out[name + ".dq_code"] = dq.state2.code.clone()
    out[name + ".dq_offset"] = dq.offset.reshape(1)
    absmax = bnb.dequantize_blockwise(dq.absmax, dq.state2) + dq.offset
    out[name + ".dq_floats"] = flat_dequantize(packed, absmax, dq)


def flat_dequantize(packed, absmax, state):
    return _dequantize_4bit_compute(packed.reshape(-1), absmax, state.code, 64, tuple(state.shape), torch.float32)


def nf4_cases():
    g = torch.Generator().manual_seed(7)
    out = {}
    nf4_case(out, "square", torch.randn(16, 64, generator=g), True)
    nf4_case(out, "straddling", torch.randn(6, 96, generator=g) * 0.02, True)
    nf4_case(out, "odd", torch.randn(5, 13, generator=g), False)
    nf4_case(out, "partial", torch.randn(3, 50, generator=g) * 1e-3, False)
    groups = torch.randn(120, 160, generator=g) * torch.rand(120, 1, generator=g) * 0.1
    nf4_case(out, "groups", groups.to(torch.bfloat16).float(), True)
    code = bnb.get_4bit_type("nf4", device="cpu")
    ties = torch.zeros(4, 64)
    ties[0, :15] = (code[:-1] + code[1:]) / 2
    ties[0, 15] = 1.0
    ties[1, :16] = code
    ties[2, :] = torch.linspace(-1, 1, 64)
    nf4_case(out, "ties", ties, False)
    del out["groups.floats"]  # square and straddling show it; keeps the file small
    return out


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    save_numpy({k: np.ascontiguousarray(v) for k, v in gguf_cases(np.random.default_rng(5)).items()}, os.path.join(out, "gguf.safetensors"))
    save_torch(nf4_cases(), os.path.join(out, "nf4.safetensors"))
    for name in os.listdir(out):
        os.chmod(os.path.join(out, name), 0o644)


if __name__ == "__main__":
    main()
