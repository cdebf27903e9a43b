"""What the merges of run.sh keep, from its report: benchmarks/results/merge.json and a table.

  python3 benchmarks/merge/table.py                    prints the table of the committed result
  python3 benchmarks/merge/table.py RUNS --steps 60    from the folder that run.sh filled; writes the result
  ... --write                                          also README.md, between its merge-table marks
"""
import argparse
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "merge.json"
BEGIN, END = "<!-- merge-table -->", "<!-- /merge-table -->"
BASE_FORMAT = "q4_1"
WAYS = ["refit", "keep", "dither", "aware"]


def collect(runs, steps):
    """Losses with intervals, what each merge said of the update, what each training took; no folders of the machine."""
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(runs.glob("report*/report.json"))]
    sections = [next(s for s in report["results"] if s["metric"] == "loss") for report in reports]
    base = reports[0]["candidates"][0]
    found = {"what": "answer loss on held-out rows, nats per token, with 95 % bootstrap interval", "held_out_rows": sections[0]["documents"],
             "base": base, "steps": steps, "loss": {}, "update": {}, "training": {}}
    for cell in (cell for section in sections for cell in section["cells"]):
        name = "base" if cell["candidate"] == base else cell["candidate"]
        found["loss"][name] = [round(cell["value"][key], 5) for key in ("value", "low", "high")]
    for text in sorted(runs.glob("*.txt")):
        line = re.search(r"^ +all +([\d.]+) % +([-\d.]+) +([\d.]+)$", text.read_text(encoding="utf-8"), re.M)
        if line:
            found["update"][text.stem] = dict(zip(("per_cent_of_weights", "survival", "noise"), map(float, line.groups())))
    for facts in sorted(runs.glob("*/chorale.json")):
        stated = json.loads(facts.read_text(encoding="utf-8"))
        result, configuration = stated["result"], stated["configuration"]
        found["training"][facts.parent.name] = {
            "steps": result["steps"], "lr": configuration["lr"], "batch_size": configuration["batch-size"],
            "seconds": result["seconds"], "peak_resident_mib": round(result["peak_resident_bytes"] / 2**20),
            "merge_aware": stated.get("merge_aware")}
    return found


def share(losses, size, name):
    """Of the unmerged adapter's gain over the base, in per cent."""
    base, adapter, merged = (losses[key][0] for key in ("base", size, name))
    return 100 * (base - merged) / (base - adapter)


def table(found):
    losses = found["loss"]
    lines = ["| update | 4-bit format | base | adapter, unmerged | merged, F16 | nearest, new scales | nearest, base's scales | dithered | "
             "`--merge-aware` |", "|---" * 9 + "|"]
    for size in ("usual", "small"):
        for target in (BASE_FORMAT, "q4_0", "nf4"):
            names = {way: f"{size}.{target}.{way}" for way in WAYS}
            if names["refit"] not in losses:
                continue
            cells = [f"{losses[names[way]][0]:.3f} ({share(losses, size, names[way]):.1f} %)" if names[way] in losses else "–" for way in WAYS]
            percent = found["update"][names["refit"]]["per_cent_of_weights"] if target == BASE_FORMAT else None
            told = f"{size}, {percent:.2f} % of the weights" if percent is not None else size
            lines.append(f"| {told} | {target.upper()} | {losses['base'][0]:.3f} | {losses[size][0]:.3f} | {losses[size + '.f16'][0]:.3f} | "
                         + " | ".join(cells) + " |")
    told = "; ".join(f"{size}: {t['steps']} steps of {t['batch_size']} rows at rate {t['lr']}" for size, t in found["training"].items()
                     if not t["merge_aware"])
    lines += ["", f"Answer loss of {found['held_out_rows']} held-out rows of `adapters/legal`, nats per token, by `./chorale eval`; in brackets the share "
              f"of the unmerged adapter's gain. Rank 8 on all seven linears over SmolLM2-135M in Q4_1; {told}; trained for the merge on "
              "the same rows, steps and rate. Q4_0 and NF4 are not the base's format: there every block is scaled anew, whatever the way. –: not had, or not measured. "
              "One command: `benchmarks/merge/run.sh`; intervals and costs: `benchmarks/results/merge.json`."]
    return lines


def write(lines):
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{readme}: has no {BEGIN} ... {END}; add the two lines where the table shall stand")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    readme.write_text(text[:start] + "\n" + "\n".join(lines) + "\n" + text[end:], encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="?", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.runs:
        RESULT.write_text(json.dumps(collect(args.runs, args.steps), indent=1) + "\n", encoding="utf-8")
    lines = table(json.loads(RESULT.read_text(encoding="utf-8")))
    print("\n".join(lines))
    if args.write:
        write(lines)


if __name__ == "__main__":
    main()
