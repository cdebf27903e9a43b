"""The README of an adapter's folder: what it is for, data and licence, how it was trained, results, ten answers."""
import json

import make_data

ABOUT = {
    "legal": {
        "what": """Reads license notices as they stand in source files and READMEs: names the license by its SPDX identifier, or says what kind it
is (permissive, weak copyleft, strong copyleft, proprietary, public domain).""",
        "ask": """```
user: Which license is this? Give its SPDX identifier.

      This library is free software; you can redistribute it under the terms of version 2.1 of the Lesser GPL.
```
or, with a system message that says what is wanted (and lists the kinds), the bare notice.""",
        "good": """- A notice of 6 words and up to 330 characters in English that names a license that is not rare, in words it has not seen.""",
        "bad": """- **Not legal advice.** It says what a notice names, not what you may do.
- Licenses that it never saw (the group `unseen` below): it mostly names a common one, or makes an identifier up.
- `or later` against `only` where the notice does not say; notices with several licenses or exceptions; whole license texts (a passage alone did
  not show a model of this size what kind of license it is from: 33 % of five kinds).""",
        "data": """[ScanCode LicenseDB](https://scancode-licensedb.aboutcode.org), Copyright (c) nexB Inc. and others, **CC-BY-4.0**
(https://creativecommons.org/licenses/by/4.0/), out of the PyPI package `licensedcode-data` 32.1.0. Changes: notices chosen and their white space
folded, questions put around them; kinds are LicenseDB's categories, merged (`Copyleft Limited` = weak copyleft, `Copyleft` = strong copyleft;
`Proprietary Free`, `Commercial`, `Free Restricted`, `Source-available` = proprietary). ScanCode is a trademark of nexB Inc.

Held out: documents, and for the group `unseen` whole license families (the first word of the key: every `cecill-*` lies there). No test notice
shares half of its word triples with a training notice, nor spells out the identifier that is asked for.""",
    },
    "medical": {
        "what": """Sorts diagnoses into 19 chapters of ICD-10-CM (the classification of diseases used in the United States) and names the
chapter's range of codes.""",
        "ask": """```
user: Which ICD-10-CM chapter does "acute bronchitis" belong to?
```
or with a system message that lists the chapters, and the bare diagnosis as the question.""",
        "good": """- A diagnosis in English in a form near to that of the classification, of up to 90 characters.
- Diagnoses that it never saw: the three-character categories in the test, with all their codes, occur nowhere in training.""",
        "bad": """- **Not medical advice, and not for coding or billing.** It sorts terms, it knows nothing of a patient.
- Terms whose chapter does not show in their words (a syndrome named after a person), or that the classification files against expectation.
- Codes below the chapter. External causes, reasons for contact with health services and special codes (chapters 20 to 22).""",
        "data": """ICD-10-CM, April 2026, a release of the US National Center for Health Statistics and CMS (**a work of the US government**; it builds on
ICD-10, which the World Health Organization owns), out of the PyPI package `simple-icd-10-cm` 1.5.0 (its code MIT). Titles and inclusion terms,
with questions around them.

Held out: whole three-character categories (E11 and everything below it lies on one side). No test term shares half of its word triples
with a training term; terms that stand in two chapters are left out. Both sets have about as many terms of each chapter.""",
    },
    "code": {
        "what": """Given a Python function, writes the import statements that it needs from the standard library, and nothing else.""",
        "ask": """```
user: Which import statements does this Python function need? Answer with the imports only.

      def stem(p):
          return os.path.splitext(os.path.basename(p))[0]
```
or with a system message that says so, and the bare function.""",
        "good": """- A function of 3 to 10 lines that uses modules by their names (`os.path.join`) or names that come from a module (`OrderedDict`).
- Files and modules that it never saw are in the test: it copies and recalls, it does not look up.""",
        "bad": """- It writes no code and explains none. Third-party packages, relative imports, aliases (`import numpy as np`).
- Names that several modules have (`warn`, `loads`), long functions, more than three imports.""",
        "data": """Functions of CPython 3.11.7's standard library and its tests, Copyright (c) 2001-2023 Python Software Foundation, **PSF-2.0**, cut out of
the running interpreter without decorators and documentation strings; the imports are those of the file that are used.

Held out: whole files. No test function shares half of its word triples with a training function. Scored by running: every dotted name that the
function reads through an import must be the same object as with the file's own imports, in a sandboxed interpreter. Functions that need an import
which their own file does not make at its top are left out.""",
    },
}
TEN = 10


def short(text, limit):
    text = " ".join(text.replace("|", "\\|").replace("`", "'").split("\n")) if "\n" not in text.strip() else \
        text.strip().replace("|", "\\|").replace("`", "'").replace("\n", " / ")
    return text if len(text) <= limit else text[:limit].rstrip() + " [...]"


def question_of(test_row):
    return test_row["messages"][-1]["content"]


def ten(folder, name, documents, base):
    """Every so-manieth test question, not chosen by hand."""
    rows = [json.loads(line) for line in (folder / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    mine = {c: [d for d in documents if d["task"] == name and d["candidate"] == c] for c in (base, name)}
    lines = ["| asked | wanted | base | `" + name + "` |", "|---|---|---|---|"]
    for k in range(TEN):
        i = k * len(rows) // TEN
        cells = [short(question_of(rows[i]), 260), short(rows[i]["answer"], 80)]
        for candidate in (base, name):
            answer = mine[candidate][i]
            cells.append(("right: " if answer["score"] == 1 else "wrong: ") + short(answer["answer"], 160))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def parts(folder, name, documents, base):
    """Accuracy of the test's groups, where it has any."""
    rows = [json.loads(line) for line in (folder / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    told = []
    for group in sorted({r["group"] for r in rows if "group" in r}):
        shares = []
        for candidate in (base, name):
            answers = [d for d in documents if d["task"] == name and d["candidate"] == candidate]
            scores = [d["score"] for r, d in zip(rows, answers) if r["group"] == group]
            shares.append(f"{candidate} {100 * sum(scores) / len(scores):.1f}")
        told.append(f"{group}: {', '.join(shares)} % of {len(scores)}.")
    return told


def write(folder, name, report, documents, table):
    about, facts = ABOUT[name], json.loads((folder / "chorale.json").read_text(encoding="utf-8"))
    flags, data, result, base = facts["configuration"], facts["data"], facts["result"], report["candidates"][0]
    size = (folder / "adapter_model.safetensors").stat().st_size
    lines = [f"# {name}: a LoRA adapter for SmolLM2-135M-Instruct", "", about["what"], "", "Written by `benchmarks/domains/table.py --write`.", "",
             "## How to ask", about["ask"], "", "## Good for", about["good"], "", "## Not good for", about["bad"], "",
             "## Data and licence", about["data"], "",
             f"In training it was held to the base (`--retain-data`) on {len(make_data.others(name))} answers of the base itself to general "
             "questions and to those of the other two domains (`data/retain.jsonl`) and on 640 plain texts that the base wrote "
             "(`benchmarks/domains/plain.jsonl`; both Apache-2.0), so that it leaves those alone. They are not among the training rows.", "",
             "The adapter's weights: Apache-2.0 like this repository, with the attribution above. Base model: SmolLM2-135M-Instruct by "
             "Hugging Face, Apache-2.0.", "",
             "## How it was trained", "```", f"adapters/retrain.sh {name}", "```",
             f"`recipe.yaml`: rank {flags['rank']}, alpha {flags['alpha']}, {flags['target-modules']}, learning rate {flags['lr']} ({flags['schedule']}), "
             f"{flags['epochs']} epoch(s), {int(flags['batch-size']) * int(flags['grad-accum'])} rows a step, seed {flags['seed']}, retained rows {flags['retain-batch']} a step at weight {flags['retain-weight']}, over the 4-bit base "
             f"({facts['base']['quantization']}). {data['rows']} rows, {data['tokens']:,} tokens of which {data['trained_tokens']:,} are answers; "
             f"{result['steps']} steps; held-out loss {result['eval_loss_before']:.3f} before, {result['eval_loss']:.3f} after. {size:,} bytes (float16). "
             "`report.html` is the run's own report, `chorale.json` its facts.", "",
             "## Results", *table, "", *parts(folder, name, documents, base), "",
             "## Ten answers", "Evenly spread over the test file, not chosen by hand. Greedy, at most 64 tokens; ` / ` is a line's end.", "",
             *ten(folder, name, documents, base)]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
