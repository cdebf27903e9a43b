"""Makes adapters/NAME/data/{train,eval,test,retain}.jsonl from pinned packages and replay*.jsonl.

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
    """What the base answers elsewhere (see replay.py): the adapter is held to the base there."""
    lines = [line for file in ("replay.jsonl", "replay_more.jsonl") for line in (pathlib.Path(__file__).parent / file).read_text(encoding="utf-8").splitlines()]
    return [{"messages": r["messages"]} for r in map(json.loads, lines) if r["topic"] != name]


def main(names):
    for name in names:
        out = ROOT / "adapters" / name / "data"
        made = importlib.import_module(name + "_task").make()
        random.Random(7105).shuffle(made[0])
        for part, items in zip(("train", "eval", "test", "retain"), (*made, others(name))):
            print(f"{name}: {part} {len(items)} rows, {rows.write(out / (part + '.jsonl'), items)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:] or ["legal", "medical", "code"])
