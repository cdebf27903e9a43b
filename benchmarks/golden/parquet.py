#!/usr/bin/env python3
"""Make the Parquet files under src/test/resources/golden/parquet, each with the rows that pyarrow reads from it.

  parquet.py OUT_DIR      (src/test/resources/golden/parquet)

One file per compression, page version and encoding, over the same rows: conversations (list of structs), tags (list of strings),
lists of lists, maps, numbers, truths, nulls, empty lists, an emoji. NAME.jsonl holds the rows, fields that are null left out. Needs
pyarrow 26.0.1.
"""
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

TURN = pa.struct([("role", pa.string()), ("content", pa.string()), ("weight", pa.float64())])
SCHEMA = pa.schema([
    ("messages", pa.list_(TURN)), ("tags", pa.list_(pa.string())), ("nested", pa.list_(pa.list_(pa.int32()))),
    ("meta", pa.map_(pa.string(), pa.int64())), ("id", pa.int64()), ("small", pa.int32()), ("ok", pa.bool_()), ("score", pa.float32()),
    ("note", pa.string()), ("inner", pa.struct([("deep", pa.struct([("text", pa.large_string())]))])),
])


def turn(i, k):
    return {"role": "user" if k % 2 == 0 else "assistant", "weight": None if k % 3 else k / 4,
            "content": None if (i + k) % 11 == 0 else f"text {i}.{k} \N{PARTY POPPER} {'x' * (i % 7)}"}


def row(i):
    return {
        "messages": None if i % 13 == 5 else [turn(i, k) for k in range(i % 5)],
        "tags": [f"t{k}" for k in range(i % 3)] if i % 4 else None, "nested": [[k, None, i] if k % 2 else [] for k in range(i % 4)],
        "meta": [(f"k{k}", i * k) for k in range(i % 3)], "id": (1 << 40) + i * 977 if i % 17 else None, "small": -i,
        "ok": i % 3 == 0 if i % 5 else None, "score": i / 8, "note": None if i % 2 else f"a shared beginning, then {i:05d}",
        "inner": None if i % 6 == 0 else {"deep": None if i % 6 == 1 else {"text": f"d{i}"}},
    }


def plain(value):
    """As Chorale gives it: maps as objects, fields of objects that are null left out."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return {k: plain(v) for k, v in value}
    return [plain(v) for v in value] if isinstance(value, list) else value


def write(out, name, rows, **options):
    file = os.path.join(out, name + ".parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file, **options)
    with open(os.path.join(out, name + ".jsonl"), "w") as f:
        for r in pq.read_table(file).to_pylist():
            f.write(json.dumps(plain({**r, "meta": dict(r["meta"])}), ensure_ascii=False) + "\n")


def main():
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    few, many = [row(i) for i in range(24)], [row(i) for i in range(130)]
    for codec in ("none", "snappy", "gzip", "zstd", "lz4"):
        write(out, "v1-" + codec, few, compression=codec)
    write(out, "v2-snappy", few, compression="snappy", data_page_version="2.0")
    write(out, "pages-and-groups", many, compression="zstd", data_page_size=300, row_group_size=60, write_batch_size=8)
    write(out, "plain", few, compression="none", use_dictionary=False, column_encoding={c: "PLAIN" for c in ("note", "id", "score")})
    write(out, "delta", few, compression="none", use_dictionary=False, data_page_version="2.0", column_encoding={
        "id": "DELTA_BINARY_PACKED", "small": "DELTA_BINARY_PACKED", "note": "DELTA_BYTE_ARRAY", "inner.deep.text": "DELTA_LENGTH_BYTE_ARRAY"})
    write(out, "old-lists", few, compression="snappy", use_compliant_nested_type=False, version="1.0")
    write(out, "no-rows", [], compression="snappy")


if __name__ == "__main__":
    main()
