#!/usr/bin/env python3
"""What lm-evaluation-harness itself says: golden files of io.chorale.eval.task, and a run against a server.

  lm_eval.py general OUT_DIR                 (OUT_DIR: benchmarks/eval)
  lm_eval.py golden HF_FOLDER OUT_DIR [TASK...]  (OUT_DIR: src/test/resources/golden/lm-eval; 10 min on 2 cores)
  lm_eval.py client BASE_URL MODEL HF_FOLDER TASK_DIR TASK [LIMIT]   prints a line per document
  lm_eval.py agree DOCUMENTS.jsonl[.gz] MODEL=CLIENT_LINES...        its decisions against those of ./chorale eval

`general` takes the MMLU dev questions that the harness ships (tasks/mmlu/flan_cot_fewshot, MIT) out of
its chain-of-thought prompts: question, four choices, answer; the one question with five choices is left
out, and the form feeds and line feeds that the file has in place of LaTeX's \\f are put right.
`golden` runs the task files in OUT_DIR/tasks with the harness' own transformers model in float32 on the CPU
and writes, per document and choice, the sha256 of context and continuation, the log-likelihood, and acc
and acc_norm. Seeds are the harness' defaults (few-shot 1234). `client` points the harness'
local-completions client at a running Chorale; `agree` counts acc and acc_norm of a document as two decisions.
Needs lm_eval[api]==0.4.13 beside requirements.txt.
"""

import gzip
import hashlib
import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

PINNED = "0.4.13"
# Task and how many of its documents, None for all.
GOLDEN = {"hellaswag_swag": None, "letters": 16, "rolling": None, "examples": 5, "general": 32}


def here_is_not_the_package():
    """This file has the package's name; the folder it lies in must not be searched."""
    own = Path(__file__).resolve().parent
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != own]


def general(out: Path):
    import lm_eval

    prompts = Path(lm_eval.__file__).parent / "tasks/mmlu/flan_cot_fewshot/_cot_prompts.json"
    rows = []
    for subject, text in sorted(json.loads(prompts.read_text()).items()):
        text = re.sub(r"[\n\f](?=rac\{|actorial)", r"\\f", text)
        for block in re.split(r"\n\nQ: ?", text)[1:]:
            found = re.match(
                r"(.*?)\n\(A\)(.*?)\(B\)(.*?)\(C\)(.*?)\(D\)(.*?)\nA: .*The answer is \(?([A-D])\)?\.?\s*$",
                block,
                re.S,
            )
            if found and "(E)" not in found.group(5):
                choices = [found.group(i).strip() for i in range(2, 6)]
                row = {"subject": subject, "question": found.group(1).strip(), "choices": choices}
                rows.append(row | {"answer": "ABCD".index(found.group(6))})
    with open(out / "general.jsonl", "w") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(len(rows), "questions of", len({r["subject"] for r in rows}), "subjects")


def evaluate(model, task_dir: Path, task: str, limit):
    import lm_eval
    from lm_eval.tasks import TaskManager

    os.chdir(task_dir)  # data files are named relative to the task files
    return lm_eval.simple_evaluate(
        model=model,
        tasks=[task],
        task_manager=TaskManager(include_path=str(task_dir), include_defaults=False),
        limit=limit,
        log_samples=True,
        bootstrap_iters=0,
    )


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def line(task: str, sample: dict) -> dict:
    requests = sorted(sample["arguments"].items()) if isinstance(sample["arguments"], dict) else None
    pairs = [tuple(r.values()) for _, r in requests] if requests else sample["arguments"]
    out = {"task": task, "doc": sample["doc_id"]}
    out["requests"] = [sha("\x00".join(str(part) for part in pair)) for pair in pairs]
    if task == "rolling":
        out["ll"] = [round(float(sample["resps"][0][0]), 4)]
        return out
    out["ll"] = [round(float(resp[0][0]), 4) for resp in sample["resps"]]
    return out | {m: sample[m] for m in ("acc", "acc_norm") if m in sample}


def golden(folder: str, out: Path, tasks: list):
    import torch
    from lm_eval.models.huggingface import HFLM

    folder = str(Path(folder).resolve())
    out = out.resolve()
    windows(out)
    model = HFLM(pretrained=folder, dtype=torch.float32, device="cpu", batch_size=1)
    for task in tasks or GOLDEN:
        result = evaluate(model, out / "tasks", task, GOLDEN[task])
        samples = sorted(result["samples"][task], key=lambda s: s["doc_id"])
        text = "".join(json.dumps(line(task, sample)) + "\n" for sample in samples)
        with open(out / f"{task}.jsonl.gz", "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as file:
            file.write(text.encode())
        print(task, {k: v for k, v in result["results"][task].items() if isinstance(v, float)}, flush=True)


def windows(out: Path):
    """How the harness cuts a text of so many tokens; token i is the number i + 1, the prefix 0."""
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    cases = []
    for tokens, size, context in [(1, 4, 1), (4, 4, 1), (9, 4, 1), (10, 4, 3), (7, 5, 2), (3, 5, 5)]:
        cut = get_rolling_token_windows(list(range(1, tokens + 1)), 0, size, context)
        pairs = [make_disjoint_window(pair) if context == 1 else pair for pair in cut]
        cases.append({"tokens": tokens, "size": size, "context": context, "windows": pairs})
    (out / "windows.json").write_text(json.dumps(cases) + "\n")


def client(url: str, name: str, tokenizer: str, task_dir: Path, task: str, limit):
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    model = LocalCompletionsAPI(
        base_url=url + "/v1/completions",
        model=name,
        tokenizer=str(Path(tokenizer).resolve()),
        tokenizer_backend="huggingface",
        batch_size=4,
        max_length=2048,
    )
    result = evaluate(model, task_dir.resolve(), task, limit)
    for sample in sorted(result["samples"][task], key=lambda s: s["doc_id"]):
        print(json.dumps(line(task, sample)))


def agree(documents: str, sides: list):
    with (gzip.open if documents.endswith(".gz") else open)(documents, "rt") as file:
        ours = [json.loads(row) for row in file]
    equal = decisions = 0
    furthest = 0.0
    for side in sides:
        name, lines = side.split("=", 1)
        theirs = [json.loads(row) for row in Path(lines).read_text().splitlines()]
        own = {(d["task"], d["document"]): d for d in ours if d["candidate"] == name}
        for one in theirs:
            had = own[one["task"], str(one["doc"])]
            furthest = max(furthest, *(abs(a - b) for a, b in zip(one["ll"], had["log_likelihoods"])))
            for metric in ("acc", "acc_norm"):
                decisions += 1
                equal += one[metric] == had[metric]
                if one[metric] != had[metric]:
                    print(f"{name} {one['task']} {one['doc']} {metric}: {one[metric]} there, {had[metric]} here")
        print(f"{name}: {len(theirs)} documents")
    print(f"{equal} of {decisions} decisions equal, log-likelihoods at most {furthest:.1g} nats apart")


if __name__ == "__main__":
    here_is_not_the_package()
    if version("lm_eval") != PINNED:
        sys.exit(f"lm_eval is {version('lm_eval')}, wanted {PINNED}")
    os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
    if sys.argv[1] == "general":
        general(Path(sys.argv[2]))
    elif sys.argv[1] == "golden":
        golden(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    elif sys.argv[1] == "agree":
        agree(sys.argv[2], sys.argv[3:])
    else:
        limit = int(sys.argv[7]) if len(sys.argv) > 7 else None
        client(*sys.argv[2:5], Path(sys.argv[5]), sys.argv[6], limit)
