"""Makes adapters/NAME/data/{train,eval,test}.jsonl from pinned packages.

  python3 benchmarks/domains/make_data.py legal|medical|code      (seconds; Python 3.11.7 made the committed files)
"""
import importlib
import pathlib
import sys

import rows

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main(names):
    for name in names:
        out = ROOT / "adapters" / name / "data"
        for part, items in zip(("train", "eval", "test"), importlib.import_module(name + "_task").make()):
            print(f"{name}: {part} {len(items)} rows, {rows.write(out / (part + '.jsonl'), items)} bytes")


if __name__ == "__main__":
    main(sys.argv[1:] or ["legal", "medical", "code"])
