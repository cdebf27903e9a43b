"""What transformers' logits processors leave of a row of logits: the reference of the sampler.

  sampling.py OUT    writes OUT/rows.f32.gz and OUT/cases.json.gz (src/test/resources/golden/sampling)

Rows are made of a seeded normal distribution and some likely tokens, as a language model's are; float32, little-endian,
ROWS x VOCAB. A case is a row, the request's fields, the tokens seen (repetition penalty), and the distribution that is
left: ids with a probability of 5e-5 or more, and how many have any. Versions used: transformers 5.24.0, torch 2.15, numpy 2.
"""
import gzip
import json
import pathlib
import sys

import numpy as np
import torch
from transformers import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

VOCAB, ROWS = 4096, 4
CASES = [
    {"temperature": 1.0}, {"temperature": 0.6, "top_p": 0.9}, {"temperature": 1.0, "top_p": 0.5},
    {"temperature": 1.5, "top_p": 0.97}, {"temperature": 0.8, "top_k": 50}, {"temperature": 1.0, "top_k": 1},
    {"temperature": 0.7, "top_k": 40, "top_p": 0.95}, {"temperature": 2.0, "top_k": 1000, "top_p": 0.99},
    {"temperature": 1.0, "min_p": 0.05}, {"temperature": 1.2, "top_k": 20, "min_p": 0.02},
    {"temperature": 0.9, "top_p": 0.9, "repetition_penalty": 1.3},
]


def rows():
    rng = np.random.default_rng(7)
    out = rng.normal(0, 2.5, (ROWS, VOCAB)).astype(np.float32)
    for row, likely in enumerate((3, 12, 40, 0)):
        out[row, rng.choice(VOCAB, likely, replace=False)] += rng.uniform(6, 12, likely).astype(np.float32)
    return out


def processors(case):
    steps = LogitsProcessorList()
    if "repetition_penalty" in case:
        steps.append(RepetitionPenaltyLogitsProcessor(case["repetition_penalty"]))
    steps.append(TemperatureLogitsWarper(case["temperature"]))
    if "top_k" in case:
        steps.append(TopKLogitsWarper(case["top_k"]))
    if "top_p" in case:
        steps.append(TopPLogitsWarper(case["top_p"]))
    if "min_p" in case:
        steps.append(MinPLogitsWarper(case["min_p"]))
    return steps


def main(out):
    logits = rows()
    cases = []
    for row in range(ROWS):
        seen = [int(i) for i in np.argsort(-logits[row])[:6:2]]
        for case in CASES:
            ids = torch.tensor([seen])
            left = processors(case)(ids, torch.from_numpy(logits[row:row + 1].copy()).double())
            p = torch.softmax(left, -1)[0].numpy()
            kept = np.flatnonzero(p >= 5e-5)
            cases.append({"row": row, "seen": seen, **case, "keptTokens": int((p > 0).sum()), "ids": kept.tolist(),
                          "probabilities": [float(f"{x:.6g}") for x in p[kept]]})
    (out / "rows.f32.gz").write_bytes(gzip.compress(logits.astype("<f4").tobytes(), mtime=0))
    (out / "cases.json.gz").write_bytes(gzip.compress(json.dumps(cases).encode(), mtime=0))


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
