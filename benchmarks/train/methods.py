#!/usr/bin/env python3
"""Full fine-tuning, LoRA, DoRA and QLoRA on the same rows, in the same order: held-out loss, speed, memory, size. LoRA once more in float32.

  methods.py --hf HF_FOLDER --gguf MODEL.gguf [--steps 40] [--only lora,full] [--write]

Plain Python 3.11. HF_FOLDER is the GGUF's dequantization in bfloat16 (benchmarks/golden/hf_folder.py), so that all train over the same
weights. The rows are those of adapters/legal, 16 a step; one run each, one after the other. Writes
benchmarks/results/DATE-methods-MACHINE.json; with --write also the table and the curve in docs/ from the newest such file.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "load"))
sys.path.insert(0, str(HERE))
import curve  # noqa: E402
import machine  # noqa: E402

SHAPE = ["--rank", 8, "--alpha", 16, "--lr", 1e-3]
METHODS = {  # name: base, flags, what the table calls it
    "full": ("hf", ["--method", "full", "--lr", 1e-4], "full fine-tuning, BF16 base"),
    "lora": ("hf", ["--method", "lora", *SHAPE], "LoRA, BF16 base"),
    "lora-f32": ("hf", ["--method", "lora", "--compute", "f32", *SHAPE], "LoRA, BF16 base, float32 arithmetic"),
    "dora": ("hf", ["--method", "dora", *SHAPE], "DoRA, BF16 base"),
    "qlora": ("gguf", ["--method", "lora", *SHAPE], "QLoRA, Q4_1 base"),
    "qlora-nf4": ("hf", ["--method", "lora", "--base-quantization", "nf4-dq", *SHAPE], "QLoRA, NF4 base, scales quantized too"),
}
BEGIN, END = "<!-- methods-table -->", "<!-- /methods-table -->"
DATA = REPOSITORY / "adapters" / "legal" / "data"


def run(name, a, temp):
    base, flags, _ = METHODS[name]
    command = [*os.environ.get("CHORALE", str(REPOSITORY / "chorale")).split(), "train", "--data", DATA / "train.jsonl",
               "--eval-data", DATA / "eval.jsonl", "--name", name, "--out", temp / name, "--run-dir", temp / f"run-{name}",
               "--model", getattr(a, base), "--base-name", "HuggingFaceTB/SmolLM2-135M-Instruct", "--max-steps", a.steps,
               "--batch-size", 16, "--grad-accum", 1, "--dropout", 0, "--warmup", 0.05, "--max-grad-norm", 1, "--samples", 0,
               "--max-seq-length", 512, "--save-dtype", "f16", "--seed", 7106, *flags]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    events = [json.loads(line) for line in open(temp / f"run-{name}" / "metrics.jsonl")]
    steps = [event for event in events if event["event"] == "step"]
    evals = [event["loss"] for event in events if event["event"] == "evaluated"]
    timed = steps[1:]
    trained = re.search(r"trainable params: ([\d,]+)", done.stdout)
    weights = [file for file in (temp / name).iterdir() if file.suffix == ".safetensors"]
    return {"trained": int(trained.group(1).replace(",", "")), "eval_before": evals[0], "eval_after": min(evals[1:]),
            "tok_s": round(sum(s["tokens"] for s in timed) / sum(s["stepMs"] for s in timed) * 1000, 1),
            "s_per_step": round(statistics.median(s["stepMs"] for s in timed) / 1000, 3),
            "peak_rss_mib": next(e["peakResidentBytes"] for e in events if e["event"] == "finished") >> 20,
            "bytes": sum(file.stat().st_size for file in weights), "losses": [round(s["loss"], 4) for s in steps]}


def table(found):
    rows = ["| method | trained parameters | held-out loss, before and after | tokens/s | peak memory | result |", "|---|---|---|---|---|---|"]
    for name, r in found["runs"].items():
        rows.append(f"| {METHODS[name][2]} | {r['trained']:,} | {r['eval_before']:.3f} -> {r['eval_after']:.3f} | {r['tok_s']:.0f} "
                    f"| {r['peak_rss_mib']:,} MiB | {r['bytes'] / 1e6:.1f} MB |")
    host = found["machine"]
    return [*rows, "", f"{found['steps']} steps of 16 rows of `adapters/legal` each, one run of each, computed in {found['compute']} where not said otherwise, on "
            f"{host['cpu']}, {host['processors']} processors ({found['date']}). `benchmarks/train/methods.py`, all losses in "
            f"`benchmarks/results/{found['file']}`."]


def write(file):
    found = json.loads(file.read_text())
    page = REPOSITORY / "docs" / "training.md"
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{page}: has no {BEGIN} ... {END}; add the two lines where the table shall stand")
    block = "\n".join([BEGIN, *table(found), END])
    page.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, text, flags=re.S), encoding="utf-8")
    curves = {METHODS[name][2]: r["losses"] for name, r in found["runs"].items()}
    (REPOSITORY / "docs" / "training-methods.svg").write_text(curve.svg("Training loss, mean of 5 steps", curves, smooth=5))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hf", required=True)
    p.add_argument("--gguf", required=True)
    p.add_argument("--steps", type=int, default=40)
    p.add_argument("--only", default=",".join(METHODS))
    p.add_argument("--write", action="store_true")
    a = p.parse_args()
    described = machine.describe()
    bf16 = "avx512_bf16" in described["flags"]
    name = f"{datetime.date.today()}-methods-{machine.slug(described)}.json"
    out = REPOSITORY / "benchmarks" / "results" / name
    found = {"machine": described, "commit": machine.commit(REPOSITORY), "date": str(datetime.date.today()), "file": name,
             "steps": a.steps, "compute": "bf16" if bf16 else "f32", "runs": {}}
    with tempfile.TemporaryDirectory() as folder:
        for method in a.only.split(","):
            found["runs"][method] = r = run(method, a, pathlib.Path(folder))
            print(f"{method:10} {r['eval_before']:.4f} -> {r['eval_after']:.4f}  {r['tok_s']:6.1f} tok/s  {r['peak_rss_mib']} MiB"
                  f"  load {os.getloadavg()[0]:.1f}", flush=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(found)), f"\nwritten {out}")
    if a.write:
        write(out)


if __name__ == "__main__":
    main()
