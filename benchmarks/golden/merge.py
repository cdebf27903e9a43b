#!/usr/bin/env python3
"""Make src/test/resources/golden/merge, or check a merge by hand.

  merge.py golden MODELS_DIR ADAPTERS_DIR OUT_DIR    (src/test/resources/golden/{models,adapters,merge})
  merge.py logits MERGED_FOLDER LOGITS_JSON          transformers' logits of a merged folder against committed ones
  merge.py gguf MERGED_F32_FOLDER MERGED.gguf        every tensor of a merged GGUF against gguf-py's quantization of the folder's
  merge.py peft BASE_FOLDER ADAPTER MERGED_FOLDER    transformers' logits of a merged folder against PEFT's of base and adapter

golden: for every adapter, PEFT's merge_and_unload in float32; of each weight that it changed 64 values, evenly spread over the flat
row-major tensor, nine digits. Left out: nf4-dora (PEFT rounds the merge to NF4 again), lora-bias (PEFT refuses a base without
biases), tied-embed-head and tied-ensured (PEFT 0.21.2 adds the updates of both ends to the one shared tensor, which is then
neither). All four are held to the adapters' logits instead.

Needs torch 2.15, transformers 5.24, peft 0.21.2, gguf 0.19. Nothing is random.
"""
import json
import os
import sys
import warnings

import gguf
import numpy as np
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

SAMPLES = 64
LEFT_OUT = {"nf4-dora", "lora-bias", "tied-embed-head", "tied-ensured"}


def base_model(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def golden(models, adapters, out):
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(adapters, "cases.json")) as f:
        cases = [c for c in json.load(f) if "modules" in c and c["name"] not in LEFT_OUT]
    result = {}
    for case in cases:
        base = base_model(os.path.join(models, case["base"]))
        before = {k: v.clone() for k, v in base.state_dict().items()}
        before.setdefault("lm_head.weight", before["model.embed_tokens.weight"])
        merged = PeftModel.from_pretrained(base, os.path.join(adapters, case["name"])).merge_and_unload()
        changed = {}
        for key, value in merged.state_dict().items():
            if not torch.equal(value, before[key]):
                flat = value.float().reshape(-1).numpy()
                at = np.linspace(0, flat.size - 1, SAMPLES).astype(int)
                changed[key] = [float(f"{x:.9g}") for x in flat[at]]
        result[case["name"]] = {"base": case["base"], "changed": changed}
        print(case["name"], len(changed))
    with open(os.path.join(out, "values.json"), "w") as f:
        f.write("{\n" + ",\n".join(f' "{k}": {json.dumps(v, separators=(",", ":"))}' for k, v in result.items()) + "\n}\n")


def logits(folder, reference):
    model = base_model(folder)
    with open(reference) as f:
        for prompt in json.load(f)["prompts"]:
            with torch.no_grad():
                had = model(torch.tensor([prompt["ids"]])).logits[0].numpy()
            print("largest difference", np.abs(had - np.array(prompt["logits"])).max())


def peft(base, adapter, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer.encode("The tenant shall pay the rent on the first day of each month, and 17 more words.")])
    with torch.no_grad():
        merged = base_model(folder)(ids).logits
        plain = base_model(base)(ids).logits
        wanted = PeftModel.from_pretrained(base_model(base), adapter).eval()(ids).logits
    print("tokens", ids.shape[1], "adapter moves logits by", (wanted - plain).abs().max().item(),
          "merged differs by", (merged - wanted).abs().max().item())


NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
         "post_attention_layernorm": "ffn_norm", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}


def ggml_name(name):
    plain, kind = name.rsplit(".", 1)
    fixed = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}
    if plain in fixed:
        return f"{fixed[plain]}.{kind}"
    layer, rest = plain.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{NAMES[rest]}.{kind}"


def permuted(values, heads):
    return values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def gguf_file(folder, path):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()
    tensors = {t.name: t for t in reader.tensors}
    kinds = {}
    for name, value in load_file(os.path.join(folder, "model.safetensors")).items():
        values = value.float().numpy()
        had = tensors.pop(ggml_name(name))
        for part, heads in (("q_proj", config["num_attention_heads"]), ("k_proj", config["num_key_value_heads"])):
            if part in name and arch == "llama":
                values = permuted(values, heads)
        wanted = gguf.quantize(values, had.tensor_type)
        same = bytes(np.ascontiguousarray(had.data)) == bytes(np.ascontiguousarray(wanted))
        kinds.setdefault((had.tensor_type.name, "equal" if same else "DIFFERENT"), []).append(name)
    for kind, names in kinds.items():
        print(*kind, len(names), "such as", names[0])
    print("not in the folder:", sorted(tensors))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    {"golden": golden, "logits": logits, "gguf": gguf_file, "peft": peft}[sys.argv[1]](*sys.argv[2:])
