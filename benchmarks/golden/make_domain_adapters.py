"""Trains one of the placeholder adapters (legal, medical, code) with PEFT and writes its folder.

  python benchmarks/golden/make_domain_adapters.py legal --model HF_FOLDER --out adapters/legal

HF_FOLDER is made by hf_folder.py from the GGUF file that Chorale serves, so the adapter learns on the dequantized
weights it will meet. CPU, float32, a few minutes. The adapter is stored as float16; base weights never change.
Loss: mean negative log likelihood over the answer's tokens only (the closing <|im_end|> included).
"""
import argparse
import json
import pathlib
import random
import time

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

import domain_data
from domain_readme import write_readme

SEED = 20
RANK, ALPHA, BATCH, HELD_OUT = 8, 16, 8, 16
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
SETTINGS = {"legal": (1e-3, 320, 1), "medical": (1e-3, 240, 1), "code": (6e-4, 320, 1)}  # learning rate, examples, epochs


def encode(tokenizer, question, answer):
    """-> (ids, number of prompt ids). The answer is closed by the end-of-turn token, as the chat template does."""
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(answer + "<|im_end|>", add_special_tokens=False)["input_ids"]
    return head + tail, len(head)


def answer_loss(model, rows):
    """Sum of answer-token losses and their count. The output layer runs on answer positions only."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (width - len(r)) for r, _ in rows])
    answer = torch.tensor([[n <= i < len(r) for i in range(width)] for r, n in rows])
    causal = model.get_base_model() if isinstance(model, peft.PeftModel) else model
    hidden = causal.model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
    logits = causal.lm_head(hidden[answer[:, 1:]])
    return torch.nn.functional.cross_entropy(logits, ids[:, 1:][answer[:, 1:]], reduction="sum"), int(answer.sum())


def mean_loss(model, rows):
    model.eval()
    with torch.no_grad():
        sums = [answer_loss(model, rows[i:i + BATCH]) for i in range(0, len(rows), BATCH)]
    return sum(float(s) for s, _ in sums) / sum(n for _, n in sums)


def split(pairs, count):
    """Shuffles, and keeps HELD_OUT pairs whose answers the training part never shows."""
    random.Random(SEED).shuffle(pairs)
    held = pairs[:HELD_OUT]
    hidden = {answer for _, answer in held}
    return [p for p in pairs[HELD_OUT:] if p[1] not in hidden][:count], held


def train(model, rows, learning_rate, epochs):
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0)
    steps, step, start, order = epochs * (len(rows) // BATCH), 0, time.time(), random.Random(SEED + 1)
    model.train()
    for _ in range(epochs):
        # batches of similar length in random order: less padding on a CPU
        by_length = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
        batches = [by_length[i:i + BATCH] for i in range(0, len(rows) - BATCH + 1, BATCH)]
        order.shuffle(batches)
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, (step + 1) / 5) * (1.0 - 0.9 * step / steps)
            total, count = answer_loss(model, [rows[i] for i in batch])
            (total / count).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            print(f"step {step}/{steps} loss {total.item() / count:.3f} {time.time() - start:.0f} s", flush=True)


def save(model, out):
    """PEFT's own files, then: float16 tensors, a fixed key order, and the hub name as the base."""
    model.save_pretrained(str(out))
    (out / "README.md").unlink(missing_ok=True)  # the empty model card; ours follows
    tensors = {k: v.to(torch.float16).contiguous() for k, v in load_file(out / "adapter_model.safetensors").items()}
    save_file(dict(sorted(tensors.items())), out / "adapter_model.safetensors", metadata={"format": "pt"})
    (out / "adapter_model.safetensors").chmod(0o644)
    config = json.loads((out / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = BASE
    config["target_modules"] = sorted(config["target_modules"])
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domain", choices=sorted(domain_data.MAKERS))
    parser.add_argument("--model", required=True, help="HF folder made by hf_folder.py")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache" / "chorale-golden")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    learning_rate, examples, epochs = SETTINGS[args.domain]
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    base = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    train_pairs, held_pairs = split(domain_data.MAKERS[args.domain](args.cache), examples)
    train_rows = [encode(tokenizer, *p) for p in train_pairs]
    held_rows = [encode(tokenizer, *p) for p in held_pairs]
    before = mean_loss(base, held_rows)
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM")
    model = peft.get_peft_model(base, config)
    start = time.time()
    train(model, train_rows, learning_rate, epochs)
    seconds = time.time() - start
    args.out.mkdir(parents=True, exist_ok=True)
    save(model, args.out)
    fresh = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(fresh, str(args.out)).eval()  # what is described is what was stored
    facts = {"domain": args.domain, "examples": len(train_rows), "epochs": epochs, "learning_rate": learning_rate,
             "rank": RANK, "alpha": ALPHA, "batch": BATCH, "seed": SEED, "held_out": len(held_rows), "before": before,
             "after": mean_loss(model, held_rows), "seconds": seconds, "threads": args.threads,
             "torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "peft": peft.__version__}
    write_readme(args.out, model, tokenizer, facts)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
