#!/usr/bin/env python3
"""Training speed and memory: Chorale and PEFT/TRL in turn, in the same run, on the same rows.

  run.py --hf HF_FOLDER --gguf MODEL.gguf [--rounds 3] [--steps 5] [--only NAME,...] [--data equal,ragged] [--quick]

Run with the Python that has the packages of benchmarks/golden/requirements.txt and trl. HF_FOLDER is the GGUF's dequantization
(benchmarks/golden/hf_folder.py), so that all train on the same weights. LoRA r=16, alpha 32, all linear layers, batches of 4 rows,
every token trained on. `equal`: rows of 512 tokens; `ragged`: 32 to 512, log-uniform. Each run is a process of its own; the order
turns from round to round; the first step of each is not timed. Useful tokens are those of rows, padding is none. Chorale pads
nothing; it uses the same batches (no packing). Writes benchmarks/results/DATE-train-MACHINE.json and prints a table of medians.
"""
import argparse
import datetime
import json
import math
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "load"))
import machine  # noqa: E402

CHORALE = {  # name: model, flags
    "chorale-lora-f32": ("hf", ["--compute", "f32"]),
    "chorale-lora-bf16": ("hf", ["--compute", "bf16"]),
    "chorale-qlora-f32": ("gguf", ["--compute", "f32"]),
    "chorale-qlora-bf16": ("gguf", ["--compute", "bf16"]),
    "chorale-qlora-nf4-f32": ("hf", ["--compute", "f32", "--base-quantization", "nf4-dq"]),
    "chorale-dora-f32": ("hf", ["--compute", "f32", "--method", "dora"]),
}
PEERS = ["peft", "trl", "trl-defaults", "trl-bf16", "peft-qlora"]
BF16 = ["chorale-lora-bf16", "chorale-qlora-bf16", "trl-bf16"]


def make_data(kind, rows, tokenizer, folder):
    """Rows of text whose tokens number what the kind says: pieces of the standard library's docs, in a fixed order."""
    source = [json.loads(line) for line in open(HERE.parent / "golden" / "code-stdlib.jsonl")]
    text = "\n\n".join(" ".join(str(value) for value in row.values()) for row in source)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    draw = random.Random(0)
    file, at = folder / f"{kind}.jsonl", 0
    with open(file, "w") as out:
        for _ in range(rows):
            length = 620 if kind == "equal" else round(math.exp(draw.uniform(math.log(32), math.log(511))))
            if at + length > len(ids):
                at = draw.randrange(997)
            out.write(json.dumps({"text": tokenizer.decode(ids[at:at + length]).replace("<|", "< |")}) + "\n")
            at += length
    return file


def run_chorale(name, data, a, temp):
    model, flags = CHORALE[name]
    run = temp / "run"
    command = [*os.environ.get("CHORALE", str(REPOSITORY / "chorale")).split(), "train", "--data", data, "--format", "text",
               "--name", "bench", "--out", temp / "out", "--run-dir", run, "--force", "--model", a.hf if model == "hf" else a.gguf,
               "--max-steps", a.steps + 1, "--batch-size", 4, "--grad-accum", 1, "--max-seq-length", 512, "--dropout", 0,
               "--max-grad-norm", 0, "--schedule", "constant", "--warmup", 0, "--samples", 0, "--eval-split", 0, *flags]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{name} failed:\n{said[-3000:]}")
    steps = [event for event in map(json.loads, open(run / "metrics.jsonl")) if "gradNorm" in event or "grad_norm" in event]
    get = lambda event, *keys: next(event[key] for key in keys if key in event)  # noqa: E731
    timed = steps[1:]
    tokens, ms = [get(s, "tokens") for s in timed], [get(s, "stepMs", "step_ms") for s in timed]
    return {"useful_tok_s": round(sum(tokens) / sum(ms) * 1000, 1), "s_per_step": round(statistics.median(ms) / 1000, 3),
            "useful_share": 1.0, "peak_rss_mib": usage.ru_maxrss // 1024, "losses": [round(s["loss"], 4) for s in steps]}


def run_peer(name, data, a):
    done = subprocess.run([sys.executable, str(HERE / "peer.py"), a.hf, str(data), "--mode", name, "--steps", str(a.steps)],
                          capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise SystemExit(f"{name} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return json.loads(lines[0][7:])


def summary(runs):
    middle = lambda key: statistics.median(run[key] for run in runs)  # noqa: E731
    speeds = [run["useful_tok_s"] for run in runs]
    return {"useful_tok_s": middle("useful_tok_s"), "min": min(speeds), "max": max(speeds), "s_per_step": middle("s_per_step"),
            "peak_rss_mib": middle("peak_rss_mib"), "useful_share": middle("useful_share"), "losses": runs[0]["losses"], "rounds": len(runs)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hf", required=True)
    p.add_argument("--gguf", required=True)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=5)
    p.add_argument("--only", default=",".join([*CHORALE, *PEERS]))
    p.add_argument("--data", default="equal,ragged")
    p.add_argument("--quick", action="store_true", help="one round of two steps")
    p.add_argument("--out")
    a = p.parse_args()
    if a.quick:
        a.rounds, a.steps = 1, 2
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(a.hf)
    names = a.only.split(",")
    described = machine.describe()
    if "avx512_bf16" not in described["flags"] and "amx_int8" not in described["flags"]:
        names = [name for name in names if name not in BF16]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        temp = pathlib.Path(folder)
        files = {kind: make_data(kind, 4 * (a.steps + 1), tokenizer, temp) for kind in a.data.split(",")}
        for round_ in range(a.rounds):
            order = names[round_ % len(names):] + names[:round_ % len(names)]
            for kind, file in files.items():
                for name in order:
                    shutil.rmtree(temp / "run", ignore_errors=True)
                    result = run_chorale(name, file, a, temp) if name in CHORALE else run_peer(name, file, a)
                    results.setdefault(kind, {}).setdefault(name, []).append(result)
                    print(f"round {round_ + 1} {kind:7} {name:22} {result['useful_tok_s']:7.1f} tok/s {result['peak_rss_mib']:6} MiB"
                          f"  load {os.getloadavg()[0]:.1f}", flush=True)
                    time.sleep(1)
    table = {kind: {name: summary(runs) for name, runs in by.items()} for kind, by in results.items()}
    out = pathlib.Path(a.out or REPOSITORY / "benchmarks" / "results"
                       / f"{datetime.date.today()}-train-{machine.slug(described)}{'-quick' if a.quick else ''}.json")
    out.write_text(json.dumps({"machine": described, "commit": machine.commit(REPOSITORY), "steps": a.steps, "batch": 4, "rank": 16,
                               "results": table}, indent=1) + "\n")
    for kind, by in table.items():
        print(f"\n{kind}: median of {a.rounds} rounds\n| run | useful tokens/s | s a step | peak MiB | rows' share |\n|---|---|---|---|---|")
        for name, s in sorted(by.items(), key=lambda item: -item[1]["useful_tok_s"]):
            print(f"| {name} | {s['useful_tok_s']:.0f} ({s['min']:.0f} .. {s['max']:.0f}) | {s['s_per_step']:.2f} | {s['peak_rss_mib']:.0f} | {s['useful_share']:.2f} |")
    print(f"\nwritten {out}")


if __name__ == "__main__":
    main()
