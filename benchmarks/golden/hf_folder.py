"""GGUF file -> Hugging Face folder that transformers loads: the dequantized weights are the oracle's base model.

  python benchmarks/golden/hf_folder.py MODEL.gguf OUT

Llama architecture with a SmolLM or GPT-2 byte-level BPE vocabulary; anything else ends the run by name. Every tensor
becomes float32 (a 4-bit block is exactly scale * q + minimum, so nothing is rounded again). GGUF stores the rows of
llama's q and k projections so that rotary pairs are neighbours (rows 2i and 2i+1 of a head); Hugging Face keeps the
pair halves apart (rows i and i + headDim/2), and this script puts them back.
"""
import argparse
import pathlib
import re
import sys

import numpy
import transformers
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
IN_LAYER = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
            "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
CONTROL = 3  # tokenizer.ggml.token_type of a control token


def rows_for_halves(rows, heads):
    """Index array: HF row h*d + half*(d/2) + i is GGUF row h*d + 2*i + half."""
    dim = rows // heads
    index = numpy.arange(rows).reshape(heads, dim // 2, 2)  # [head, pair, half] in GGUF order
    return index.transpose(0, 2, 1).ravel()


def renamed(name):
    layer = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if layer:
        return f"model.layers.{layer[1]}.{IN_LAYER[layer[2]]}.weight"
    return TOP[name.removesuffix(".weight")] + ".weight"


def weights(reader, heads, kv_heads):
    tensors = {}
    for tensor in reader.tensors:
        value = dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
        value = value.reshape(tuple(int(n) for n in tensor.shape[::-1]))
        if ".attn_q." in tensor.name:
            value = value[rows_for_halves(len(value), heads)]
        elif ".attn_k." in tensor.name:
            value = value[rows_for_halves(len(value), kv_heads)]
        tensors[renamed(tensor.name)] = numpy.ascontiguousarray(value)
    return tensors


def config_of(meta, tied):
    width = meta["llama.embedding_length"]
    heads = meta["llama.attention.head_count"]
    return transformers.LlamaConfig(
        architectures=["LlamaForCausalLM"], dtype="float32", tie_word_embeddings=tied, hidden_act="silu",
        hidden_size=width, num_attention_heads=heads, num_key_value_heads=meta["llama.attention.head_count_kv"],
        head_dim=meta.get("llama.attention.key_length", width // heads), intermediate_size=meta["llama.feed_forward_length"],
        num_hidden_layers=meta["llama.block_count"], max_position_embeddings=meta["llama.context_length"],
        vocab_size=len(meta["tokenizer.ggml.tokens"]), rms_norm_eps=round(meta["llama.attention.layer_norm_rms_epsilon"], 12),
        rope_parameters={"rope_type": "default", "rope_theta": float(meta["llama.rope.freq_base"])},
        bos_token_id=meta.get("tokenizer.ggml.bos_token_id"), eos_token_id=meta["tokenizer.ggml.eos_token_id"],
        pad_token_id=meta.get("tokenizer.ggml.padding_token_id"))


def tokenizer_of(meta):
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"]]
    core = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    smollm = meta["tokenizer.ggml.pre"] == "smollm"
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), byte_level] if smollm else [byte_level])
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, kinds) if k == CONTROL])

    def named(role):
        number = meta.get(f"tokenizer.ggml.{role}_token_id")
        return None if number is None else tokens[number]

    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=named("bos"), eos_token=named("eos"), pad_token=named("padding"),
        unk_token=named("unknown"), model_max_length=meta["llama.context_length"], clean_up_tokenization_spaces=False)
    fast.chat_template = meta.get("tokenizer.chat_template")
    return fast


def make(gguf, out):
    reader = GGUFReader(gguf)
    meta = {key: field.contents() for key, field in reader.fields.items()}
    kind = (meta["general.architecture"], meta["tokenizer.ggml.model"], meta.get("tokenizer.ggml.pre"))
    if kind not in {("llama", "gpt2", "smollm"), ("llama", "gpt2", "gpt-2")}:
        sys.exit(f"{gguf}: architecture {kind[0]}, tokenizer {kind[1]}/{kind[2]}; wanted llama with gpt2/smollm or gpt2/gpt-2")
    out.mkdir(parents=True, exist_ok=True)
    tensors = weights(reader, meta["llama.attention.head_count"], meta["llama.attention.head_count_kv"])
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config_of(meta, "lm_head.weight" not in tensors).save_pretrained(out)
    tokenizer_of(meta).save_pretrained(out)
    print(f"{len(tensors)} tensors -> {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    make(arguments.gguf, arguments.out)
