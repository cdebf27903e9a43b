"""Oracle for the real model: what transformers + PEFT answer on the weights that Chorale serves.

  python benchmarks/golden/hf_folder.py SmolLM2-135M-Instruct.Q4_1.gguf HF_FOLDER
  python benchmarks/golden/real_model.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --model HF_FOLDER

Writes src/test/resources/golden/real-model/{prompts,base,legal,code}.json and the README beside them. float32, eager
attention, CPU, adapters unmerged. Every sequence is also run again in float64, without a cache, over the tokens that
float32 picked; the largest logit difference goes into the README and justifies the tolerance there. Run again
whenever an adapter changes.
"""
import argparse
import hashlib
import json
import pathlib

import peft
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "src" / "test" / "resources" / "golden" / "real-model"
NEW_TOKENS = 64
EPSILON = 0.001
PROBE = [(i * 769 + 13) % 49152 for i in range(64)]
LOG = ("09:14 door opened by Mara (badge 4711); 09:20 café order: 3 × espresso, 12,50 €; 09:41 pump P-7 at 88 °C, limit 90; "
       "10:02 Jürgen restarts pump P-7; 10:03 pump P-7 at 61 °C; 10:30 会議 in room 5 🙂; 11:15 door closed, alarm on. ")
PROMPTS = {
    "capital": [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}],
    "terse-system": [{"role": "system", "content": "You answer in at most two short sentences."},
                     {"role": "user", "content": "Why is the sky blue?"}],
    "licence": [{"role": "user", "content": "Which license is this? Give its SPDX identifier.\n\nReleased under the Apache License, version 2.0."}],
    "function": [{"role": "user", "content": "Add the missing imports:\n\ndef area(r):\n    return math.pi * r ** 2"}],
    "third-turn": [{"role": "user", "content": "Name a fruit."}, {"role": "assistant", "content": "An apple."},
                   {"role": "user", "content": "Name another one, and say what colour it has."}],
    "long-log": [{"role": "user", "content": "Here is a log.\n\n" + LOG * 4 + "\n\nWhich pump was restarted, and by whom?"}],
}


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def rounded(values, digits):
    return [round(float(v), digits) for v in values]


@torch.no_grad()
def greedy(model, prompt):
    """-> (ids [NEW_TOKENS], logits [NEW_TOKENS, vocab]); the end token does not stop it."""
    ids, rows, cache, feed = [], [], None, torch.tensor([prompt])
    for _ in range(NEW_TOKENS):
        step = model(input_ids=feed, past_key_values=cache, use_cache=True)
        cache, row = step.past_key_values, step.logits[0, -1]
        rows.append(row)
        ids.append(int(row.argmax()))
        feed = torch.tensor([[ids[-1]]])
    return ids, torch.stack(rows)


@torch.no_grad()
def replay(model, prompt, ids):
    """The same logits from one pass over prompt and answer, without a cache."""
    return model(input_ids=torch.tensor([prompt + ids[:-1]]), use_cache=False).logits[0, len(prompt) - 1:]


def case(name, tokenizer, ids, logits):
    best = logits.topk(2, dim=-1).values
    picked = torch.log_softmax(logits.double(), dim=-1)[torch.arange(len(ids)), torch.tensor(ids)]
    top = logits[0].topk(20)
    ends = ids.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in ids else None
    return {"prompt": name, "outputIds": ids, "firstEndToken": ends,
            "text": tokenizer.decode(ids if ends is None else ids[:ends], skip_special_tokens=True),
            "topTwoGap": rounded(best[:, 0] - best[:, 1], 5), "logprob": rounded(picked, 5),
            "top20Ids": top.indices.tolist(), "top20Logits": rounded(top.values, 5),
            "probeLogits": rounded(logits[0, PROBE], 5)}


def load(folder, adapter, dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, str(adapter), autocast_adapter_dtype=False)
    return model.to(dtype).eval()


def write(name, value):
    path = OUT / name
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    if path.stat().st_size > 200_000:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, wanted at most 200000; use fewer prompts")


def oracle(args, tokenizer, prompts, adapter):
    folder = None if adapter is None else ROOT / "adapters" / adapter
    model = load(args.model, folder, torch.float32)
    answers = {name: greedy(model, prompt) for name, prompt in prompts.items()}
    del model
    exact = load(args.model, folder, torch.float64)
    error, unlike, gaps = 0.0, 0, []
    for name, (ids, logits) in answers.items():
        double = replay(exact, prompts[name], ids)
        error = max(error, float((double - logits).abs().max()))
        unlike += int((double.argmax(-1) != torch.tensor(ids)).sum())
        best = logits.topk(2, dim=-1).values
        gaps += (best[:, 0] - best[:, 1]).tolist()
    cases = [case(name, tokenizer, *answers[name]) for name in prompts]
    write(f"{adapter or 'base'}.json",
          {"adapter": adapter, "adapterSha256": None if folder is None else sha256(folder / "adapter_model.safetensors"),
           "probeIds": PROBE, "cases": cases})
    close = sum(g < EPSILON for g in gaps)
    print(f"{adapter or 'base'}: float32 against float64 {error:.2e}, other argmax {unlike}, smallest gap {min(gaps):.5f}, "
          f"{close} of {len(gaps)} below {EPSILON}", flush=True)
    return {"name": adapter or "base", "error": error, "smallest": min(gaps), "close": close, "positions": len(gaps),
            "sha": None if folder is None else sha256(folder / "adapter_model.safetensors")}


def readme(args, rows):
    adapters = "\n".join(f"- `adapters/{r['name']}/adapter_model.safetensors`: {r['sha']}" for r in rows if r["sha"])
    table = "\n".join(f"| {r['name']} | {r['error']:.1e} | {r['smallest']:.5f} | {r['close']} of {r['positions']} |" for r in rows)
    (OUT / "README.md").write_text(f"""# Golden: the real model

What transformers and PEFT compute on the dequantized weights of the served GGUF file, for six chat prompts with the base
and with the `legal` and `code` adapters. Made by (no random numbers, so no seed):

```
python benchmarks/golden/hf_folder.py SmolLM2-135M-Instruct.Q4_1.gguf HF_FOLDER
python benchmarks/golden/real_model.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --model HF_FOLDER
```

torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, peft {peft.__version__}; float32, eager attention, CPU, adapters not merged.
Run it again whenever an adapter changes. sha256:

- `SmolLM2-135M-Instruct.Q4_1.gguf`: {sha256(args.gguf)}
{adapters}

## Files
- `prompts.json`: `name`, `messages`, `text` (the rendered chat template with the generation prompt), `ids`.
- `base.json`, `legal.json`, `code.json`: `adapter`, `adapterSha256`, `probeIds` (64 fixed vocabulary ids) and, per prompt:
  - `outputIds`: {NEW_TOKENS} greedy tokens; the end token does not stop them (`ignore_eos`). `firstEndToken`: index of the first
    end token, or null. `text`: the answer up to there.
  - `topTwoGap`, `logprob`: per output position, best minus second-best logit, and the natural log probability of the pick.
  - `top20Ids`, `top20Logits`, `probeLogits`: the logits at the last prompt position. Five decimals.

## Tolerance
A greedy continuation must have the same tokens. It may part from them only at a position whose `topTwoGap` is below
**{EPSILON}**; from there on its context is another one, so the comparison of that sequence ends. Logits at the last prompt
position: absolute difference at most **{EPSILON / 2:g}** (half the gap, as two logits may move towards each other).

The float32 oracle itself, against the same model in float64 over the same tokens without a cache:

| | largest logit difference | smallest gap | gaps below {EPSILON} |
|---|---|---|---|
{table}
""", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True, help="the file HF_FOLDER was made from")
    parser.add_argument("--model", required=True, help="HF folder made by hf_folder.py")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    OUT.mkdir(parents=True, exist_ok=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    texts = {name: tokenizer.apply_chat_template(m, tokenize=False, add_generation_prompt=True) for name, m in PROMPTS.items()}
    prompts = {name: tokenizer(text, add_special_tokens=False)["input_ids"] for name, text in texts.items()}
    write("prompts.json", [{"name": n, "messages": PROMPTS[n], "text": texts[n], "ids": prompts[n]} for n in PROMPTS])
    readme(args, [oracle(args, tokenizer, prompts, adapter) for adapter in (None, "legal", "code")])


if __name__ == "__main__":
    main()
