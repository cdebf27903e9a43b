#!/usr/bin/env python3
"""Make the tiny random models under src/test/resources/golden/models.

  model_files.py OUT_DIR          (OUT_DIR = src/test/resources/golden/models)

One Hugging Face folder per family (config.json, model.safetensors in bfloat16, generation_config.json, tokenizer.json,
tokenizer_config.json, chat_template.jinja, logits.json), two bitsandbytes-quantized folders, and under gguf/ the same weights as
GGUF files with one NAME.logits.json each. logits.json: {"prompts": [{"ids": [...], "logits": [[...] per position]}]}, computed by
transformers in float32 from the weights as stored (dequantized where quantized), eager attention, CPU.

Needs torch 2.15, transformers 5.24, bitsandbytes 0.50.2, gguf 0.19, tokenizers, safetensors. Seeds are fixed; rerunning gives the
same tensors.
"""
import json
import os
import shutil
import sys
import warnings

import gguf
import numpy as np
import torch
import transformers
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

HIDDEN, INTER, HEADS, KV_HEADS, LAYERS, VOCAB = 64, 96, 4, 2, 2, 264
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
EOT, IM_START, IM_END = 256, 257, 258
PROMPTS = [[257, 72, 101, 108, 108, 111, 44, 32, 119, 258, 10, 5], [65, 200, 31, 256]]
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

COMMON = dict(
    vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INTER, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
    num_key_value_heads=KV_HEADS, max_position_embeddings=512, rms_norm_eps=1e-5, bos_token_id=IM_START, eos_token_id=IM_END,
    pad_token_id=EOT, tie_word_embeddings=True,
)
LLAMA3_ROPE = dict(
    rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
FAMILIES = {
    "llama": (transformers.LlamaConfig, dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "llama3-rope": (transformers.LlamaConfig, dict(rope_parameters=LLAMA3_ROPE)),
    "llama-untied": (
        transformers.LlamaConfig,
        dict(tie_word_embeddings=False, rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=5000.0)),
    ),
    "mistral": (
        transformers.MistralConfig,
        dict(head_dim=32, intermediate_size=32, sliding_window=6, rope_parameters=dict(rope_type="default", rope_theta=10000.0)),
    ),
    "qwen2": (
        transformers.Qwen2Config,
        dict(use_sliding_window=False, rms_norm_eps=1e-6, rope_parameters=dict(rope_type="default", rope_theta=1e6)),
    ),
    "qwen3": (
        transformers.Qwen3Config,
        dict(head_dim=32, intermediate_size=32, rms_norm_eps=1e-6, rope_parameters=dict(rope_type="default", rope_theta=1e6)),
    ),
}


def byte_level_vocab():
    """GPT-2's byte alphabet in byte order: token id = byte value."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars, extra = {b: chr(b) for b in kept}, 0
    for b in range(256):
        if b not in chars:
            chars[b] = chr(256 + extra)
            extra += 1
    return [chars[b] for b in range(256)] + SPECIALS + [f"<|reserved_{i}|>" for i in range(VOCAB - 259)]


def write_tokenizer(folder):
    tokens = byte_level_vocab()
    tok = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[]))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIALS])
    tok.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    dump(folder, "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "model_max_length": 512, "clean_up_tokenization_spaces": False})
    with open(os.path.join(folder, "chat_template.jinja"), "w") as f:
        f.write(TEMPLATE)


def dump(folder, name, value):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def randomize(model, seed):
    """Weights of a size that makes attention and logits uneven; norms and biases off their defaults."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            if name.endswith("norm.weight"):
                p.copy_(1 + 0.2 * noise)
            elif name.endswith(".bias"):
                p.copy_(0.3 * noise)
            elif "embed_tokens" in name:
                p.copy_(0.5 * noise)
            else:
                p.copy_(noise * p.shape[1] ** -0.5 * 1.5)


def logits_of(model):
    model = model.float().eval()
    out = []
    with torch.no_grad():
        for ids in PROMPTS:
            out.append((ids, model(torch.tensor([ids])).logits[0].float()))
    return out


def write_logits(path, rows):
    with open(path, "w") as f:
        parts = []
        for ids, logits in rows:
            lines = ",\n".join("[" + ",".join("%.6g" % v for v in row) + "]" for row in logits.tolist())
            parts.append('{"ids":%s,"logits":[\n%s]}' % (json.dumps(ids), lines))
        f.write('{"prompts":[' + ",\n".join(parts) + "]}\n")


def make_hf(out, name, seed):
    cls, options = FAMILIES[name]
    config = cls(**{**COMMON, **options})
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model = AutoModelForCausalLM.from_config(config)
    randomize(model, seed)
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=IM_START, eos_token_id=[IM_END, EOT], pad_token_id=EOT)
    model.to(torch.bfloat16).save_pretrained(folder)
    write_tokenizer(folder)
    os.chmod(os.path.join(folder, "model.safetensors"), 0o644)
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    write_logits(os.path.join(folder, "logits.json"), logits_of(loaded))
    return folder


def make_nf4(out, source, name, double_quant):
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double_quant,
        bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        source, quantization_config=quantization, dtype=torch.float32, device_map="cpu", attn_implementation="eager")
    model.save_pretrained(folder)
    # Keep dense tensors small: they came from bfloat16, so this loses nothing.
    path = os.path.join(folder, "model.safetensors")
    tensors = load_file(path)
    for key, t in tensors.items():
        if key.endswith("norm.weight") or key.endswith("embed_tokens.weight"):
            tensors[key] = t.to(torch.bfloat16)
    save_file(tensors, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    write_tokenizer(folder)
    write_logits(os.path.join(folder, "logits.json"), logits_of(plain_from_nf4(source, folder)))


def plain_from_nf4(source, folder):
    """The float model with every packed linear replaced by bitsandbytes' dequantization of the saved bytes.

    Through bitsandbytes' generic kernel: blocks of 64 run over the flat matrix, as on CUDA and as quantize_4bit makes them. The
    native CPU kernel of 0.50.2 starts blocks anew in every row and so is wrong for columns that are no multiple of 64.
    """
    import bitsandbytes.functional as bnb
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

    plain = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation="eager")
    tensors = load_file(os.path.join(folder, "model.safetensors"))
    state = plain.state_dict()
    count = 0
    for key in list(tensors):
        if not key.endswith(".weight.absmax"):
            continue
        base = key[: -len(".absmax")]
        parts = {k[len(base) + 1:]: v for k, v in tensors.items() if k.startswith(base + ".")}
        quant_state = bnb.QuantState.from_dict(parts, device=torch.device("cpu"))
        absmax = quant_state.absmax
        if quant_state.nested:
            absmax = bnb.dequantize_blockwise(absmax, quant_state.state2) + quant_state.offset
        state[base].copy_(_dequantize_4bit_compute(
            tensors[base].reshape(-1), absmax, quant_state.code, 64, tuple(quant_state.shape), torch.float32))
        count += 1
    assert count == 7 * LAYERS, count
    return plain


GGUF_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    flat = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
            "lm_head.weight": "output.weight"}
    if name in flat:
        return flat[name]
    _, _, layer, rest = name.split(".", 3)
    module, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{GGUF_NAMES[module]}.{kind}"


def permute(w, heads):
    """HF row order -> llama.cpp's llama row order (rotary pairs side by side)."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def unpermute(w, heads):
    return w.reshape(heads, w.shape[0] // heads // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def llama3_factors(config):
    """The divisors per frequency that llama.cpp's converter writes as rope_freqs.weight."""
    r = config.rope_parameters
    dim = config.hidden_size // config.num_attention_heads
    freqs = 1.0 / (r["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    low, high, old = r["low_freq_factor"], r["high_freq_factor"], r["original_max_position_embeddings"]
    factors = []
    for f in freqs.tolist():
        wavelen = 2 * np.pi / f
        if wavelen < old / high:
            factors.append(1.0)
        elif wavelen > old / low:
            factors.append(r["factor"])
        else:
            smooth = (old / wavelen - low) / (high - low)
            factors.append(1 / ((1 - smooth) / r["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def gguf_metadata(w, arch, config):
    head_dim = getattr(config, "head_dim", None) or HIDDEN // HEADS
    w.add_name("tiny-" + arch)
    w.add_context_length(config.max_position_embeddings)
    w.add_embedding_length(HIDDEN)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(config.intermediate_size)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_layer_norm_rms_eps(config.rms_norm_eps)
    w.add_rope_freq_base(config.rope_parameters["rope_theta"])
    w.add_rope_dimension_count(head_dim)
    if head_dim * HEADS != HIDDEN:
        w.add_key_length(head_dim)
        w.add_value_length(head_dim)
    if config.rope_parameters["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(config.rope_parameters["factor"])
    w.add_vocab_size(VOCAB)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list(byte_level_vocab())
    w.add_token_types([1] * 256 + [3] * 3 + [5] * (VOCAB - 259))
    w.add_token_merges(["a b"])
    w.add_bos_token_id(IM_START)
    w.add_eos_token_id(EOT)
    w.add_eot_token_id(IM_END)
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)


def make_gguf(out, family, arch, linear, embed):
    """One GGUF from the family's folder; logits from the dequantized weights."""
    source = os.path.join(out, family)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation="eager")
    config = model.config
    if getattr(config, "sliding_window", None):
        config.sliding_window = None  # llama.cpp's llama architecture has no window
    file = os.path.join(out, "gguf", f"{family}-{linear}.gguf".lower())
    w = gguf.GGUFWriter(file, arch)
    gguf_metadata(w, arch, config)
    if config.rope_parameters["rope_type"] == "llama3":
        w.add_tensor("rope_freqs.weight", llama3_factors(config))
    state = model.state_dict()
    for name, tensor in state.items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        target, x = gguf_name(name), tensor.numpy()
        heads = {"attn_q": HEADS, "attn_k": KV_HEADS}.get(target.split(".")[-2]) if arch == "llama" else None
        if heads:
            x = permute(x, heads)
        if x.ndim == 1:
            w.add_tensor(target, np.ascontiguousarray(x))
            continue
        kind = gguf.GGMLQuantizationType[embed if "embd" in target or target == "output.weight" else linear]
        packed = quantize(np.ascontiguousarray(x), kind)
        w.add_tensor(target, packed, raw_dtype=kind)
        back = dequantize(packed, kind).astype(np.float32).reshape(x.shape)
        tensor.copy_(torch.from_numpy(unpermute(back, heads) if heads else back))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    write_logits(file[: -len(".gguf")] + ".logits.json", logits_of(model))


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    out = sys.argv[1]
    for seed, name in enumerate(FAMILIES):
        make_hf(out, name, 1000 + seed)
    make_nf4(out, os.path.join(out, "llama"), "llama-nf4", False)
    make_nf4(out, os.path.join(out, "llama"), "llama-nf4-dq", True)
    os.makedirs(os.path.join(out, "gguf"), exist_ok=True)
    make_gguf(out, "llama", "llama", "F16", "F16")
    make_gguf(out, "llama", "llama", "Q4_1", "Q8_0")
    make_gguf(out, "llama-untied", "llama", "Q4_0", "Q8_0")
    make_gguf(out, "llama3-rope", "llama", "Q8_0", "Q8_0")
    make_gguf(out, "mistral", "llama", "Q4_0", "F16")
    make_gguf(out, "qwen2", "qwen2", "Q8_0", "BF16")
    make_gguf(out, "qwen3", "qwen3", "Q4_1", "F16")


if __name__ == "__main__":
    main()
