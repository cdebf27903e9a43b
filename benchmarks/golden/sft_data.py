#!/usr/bin/env python3
"""Golden files for io.chorale.train.data: ids and label masks as transformers makes them.

  sft_data.py SMOLLM2_HF_FOLDER OUT_DIR     (OUT_DIR: src/test/resources/golden/sft)

SMOLLM2_HF_FOLDER needs tokenizer.json, tokenizer_config.json and chat_template.jinja only. The mask
is transformers' own assistant mask (apply_chat_template with return_assistant_tokens_mask), of the
same template with {% generation %} put around each answer and its end-of-turn token. Writes
masks.json: templates, and per case the template's name, messages, tools, ids, mask. Nothing random.
"""

import json
import sys
from pathlib import Path

import transformers
from transformers import AutoTokenizer

PINNED = "5.24.0"

SMOLLM2_BODY = "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
SMOLLM2_MARKED = (
    "{% if message['role'] == 'assistant' %}{{'<|im_start|>assistant\n'}}{% generation %}"
    "{{message['content'] + '<|im_end|>'}}{% endgeneration %}{{'\n'}}"
    "{% else %}" + SMOLLM2_BODY + "{% endif %}"
)

# ChatML with tools, as Qwen2.5 and Hermes write them; GEN and ENDGEN become the marks or nothing.
TOOLS = """\
{%- if tools %}{{ '<|im_start|>system\\nTools:' }}{% for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}GEN
{%- if message.content %}{{- message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}{{- '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{% endfor %}{{- '<|im_end|>' }}ENDGEN{{- '\\n' }}
{%- elif message.role == 'tool' %}{{- '<|im_start|>user\\n<tool_response>' + message.content + '</tool_response><|im_end|>\\n' }}
{%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}"""

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


def turns(*contents, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    for i, content in enumerate(contents):
        messages.append({"role": "assistant" if i % 2 else "user", "content": content})
    return messages


CASES = [
    ("smollm2", turns("What is a lease?", "A contract for use of a thing against rent."), None),
    ("smollm2", turns("2+2?", "4", "And 3+3?", "6.", "Thanks", "You are welcome!"), None),
    ("smollm2", turns("Hi", "Hello there.", system="You are terse."), None),
    ("smollm2", turns(" spaces ", "\n\nleading line feeds"), None),
    ("smollm2", turns("code", "def f(x):\n    return x + 1\n"), None),
    ("smollm2", turns("end", "trailing line feeds\n\n\n", "more", "   three spaces"), None),
    ("smollm2", turns("Grüße 😀", "Déjà vu: 東京, Ærøskøbing 👩‍💻 — ok…"), None),
    ("smollm2", turns("a\tb", "\tindented\ttabs\r\nand CRLF"), None),
    ("smollm2", turns("long " * 200, "short", "short", "long " * 200), None),
    ("smollm2", turns("x", "1"), None),
    ("tools", turns("Say hi", "Hi."), None),
    (
        "tools",
        [
            {"role": "system", "content": "Use tools."},
            {"role": "user", "content": "Weather in Bonn and Ulm?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"type": "function", "function": {"name": "weather", "arguments": {"town": t}}}
                    for t in ("Bonn", "Ulm")
                ],
            },
            {"role": "tool", "content": "12 C, rain"},
            {"role": "tool", "content": "9 C, fog"},
            {"role": "assistant", "content": "Bonn: 12 C and rain. Ulm: 9 C and fog."},
        ],
        [TOOL],
    ),
]


def main(folder, out):
    assert transformers.__version__ == PINNED, f"transformers {transformers.__version__}, wanted {PINNED}"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    smollm2 = (Path(folder) / "chat_template.jinja").read_text().rstrip("\n")
    assert SMOLLM2_BODY in smollm2, smollm2
    plain = {"smollm2": smollm2, "tools": TOOLS.replace("ENDGEN", "").replace("GEN", "")}
    marked = {
        "smollm2": smollm2.replace(SMOLLM2_BODY, SMOLLM2_MARKED),
        "tools": TOOLS.replace("ENDGEN", "{%- endgeneration %}").replace("GEN", "{%- generation %}"),
    }
    cases = []
    for name, messages, tools in CASES:
        made = tokenizer.apply_chat_template(
            messages,
            tools=tools,
            chat_template=marked[name],
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        unmarked = tokenizer.apply_chat_template(
            messages, tools=tools, chat_template=plain[name], tokenize=True, return_dict=True
        )
        assert unmarked["input_ids"] == made["input_ids"], name
        assert sum(made["assistant_masks"]) > 0, name
        cases.append(
            {
                "template": name,
                "messages": messages,
                "tools": tools,
                "ids": made["input_ids"],
                "mask": "".join(map(str, made["assistant_masks"])),
            }
        )
    Path(out).mkdir(parents=True, exist_ok=True)
    golden = {"templates": plain, "end_token": "<|im_end|>", "cases": cases}
    text = json.dumps(golden, ensure_ascii=False, separators=(",", ":"))
    (Path(out) / "masks.json").write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
