#!/usr/bin/env python3
"""Loss curves of PEFT and torch that Chorale's trainer is compared with, and the check that PEFT opens what it writes.

  train_parity.py tiny MODELS_DIR OUT_DIR [METHOD...]  (src/test/resources/golden/models  src/test/resources/golden/trainer)
  train_parity.py real HF_FOLDER OUT_DIR [METHOD...]   (the folder of hf_folder.py; 10 minutes on 2 cores)
  train_parity.py opens ADAPTER_DIR HF_FOLDER          (an adapter of chorale train; prints the largest difference to its canary's logits)

tiny and real write curves-tiny.json and curves-real.json: the rows, and for each method 50 steps of loss (mean over the step's
trained tokens) and gradient norm before clipping. The real model's are computed in float64 (but for norms and softmax, which
transformers always computes in float32): in float32 PEFT's own loss is off by 1.4e-4 of it in 50 steps (rsLoRA: 5.0e-4), more than the
1e-4 that Chorale's float32 is held to. The tiny model's are float32. Every step has two micro-batches of two rows; the gradient is that of the sum of
all token losses divided by the step's trained tokens, as TRL normalises. Dropout 0, torch's AdamW, transformers'
cosine schedule. The initial A follows from a formula that the tests repeat; B is zero. nf4 trains over the base's linear layers as
bitsandbytes' NF4 (blocks of 64) gives them back.

Needs torch 2.15, transformers 5.24, peft 0.21.2, bitsandbytes 0.50.2.
"""
import json
import os
import sys
import zlib

import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from bitsandbytes.functional import quantize_4bit
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, get_scheduler

STEPS, WARMUP, LR, CLIP, DECAY = 50, 5, 1e-3, 0.3, 0.01
RANK, ALPHA, ROWS, LENGTH = 8, 16, 20, 24
METHODS = {"lora": {}, "rslora": dict(use_rslora=True), "dora": dict(use_dora=True), "nf4": {}}


def initial_a(key, shape):
    """In [-1, 1] / sqrt(in); float32 operations only, each exactly rounded."""
    i = np.arange(np.prod(shape), dtype=np.int64)
    whole = ((i * 7919 + zlib.crc32(key.encode()) % 2003) % 2003 - 1001).astype(np.float32)
    return torch.from_numpy(whole / np.float32(1001) / np.float32(np.sqrt(shape[1]))).reshape(shape)


def to_nf4(model):
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            packed, state = quantize_4bit(module.weight.data, blocksize=64, quant_type="nf4")
            # The generic kernel: blocks run over the flat matrix; the CPU kernel of 0.50.2 starts them anew in every row.
            module.weight.data = _dequantize_4bit_compute(
                packed.reshape(-1), state.absmax, state.code, 64, tuple(module.weight.shape), torch.float32)


def curve(folder, method, rows, dtype):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    if method == "nf4":
        to_nf4(model)
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear",
                                             task_type="CAUSAL_LM", **METHODS[method]))
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    for _, p in trained:
        p.data = p.data.to(dtype)  # PEFT makes its own in float32
    for name, p in trained:
        if "lora_A" in name:
            p.data.copy_(initial_a(name.replace(".default", ""), tuple(p.shape)))
    params = [p for _, p in trained]
    optimizer = torch.optim.AdamW(params, lr=LR, weight_decay=DECAY, foreach=False)
    scheduler = get_scheduler("cosine", optimizer, num_warmup_steps=WARMUP, num_training_steps=STEPS)
    losses, norms = [], []
    for step in range(STEPS):
        window = [rows[(4 * step + i) % len(rows)] for i in range(4)]
        count = sum(sum(label != -100 for label in row["labels"][1:]) for row in window)
        longest = max(len(row["ids"]) for row in window)  # padded behind, where causal attention does not look
        ids = torch.tensor([row["ids"] + [0] * (longest - len(row["ids"])) for row in window])
        labels = torch.tensor([row["labels"][1:] + [-100] * (longest - len(row["ids"]) + 1) for row in window])
        logits = model(ids).logits.to(dtype)
        total = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1), ignore_index=-100,
                                                  reduction="sum")
        (total / count).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(params, CLIP).item())
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(total.item() / count)
        print(method, step + 1, losses[-1], norms[-1], flush=True)
    return dict(loss=losses, norm=norms)


def write(out, name, folder, rows, methods, dtype):
    settings = dict(steps=STEPS, warmup=WARMUP, lr=LR, clip=CLIP, decay=DECAY, rank=RANK, alpha=ALPHA)
    os.makedirs(out, exist_ok=True)
    for method in methods or METHODS:
        result = curve(folder, method, rows, dtype)
        path = os.path.join(out, name)
        curves = json.load(open(path))["curves"] if os.path.exists(path) else {}
        curves[method] = result
        with open(path, "w") as f:
            json.dump(dict(settings=settings, rows=rows, curves=curves), f)


def masked(ids, prompt):
    return dict(ids=ids, labels=[-100] * prompt + ids[prompt:])


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    if sys.argv[1] == "tiny":
        texts = [f"row {i}: {'the quick brown fox jumps over the lazy dog' [i % 7:]} {i * i}" for i in range(ROWS)]
        rows = [masked(list(text.encode())[:LENGTH + i % 9], 4 + i % 5) for i, text in enumerate(texts)]
        write(sys.argv[3], "curves-tiny.json", os.path.join(sys.argv[2], "llama"), rows, sys.argv[4:], torch.float32)
    elif sys.argv[1] == "real":
        tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
        data = os.path.join(os.path.dirname(os.path.abspath(__file__)), "code-stdlib.jsonl")
        texts = [json.dumps(json.loads(line)) for line in open(data).readlines()[:ROWS]]
        rows = [masked(tokenizer(text)["input_ids"][8:8 + LENGTH + i % 9], 4 + i % 5) for i, text in enumerate(texts)]
        write(sys.argv[3], "curves-real.json", sys.argv[2], rows, sys.argv[4:] or ["lora", "rslora", "dora"], torch.float64)
    else:
        facts = json.load(open(os.path.join(sys.argv[2], "chorale.json")))
        base = AutoModelForCausalLM.from_pretrained(sys.argv[3], dtype=torch.float32, attn_implementation="eager")
        model = PeftModel.from_pretrained(base, sys.argv[2]).eval()
        with torch.no_grad():
            logits = model(torch.tensor([facts["canary"]["ids"]])).logits[0, -1]
        difference = (logits[facts["canary"]["top_ids"]] - torch.tensor(facts["canary"]["logits"])).abs().max().item()
        print(f"largest difference {difference:.2e}, largest logit {logits.abs().max().item():.3f}")
        sys.exit(difference > 1e-5 * max(1.0, logits.abs().max().item()))


if __name__ == "__main__":
    main()
