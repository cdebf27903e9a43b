#!/usr/bin/env python3
"""Make the adapters under src/test/resources/golden/adapters.

  adapter_variants.py MODELS_DIR OUT_DIR     (src/test/resources/golden/models  src/test/resources/golden/adapters)

For every variant a folder as PEFT saves it, with logits.json beside it: PEFT's float32 logits of the adapter, loaded back from that
folder onto a tiny model of model_files.py, for its two prompts at every position. gguf/ holds two of the adapters in llama.cpp's
form. cases.json lists them: base, what PEFT resolved as rank and scaling of every module, and how far the logits moved.

Needs torch 2.15, transformers 5.24, peft 0.21.2, bitsandbytes 0.50.2, gguf 0.19. Seeds are fixed; rerunning gives the same tensors.
"""
import copy
import json
import os
import shutil
import sys
import warnings

import gguf
import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import LoraLayer
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import model_files

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LINEARS = ATTENTION + ["gate_proj", "up_proj", "down_proj"]
MIXED = {f"layers.{n}.{m}": r for n, ranks in ((0, [1, 2, 3, 5, 8, 13, 21]), (1, [34, 64, 1, 4, 16, 7, 6]))
         for m, r in zip(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
                          "mlp.up_proj", "mlp.down_proj"], ranks)}

# name: (base, LoraConfig options, saved dtype, save_embedding_layers)
VARIANTS = {
    "lora-all-linear": ("llama", dict(r=4, lora_alpha=8, target_modules="all-linear")),
    "rslora": ("llama", dict(r=4, lora_alpha=6, use_rslora=True, target_modules=LINEARS)),
    "rank-pattern": ("llama", dict(r=4, lora_alpha=8, target_modules=LINEARS, rank_pattern={
        "q_proj": 2, "layers.1.mlp.down_proj": 7, r"^model\.layers\.0\.self_attn\.v_proj": 3, "proj": 5, "_proj": 1})),
    "alpha-pattern": ("llama", dict(r=4, lora_alpha=8, target_modules=LINEARS, alpha_pattern={
        r"mlp\.(up|down)_proj": 3, "k_proj": 16, r"model.layers.1.self_attn.q_proj": 0.5})),
    "layers-to-transform": ("llama", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj", "embed_tokens"],
                                          layers_to_transform=[1], layers_pattern="layers")),
    "regex-targets": ("llama", dict(r=4, lora_alpha=8, target_modules=r"model\.layers\.(?P<n>[01])\.self_attn\.[qo]_proj|.*\.0\.mlp\.down_proj")),
    "exclude-modules": ("llama", dict(r=4, lora_alpha=8, target_modules=LINEARS, exclude_modules=["layers.0.mlp.up_proj", "k_proj"])),
    "tied-embed-head": ("llama", dict(r=4, lora_alpha=8, target_modules=["q_proj", "embed_tokens", "lm_head"])),
    "tied-ensured": ("llama", dict(r=4, lora_alpha=8, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True),
                     None, False),
    "tied-modules-to-save": ("llama", dict(r=4, lora_alpha=8, target_modules=["v_proj"], modules_to_save=["embed_tokens"])),
    "lora-bias": ("llama", dict(r=4, lora_alpha=8, lora_bias=True, target_modules=LINEARS)),
    "dora": ("llama", dict(r=4, lora_alpha=8, use_dora=True, target_modules=LINEARS)),
    "dora-rslora": ("llama", dict(r=4, lora_alpha=6, use_dora=True, use_rslora=True, target_modules=LINEARS,
                                  rank_pattern={"o_proj": 9})),
    "dora-embed-head": ("llama-untied", dict(r=4, lora_alpha=8, use_dora=True, target_modules=["embed_tokens", "lm_head", "up_proj"]),
                        None, False),
    "saved-bf16": ("llama", dict(r=4, lora_alpha=8, target_modules=LINEARS), torch.bfloat16),
    "saved-f16": ("llama", dict(r=4, lora_alpha=8, target_modules=LINEARS), torch.float16),
    "mixed-ranks": ("llama", dict(r=4, lora_alpha=8, target_modules=LINEARS, rank_pattern=MIXED), torch.bfloat16),
    "rank-512": ("llama", dict(r=512, lora_alpha=64, use_rslora=True, target_modules=["k_proj"], layers_to_transform=[0]),
                 torch.float16),
    "untied-embed-head": ("llama-untied", dict(r=4, lora_alpha=8, target_modules=["k_proj", "embed_tokens", "lm_head"]), None, False),
    "untied-modules-to-save": ("llama-untied", dict(r=4, lora_alpha=8, target_modules=ATTENTION, modules_to_save=["embed_tokens", "lm_head"]),
                               torch.bfloat16),
    "nf4-dora": ("llama-nf4", dict(r=4, lora_alpha=8, use_dora=True, target_modules=LINEARS)),
}
# Configs only, for the matching rules: matching.json holds what PEFT makes of each on both bases.
MATCHING = [
    dict(target_modules=["q_proj"]),
    dict(target_modules=["self_attn.q_proj", "1.mlp.up_proj", "nothing"]),
    dict(target_modules=["model.layers.1.mlp.gate_proj", "proj", "lm_head"]),
    dict(target_modules=["model.layers.0.self_attn.q_proj", "v_proj"], layers_to_transform=[1]),
    dict(target_modules=["q_proj"], layers_to_transform=1),
    dict(target_modules=["q_proj"], layers_to_transform=0),
    dict(target_modules=["q_proj"], layers_to_transform=[0, 1, 5], layers_pattern=["h", "layers"]),
    dict(target_modules=["q_proj", "lm_head", "embed_tokens"], layers_to_transform=[0], layers_pattern=["lay.rs"]),
    dict(target_modules=["q_proj", "lm_head"], layers_to_transform=[0], layers_pattern=["h"]),
    dict(target_modules="all-linear"),
    dict(target_modules="ALL-linear", exclude_modules=r".*\.1\..*"),
    dict(target_modules=r".*_proj"),
    dict(target_modules=r"q_proj|v_proj"),
    dict(target_modules=r".*(q_proj|lm_head)"),
    dict(target_modules=r"(?:.*?(?:self_attn|attention).*?(?:q_proj|k_proj).*?).*?"),
    dict(target_modules=r"^model\.layers\.(?!0\.)\d+\..*(?<!gate)_proj$"),
    dict(target_modules=r"(?i).*\.UP_PROJ"),
    dict(target_modules=r"model\.(embed_tokens|layers\.0\.mlp\.[a-u]\w+_proj)"),
    dict(target_modules=["q_proj", "k_proj"], exclude_modules=["k_proj", "model.layers.0.self_attn.q_proj"]),
    dict(target_modules=["q_proj", "lm_head"], modules_to_save=["lm_head"]),
    dict(target_modules=["embed_tokens", "q_proj"], modules_to_save=["model.embed_tokens"]),
    dict(target_modules=["q_proj"], modules_to_save=["head"]),
    dict(target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"], ensure_weight_tying=True),
    dict(target_modules=["lm_head"], ensure_weight_tying=True),
    dict(target_modules=r".*\.embed_tokens", ensure_weight_tying=True),
    dict(target_modules=LINEARS, rank_pattern={"q_proj": 1, "self_attn.q_proj": 2, "0.self_attn.q_proj": 3}),
    dict(target_modules=LINEARS, rank_pattern={r".*\.0\.self_attn\..*": 3, r"self_attn\.[qk]_proj": 5, r"\w+\.down_proj": 6}),
    dict(target_modules=LINEARS, rank_pattern={"up_proj$": 3, "^up_proj": 5, "^model.*gate_proj": 6, "layers": 7, "": 9}),
    dict(target_modules=LINEARS, rank_pattern={"up|down_proj": 3, "o_proj|k_proj": 5}),
    dict(target_modules=LINEARS, use_rslora=True, rank_pattern={"q_proj": 3}, alpha_pattern={r"layers\.1\..*": 7, "q_proj": 2.5}),
    dict(target_modules=r"lm_head|.*\.v_proj", ensure_weight_tying=True),
    dict(target_modules=["embed_tokens", "q_proj"], rank_pattern={"embed_tokens": 3, "model": 5}, alpha_pattern={"model.embed_tokens": 1}),
]
GGUF = {"lora-all-linear": 8.0, "untied-embed-head": 8.0}


def base_model(models, name):
    """The base in float32; a quantized one through its dequantized weights (as PEFT's DoRA norm takes them)."""
    if name == "llama-nf4":
        return model_files.plain_from_nf4(os.path.join(models, "llama"), os.path.join(models, name))
    return AutoModelForCausalLM.from_pretrained(os.path.join(models, name), dtype=torch.float32, attn_implementation="eager")


def randomize(model, seed):
    """Every trained tensor off its default; B not zero; DoRA's magnitude off the norm; replaced weights near the base's."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=g)
            if "lora_magnitude_vector" in name:
                p.mul_(1 + 0.2 * noise)
            elif "lora_A" in name:
                p.copy_(noise * p.shape[1] ** -0.5)
            elif "lora_B" in name and name.endswith("weight"):
                p.copy_(noise * 0.15 * p.shape[1] ** -0.5)
            elif "lora_" in name:
                p.copy_(noise * 0.1)
            elif "modules_to_save" in name:
                p.add_(0.1 * noise)


def resolved(model):
    modules, whole = {}, []
    for name, module in model.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            modules[name] = {"rank": module.r["default"], "scaling": module.scaling["default"]}
        elif type(module).__name__ == "ModulesToSaveWrapper":
            whole.append(name)
    return modules, whole


def make(models, out, name, seed):
    base, options, *rest = VARIANTS[name]
    dtype, save_embeddings = (rest + [None, "auto"])[0], (rest + [None, "auto"])[1] if len(rest) > 1 else "auto"
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    model = get_peft_model(base_model(models, base), LoraConfig(task_type="CAUSAL_LM", **options))
    randomize(model, seed)
    model.save_pretrained(folder, save_embedding_layers=save_embeddings)
    os.remove(os.path.join(folder, "README.md"))
    config_file, weights = os.path.join(folder, "adapter_config.json"), os.path.join(folder, "adapter_model.safetensors")
    config = json.load(open(config_file))
    config["base_model_name_or_path"] = base
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config[key], list):
            config[key].sort()  # a set in PEFT: its order differs from run to run
    model_files.dump(folder, "adapter_config.json", config)
    if dtype:
        save_file({k: t.to(dtype) for k, t in load_file(weights).items()}, weights, metadata={"format": "pt"})
    os.chmod(weights, 0o644)
    loaded = PeftModel.from_pretrained(base_model(models, base), folder)
    rows = model_files.logits_of(loaded)
    model_files.write_logits(os.path.join(folder, "logits.json"), rows)
    plain = model_files.logits_of(base_model(models, base))
    moved = max((a - b).abs().max().item() for (_, a), (_, b) in zip(rows, plain))
    assert moved > 0.3, (name, moved)
    modules, whole = resolved(loaded)
    return {"name": name, "base": base, "modules": modules, "replaced": whole, "logits_moved": round(moved, 3)}


def matching(models, base, options):
    try:
        model = get_peft_model(base_model(models, base), LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, **copy.deepcopy(options)))
        modules, whole = resolved(model)
    except ValueError:
        modules, whole = {}, []
    return {"base": base, "config": {"peft_type": "LORA", "r": 4, "lora_alpha": 8, **options}, "modules": modules, "replaced": whole}


def make_gguf(out, name, alpha):
    tensors = load_file(os.path.join(out, name, "adapter_model.safetensors"))
    file = os.path.join(out, "gguf", name, name + ".gguf")
    os.makedirs(os.path.dirname(file), exist_ok=True)
    w = gguf.GGUFWriter(file, "llama")
    w.add_type(gguf.GGUFType.ADAPTER)
    w.add_string("adapter.type", "lora")
    w.add_float32("adapter.lora.alpha", alpha)
    for key, tensor in sorted(tensors.items()):
        module, part = key.removeprefix("base_model.model.").split(".lora_")
        target = model_files.gguf_name(module + ".weight")
        x = tensor.float().numpy()
        if part == "embedding_A":
            x = x.T
        if "B" in part:
            heads = {"attn_q": model_files.HEADS, "attn_k": model_files.KV_HEADS}.get(target.split(".")[-2])
            x = model_files.permute(x, heads) if heads else x
        w.add_tensor(target + (".lora_a" if "A" in part else ".lora_b"), np.ascontiguousarray(x))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    models, out = sys.argv[1], sys.argv[2]
    cases = []
    for seed, name in enumerate(VARIANTS):
        cases.append(make(models, out, name, 2000 + seed))
        print(name, cases[-1]["logits_moved"])
    for name, alpha in GGUF.items():
        make_gguf(out, name, alpha)
        cases.append({"name": "gguf/" + name, "base": VARIANTS[name][0], "same_as": name})
    with open(os.path.join(out, "cases.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    rules = [matching(models, base, options) for options in MATCHING for base in ("llama", "llama-untied")]
    with open(os.path.join(out, "matching.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r) for r in rules) + "\n]\n")


if __name__ == "__main__":
    main()
