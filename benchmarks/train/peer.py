#!/usr/bin/env python3
"""One training run of PEFT or TRL on a CPU, in a process of its own, so that peak memory is its own. Prints one line: RESULT {json}.

  peer.py HF_FOLDER DATA.jsonl --mode peft|trl|trl-defaults|trl-bf16|peft-qlora [--steps 5] [--batch 4] [--seq 512] [--rank 16]

LoRA alpha 32 on all linear layers, no dropout, AdamW 2e-4, every token of {"text": ...} trained on, an end token after it, rows cut
to --seq tokens. One step more than --steps is run; the first is not timed.

  peft          plain loop, float32, rows padded to the longest of the batch
  trl           SFTTrainer, float32, no gradient checkpointing
  trl-defaults  SFTTrainer with its own choices (bfloat16, gradient checkpointing, fused AdamW)
  trl-bf16      bfloat16 without checkpointing: what a user who knows the flags would take
  peft-qlora    the plain loop on a bitsandbytes NF4 base with double quantization, float32 compute
"""
import argparse
import json
import os
import resource
import statistics
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("hf")
p.add_argument("data")
p.add_argument("--mode", choices=["peft", "trl", "trl-defaults", "trl-bf16", "peft-qlora"], required=True)
p.add_argument("--steps", type=int, default=5)
p.add_argument("--batch", type=int, default=4)
p.add_argument("--seq", type=int, default=512)
p.add_argument("--rank", type=int, default=16)
p.add_argument("--threads", type=int, default=os.cpu_count())
a = p.parse_args()

import torch  # noqa: E402  (after the environment)
from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

torch.set_num_threads(a.threads)
torch.manual_seed(0)
total = a.steps + 1
tokenizer = AutoTokenizer.from_pretrained(a.hf)
rows = []
for line in open(a.data):
    ids = tokenizer(json.loads(line)["text"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    rows.append(ids[: a.seq])
rows = rows[: total * a.batch]
assert len(rows) == total * a.batch, "too few rows"
config = LoraConfig(r=a.rank, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
options = {"dtype": torch.float32}
if a.mode == "peft-qlora":
    from transformers import BitsAndBytesConfig
    options.update(device_map="cpu", quantization_config=BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32))
model = AutoModelForCausalLM.from_pretrained(a.hf, **options)
seconds, useful, padded, losses, extra = [], [], [], [], {}

if a.mode.startswith("peft"):
    model = get_peft_model(model, config)
    model.train()
    optimizer = torch.optim.AdamW([q for q in model.parameters() if q.requires_grad], lr=2e-4, weight_decay=0.0)
    for step in range(total):
        batch = rows[step * a.batch:(step + 1) * a.batch]
        longest = max(map(len, batch))
        ids = torch.tensor([x + [tokenizer.eos_token_id] * (longest - len(x)) for x in batch])
        mask = torch.tensor([[1] * len(x) + [0] * (longest - len(x)) for x in batch])
        start = time.perf_counter()
        loss = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100), use_cache=False).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
        useful.append(int(mask.sum()))
        padded.append(mask.numel())
        losses.append(float(loss.detach()))
else:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.start = time.perf_counter()

        def on_step_end(self, *_, **__):
            seconds.append(time.perf_counter() - self.start)

        def on_log(self, *_, logs=None, **__):
            if logs and "loss" in logs:
                losses.append(logs["loss"])

    with tempfile.TemporaryDirectory() as temp:
        choices = dict(
            output_dir=temp, per_device_train_batch_size=a.batch, max_steps=total, report_to=[], save_strategy="no", logging_steps=1,
            use_cpu=True, max_length=a.seq, learning_rate=2e-4, disable_tqdm=True)
        if a.mode != "trl-defaults":
            choices.update(gradient_checkpointing=False, bf16=a.mode == "trl-bf16")
        arguments = SFTConfig(**choices)
        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_dict({"input_ids": rows}), peft_config=config,
            processing_class=tokenizer, callbacks=[Clock()])
        collate = trainer.data_collator

        def counted(features):
            out = collate(features)
            mask = out["attention_mask"] if "attention_mask" in out else (out["labels"] != -100)
            useful.append(int((mask != 0).sum()))
            padded.append(out["input_ids"].numel())
            return out

        trainer.data_collator = counted
        trainer.train()
        extra = {"gradient_checkpointing": arguments.gradient_checkpointing, "bf16": arguments.bf16, "optim": str(arguments.optim)}
        useful, padded = useful[:total], padded[:total]

print("RESULT " + json.dumps({
    "useful_tok_s": round(sum(useful[1:]) / sum(seconds[1:]), 1),
    "s_per_step": round(statistics.median(seconds[1:]), 3),
    "useful_share": round(sum(useful[1:]) / sum(padded[1:]), 3),
    "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "losses": [round(x, 4) for x in losses], **extra}), flush=True)
