"""Makes adapters/NAME/data/{train,eval,test}.jsonl from pinned packages.

  python3 benchmarks/domains/make_data.py legal|medical|code      (seconds; Python 3.11.7 made the committed files)
"""
import importlib
import json
import pathlib
import random
import sys

import rows

ROOT = pathlib.Path(__file__).resolve().parents[2]


def others(name):
    """What the base answers elsewhere (see replay.py); legal and code lost more than two points there with the first file alone."""
    files = ["replay.jsonl"] if name == "medical" else ["replay.jsonl", "replay_more.jsonl"]
    lines = [line for file in files for line in (pathlib.Path(__file__).parent / file).read_text(encoding="utf-8").splitlines()]
    return [{"messages": r["messages"]} for r in map(json.loads, lines) if r["topic"] != name]


def main(names):
    for name in names:
        out = ROOT / "adapters" / name / "data"
        made = importlib.import_module(name + "_task").make()
        made[0].extend(others(name))
        random.Random(7105).shuffle(made[0])
        for part, items in zip(("train", "eval", "test"), made):
            print(f"{name}: {part} {len(items)} rows, {rows.write(out / (part + '.jsonl'), items)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:] or ["legal", "medical", "code"])
