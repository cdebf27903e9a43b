"""Tables and READMEs of the three adapters from what evaluate.sh measured (benchmarks/results/domains).

  python3 benchmarks/domains/table.py                  prints the table
  python3 benchmarks/domains/table.py --write          also README.md (between its domain-table marks) and adapters/*/README.md
"""
import argparse
import gzip
import json
import pathlib
import re

import describe

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "domains"
NAMES = ["legal", "medical", "code"]
BEGIN, END = "<!-- domain-table -->", "<!-- /domain-table -->"


def read():
    report = json.loads((RESULTS / "report.json").read_text(encoding="utf-8"))
    with gzip.open(RESULTS / "documents.jsonl.gz", "rt", encoding="utf-8") as lines:
        return report, [json.loads(line) for line in lines]


def sections(report):
    """{test: {candidate: (value, low, high)}} in per cent; the general set by its normalised accuracy"""
    found = {}
    for section in report["results"]:
        if section["metric"] in ("accuracy", "acc_norm"):
            found[section["task"]] = (section["documents"], {
                cell["candidate"]: [100 * cell["value"][key] for key in ("value", "low", "high")] for cell in section["cells"]})
    return found


def cell(numbers, bold):
    text = f"{numbers[0]:.1f} [{numbers[1]:.1f}..{numbers[2]:.1f}]"
    return f"**{text}**" if bold else text


def table(report):
    found, candidates = sections(report), report["candidates"]
    lines = ["| held-out test | questions | " + " | ".join(["base"] + candidates[1:]) + " |",
             "|---|---|" + "---|" * len(candidates)]
    for test, (documents, cells) in found.items():
        lines.append(f"| {test} | {documents} | " + " | ".join(cell(cells[c], c == test) for c in candidates) + " |")
    return lines


def failures(report):
    """What the three are meant to hold and do not, a line each: apart from the base, above the others, nothing lost elsewhere."""
    found, base, told = sections(report), report["candidates"][0], []
    for name in NAMES:
        own = found[name][1]
        if own[name][1] <= own[base][2]:
            told.append(f"{name}: its interval meets the base's on its own test")
        told += [f"{name}: {other} is as good on its test" for other in NAMES if other != name and own[other][0] >= own[name][0]]
        for test, (_, cells) in found.items():
            drop = cells[base][0] - cells[name][0]
            if test != name and drop > 2:
                told.append(f"{name}: loses {drop:.1f} points on {test}")
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    report, documents = read()
    lines = table(report)
    lines += ["", "Accuracy in per cent with 95 % bootstrap intervals; greedy answers of at most 64 tokens, scored by rule. `general`: multiple "
              "choice, length-normalised likelihood."]
    broken = failures(report)
    print("\n".join(lines))
    print("\n".join(broken) if broken else "every aim holds: apart from the base, above the other two, at most 2 points lost elsewhere")
    if args.write:
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        if BEGIN not in text or END not in text:
            raise SystemExit(f"{readme}: has no {BEGIN} ... {END}; add the two lines where the table shall stand")
        block = "\n".join([BEGIN] + lines + [END])
        readme.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, text, flags=re.S), encoding="utf-8")
        for name in NAMES:
            describe.write(ROOT / "adapters" / name, name, report, documents, lines)


if __name__ == "__main__":
    main()
