#!/usr/bin/env python3
"""Add MLX's adapters to src/test/resources/golden/adapters.

  mlx_adapters.py MODELS_DIR OUT_DIR     (src/test/resources/golden/models  src/test/resources/golden/adapters)

For every variant a folder as mlx-lm saves it (adapter_config.json, adapters.safetensors), with logits.json beside it: MLX's own
float32 logits of the adapted tiny model of model_files.py, for its two prompts at every position. Adds a line each to cases.json.

Needs mlx 0.32.4 (with its CPU part), mlx-lm 0.32.2; run after adapter_variants.py. Seeds are fixed; rerunning gives the same tensors.
"""
import json
import os
import shutil
import sys
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

LINEARS = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
VARIANTS = {
    "mlx-lora": ("llama", "lora", dict(rank=4, scale=1.7, dropout=0.0, keys=LINEARS), 2, 0.15),
    "mlx-default-keys": ("qwen2", "lora", dict(rank=3, scale=2.0, dropout=0.0), 1, 0.15),
    "mlx-dora": ("qwen3", "dora", dict(rank=4, scale=1.7, dropout=0.0, keys=LINEARS), 2, 0.15),
    "mlx-tied-embedding": ("llama", "lora", dict(rank=4, scale=2.0, dropout=0.0, keys=["self_attn.v_proj", "model.embed_tokens"]), 2, 0.1),
}


def numbers(row):
    return "[" + ",".join(f"{v:.6g}" for v in row) + "]"


def logits(model, prompts):
    return [(ids, model(mx.array([ids])).astype(mx.float32)[0].tolist()) for ids in prompts]


def write_logits(file, rows):
    with open(file, "w") as f:
        f.write('{"prompts":[' + ",\n".join(
            '{"ids":' + json.dumps(ids) + ',"logits":[\n' + ",\n".join(numbers(r) for r in values) + "]}" for ids, values in rows) + "]}\n")


def base(models, name):
    model, _ = load_model(Path(models) / name)
    model.update(tree_map(lambda x: x.astype(mx.float32), model.parameters()))
    return model


def make(models, out, name, seed):
    base_name, kind, parameters, layers, size = VARIANTS[name]
    golden = json.load(open(os.path.join(models, base_name, "logits.json")))
    prompts = [p["ids"] for p in golden["prompts"]]
    model = base(models, base_name)
    plain = logits(model, prompts)
    for (_, ours), p in zip(plain, golden["prompts"]):  # MLX computes this base as transformers does
        assert abs(mx.array(ours) - mx.array(p["logits"])).max().item() < 1e-3
    model.freeze()
    linear_to_lora_layers(model, layers, parameters, use_dora=kind == "dora")
    mx.random.seed(seed)
    trained = {}
    for key, value in tree_flatten(model.trainable_parameters()):
        part = key.rsplit(".", 1)[-1]
        noise = mx.random.normal(value.shape)
        if part == "m":
            trained[key] = value * (1 + 0.2 * noise)
        elif part == "lora_a":
            trained[key] = noise * value.shape[0] ** -0.5 if "embed" not in key else noise * 0.3
        elif part == "lora_b":
            trained[key] = noise * size * value.shape[0] ** -0.5
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    mx.save_safetensors(os.path.join(folder, "adapters.safetensors"), trained, metadata={"format": "mlx"})
    with open(os.path.join(folder, "adapter_config.json"), "w") as f:
        json.dump({"fine_tune_type": kind, "lora_parameters": parameters, "model": base_name, "num_layers": layers}, f, indent=1)
        f.write("\n")
    model.load_weights(os.path.join(folder, "adapters.safetensors"), strict=False)
    rows = logits(model, prompts)
    write_logits(os.path.join(folder, "logits.json"), rows)
    moved = max(abs(mx.array(a) - mx.array(b)).max().item() for (_, a), (_, b) in zip(rows, plain))
    assert moved > 0.3, (name, moved)
    return {"name": name, "base": base_name, "logits_moved": round(moved, 3)}


def main():
    mx.set_default_device(mx.cpu)
    models, out = sys.argv[1], sys.argv[2]
    file = os.path.join(out, "cases.json")
    cases = [c for c in json.load(open(file)) if not c["name"].startswith("mlx-")]
    for seed, name in enumerate(VARIANTS):
        cases.append(make(models, out, name, 3000 + seed))
        print(name, cases[-1]["logits_moved"])
    with open(file, "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


if __name__ == "__main__":
    main()
