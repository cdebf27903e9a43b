#!/usr/bin/env python3
"""Make src/test/resources/golden/train: losses and gradients of PEFT's autograd on the tiny models of model_files.py.

  train_gradients.py MODELS_DIR OUT_DIR             (src/test/resources/golden/models  src/test/resources/golden/train)
  train_gradients.py MODELS_DIR OUT_DIR retain      (only retain.json and retain-*.safetensors.gz)

cases.json lists the cases: base, adapter options, sequences with targets (already shifted, -100 where no loss is taken), the sum of
token losses of each sequence, and where NAME.safetensors.gz holds the adapter's values ("value.KEY") and the gradients of the sum
over all sequences ("grad.KEY"), by PEFT's own keys. float32, eager attention, CPU, one sequence at a time, without dropout but for
two cases, whose masks are made by SeededDropout. Bases that
are quantized are float models with the dequantized weights (bitsandbytes' generic kernel, gguf-py). Of a whole weight's gradient (full
fine-tuning, modules_to_save) every 6th row is stored ("rows.KEY") and the sum of every other row ("sum.KEY"); of a whole weight's value in
modules_to_save only what was added to the base: 0.02 times every row's and every column's own number ("outer.KEY.0", "outer.KEY.1").

retain.json: of some cases the sums over each sequence's rows with a target of KL(base || adapted), by torch's kl_div of the logits
with PEFT's adapter disabled and enabled; retain-NAME.safetensors.gz the gradients of the sum of all.

Needs torch 2.15, transformers 5.24, peft 0.21.2, bitsandbytes 0.50.2, gguf 0.19. Seeds are fixed; rerunning gives the same tensors
up to the last bits.
"""
import gzip
import json
import os
import shutil
import sys
import warnings

import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save
from transformers import AutoModelForCausalLM

import model_files

DROPOUT_SEED = 9
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ALL = dict(r=4, lora_alpha=8, target_modules=LINEARS)

# name: (base folder or GGUF, LoraConfig options or None for full fine-tuning)
CASES = {
    "lora": ("llama", ALL),
    "rslora": ("llama", dict(ALL, lora_alpha=6, use_rslora=True)),
    "dora": ("llama", dict(ALL, use_dora=True)),
    "patterns": ("llama", dict(ALL, rank_pattern={"q_proj": 2, "layers.1.mlp.down_proj": 7, r"^model\.layers\.0\.self_attn\.v_proj": 3},
                               alpha_pattern={r"mlp\.(up|down)_proj": 3, "k_proj": 16})),
    "regex": ("llama", dict(r=4, lora_alpha=8, target_modules=r"model\.layers\.[01]\.self_attn\.[qo]_proj|.*\.0\.mlp\.down_proj")),
    "modules-to-save": ("llama-untied", dict(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"],
                                             modules_to_save=["embed_tokens", "lm_head"])),
    "tied-modules-to-save": ("llama", dict(r=4, lora_alpha=8, target_modules=["v_proj"], modules_to_save=["embed_tokens"])),
    "embed-head": ("llama-untied", dict(r=4, lora_alpha=8, target_modules=["k_proj", "embed_tokens", "lm_head"])),
    "dora-embed-head": ("llama-untied", dict(r=4, lora_alpha=8, use_dora=True, target_modules=["embed_tokens", "lm_head", "up_proj"])),
    "lora-dropout": ("llama", dict(ALL, lora_dropout=0.25)),
    "dora-dropout": ("qwen2", dict(ALL, lora_dropout=0.25, use_dora=True)),
    "full": ("llama", None),
    "full-untied": ("llama-untied", None),
    "full-qwen2": ("qwen2", None),
    "full-qwen3": ("qwen3", None),
    "llama3-rope": ("llama3-rope", ALL),
    "mistral": ("mistral", ALL),
    "qwen2": ("qwen2", ALL),
    "qwen2-dora": ("qwen2", dict(ALL, use_dora=True)),
    "qwen3": ("qwen3", ALL),
    "qwen3-dora": ("qwen3", dict(ALL, use_dora=True)),
    "nf4": ("llama-nf4", ALL),
    "nf4-dq-dora": ("llama-nf4-dq", dict(ALL, use_dora=True)),
    "q4_1": ("gguf/llama-q4_1.gguf", ALL),
    "q4_0": ("gguf/llama-untied-q4_0.gguf", ALL),
    "q4_1-dora": ("gguf/llama-q4_1.gguf", dict(ALL, use_dora=True)),
    "qwen3-q4_1": ("gguf/qwen3-q4_1.gguf", ALL),
}
FAMILY = {"llama-nf4": "llama", "llama-nf4-dq": "llama", "gguf/llama-q4_1.gguf": "llama",
          "gguf/llama-untied-q4_0.gguf": "llama-untied", "gguf/qwen3-q4_1.gguf": "qwen3"}


RETAINED = ["lora-dropout", "dora-dropout", "dora-embed-head", "q4_1"]


def sequences():
    """Three of different lengths; loss on some tokens, on all, and on the last few."""
    g = torch.Generator().manual_seed(5)
    out = []
    for length, trained in ((11, lambda i: i >= 4 and i != 7), (5, lambda i: True), (19, lambda i: i >= 13)):
        ids = torch.randint(0, model_files.VOCAB, (length,), generator=g).tolist()
        targets = [ids[i + 1] if i + 1 < length and trained(i + 1) else -100 for i in range(length)]
        out.append((ids, targets))
    return out


def load(models, base):
    family = os.path.join(models, FAMILY.get(base, base))
    if base.startswith("llama-nf4"):
        return model_files.plain_from_nf4(family, os.path.join(models, base))
    model = AutoModelForCausalLM.from_pretrained(family, dtype=torch.float32, attn_implementation="eager")
    if base.endswith(".gguf"):
        fill(model, GGUFReader(os.path.join(models, base)), "qwen" not in base)
    return model


def fill(model, reader, permuted):
    packed = {t.name: t for t in reader.tensors}
    for name, p in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        t = packed[model_files.gguf_name(name)]
        x = torch.from_numpy(dequantize(t.data, t.tensor_type).copy()).float().reshape(p.shape)
        heads = {"q_proj": model_files.HEADS, "k_proj": model_files.KV_HEADS}.get(name.split(".")[-2]) if permuted else None
        p.copy_(torch.from_numpy(model_files.unpermute(x.numpy(), heads).copy()) if heads else x)


def randomize(model, seed):
    """An adapter in mid-training: neither B nor the magnitudes' offsets are zero."""
    g = torch.Generator().manual_seed(seed)
    outer = {}
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        noise = torch.randn(p.shape, generator=g)
        if "magnitude" in name:
            p.data.mul_(1 + 0.1 * noise)
        elif "lora_embedding_A" in name:
            p.data.copy_(0.3 * noise)
        elif "lora_" in name:
            p.data.copy_(0.15 * noise)
        else:
            left, right = torch.randn(p.shape[0], generator=g), torch.randn(p.shape[1], generator=g)
            p.data.add_(0.02 * torch.outer(left, right))
            outer[name.replace(".modules_to_save.default", "")] = (left, right)
    return outer


class SeededDropout(torch.nn.Module):
    """nn.Dropout with a mask that follows from a seed: SplitMix64, 16 bits an element, over the packed rows."""

    def __init__(self, rate, module):
        super().__init__()
        self.threshold, self.first = round((1 - rate) * 65536), 0
        self.state = mix((mix((mix(DROPOUT_SEED) + module * 0x632BE59BD9B4E019) % 2**64)))

    def forward(self, x):
        n = x.shape[-1]
        keep = [self.bits(i) < self.threshold for i in range(self.first * n, (self.first + x.shape[-2]) * n)]
        return x * torch.tensor(keep).view(x.shape[-2:]) * (65536 / self.threshold)

    def bits(self, i):
        return mix((self.state + (i // 4 + 1) * 0x9E3779B97F4A7C15) % 2**64) >> 16 * (i % 4) & 0xFFFF


def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def fix_dropout(model):
    out = []
    for name, module in model.named_modules():
        if isinstance(getattr(module, "lora_dropout", None), torch.nn.ModuleDict) and LINEARS.count(name.split(".")[-1]):
            rate = getattr(module.lora_dropout["default"], "p", 0)
            if rate:
                index = int(name.split("layers.")[1].split(".")[0]) * 7 + LINEARS.index(name.split(".")[-1])
                out.append(SeededDropout(rate, index))
                module.lora_dropout["default"] = out[-1]
    return out


def keyed(model, full):
    """Trainable parameters by the name they are saved under."""
    if full:
        return dict(model.named_parameters())
    out = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            key = name.replace(".default", "").replace(".modules_to_save", "")
            if key.endswith("lora_magnitude_vector.weight"):
                key = key[: -len(".weight")]
            out[key] = p
    saved = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    assert set(out) == saved, set(out) ^ saved
    return out


def divergence(model, ids, targets):
    with torch.no_grad(), model.disable_adapter():
        base = model(torch.tensor([ids])).logits[0]
    adapted = model(torch.tensor([ids])).logits[0]
    each = torch.nn.functional.kl_div(adapted.log_softmax(-1), base.log_softmax(-1), log_target=True, reduction="none").sum(-1)
    return each[torch.tensor(targets) != -100].sum()


def cross_entropy(model, ids, targets):
    logits = model(torch.tensor([ids])).logits[0]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(targets), ignore_index=-100, reduction="sum")


def run(models, name, loss_of):
    base, options = CASES[name]
    torch.manual_seed(0)
    model = load(models, base)
    full, outer, dropouts = options is None, {}, []
    if full:
        model.requires_grad_(True)
    else:
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
        outer = randomize(model, 77)
        dropouts = fix_dropout(model)
    model.train()
    losses, first = [], 0
    for ids, targets in sequences():
        for module in dropouts:
            module.first = first
        first += len(ids)
        loss = loss_of(model, ids, targets)
        loss.backward()
        losses.append(float(loss.detach()))
    tensors = {}
    for key, p in keyed(model, full).items():
        if full or key in outer:
            tensors["rows." + key] = p.grad[::6].clone() if p.dim() == 2 else p.grad.clone()
            tensors["sum." + key] = p.grad[::2].double().sum(0).float()
        else:
            tensors["value." + key] = p.detach().clone()
            tensors["grad." + key] = p.grad.clone()
        if key in outer:
            tensors["outer." + key + ".0"], tensors["outer." + key + ".1"] = outer[key]
    return losses, tensors


def retain(models, out):
    sums = {}
    for name in RETAINED:
        sums[name], tensors = run(models, name, divergence)
        with open(os.path.join(out, "retain-" + name + ".safetensors.gz"), "wb") as f:
            f.write(gzip.compress(save({k: t for k, t in tensors.items() if k.startswith("grad.")}), 9, mtime=0))
        print("retain", name, sums[name])
    with open(os.path.join(out, "retain.json"), "w") as f:
        json.dump(sums, f, indent=1)
        f.write("\n")


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    models, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    retain(models, out)
    if sys.argv[3:] == ["retain"]:
        return
    cases = []
    for name, (base, options) in CASES.items():
        losses, tensors = run(models, name, cross_entropy)
        with open(os.path.join(out, name + ".safetensors.gz"), "wb") as f:
            f.write(gzip.compress(save(tensors), 9, mtime=0))
        cases.append(dict(name=name, base=base, adapter=options, losses=losses))
        print(name, losses, len(tensors))
    with open(os.path.join(out, "cases.json"), "w") as f:
        json.dump(dict(sequences=[dict(ids=i, targets=t) for i, t in sequences()], cases=cases), f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
