"""Makes src/test/resources/golden/chat-template/ with transformers' own Jinja environment.

    python benchmarks/golden/chat_templates.py --trl <site-packages>/trl/chat_templates \
        --llama-cpp <llama.cpp>/models/templates --smollm2 <model folder>/chat_template.jinja

Pinned: transformers 5.24.0, jinja2 3.1.6, trl 1.16.0, Python 3.11. No seed: nothing is random. The clock that
strftime_now reads stands at 2026-03-05 14:07:09. Templates are rendered with the context as written, that is without
the clean-up of messages that apply_chat_template does first (dropping None values), so None reaches the template.
"""

import argparse
import datetime as dt
import gzip
import hashlib
import json
import pathlib

import jinja2
import transformers
from transformers.utils import chat_template_utils as ctu

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent.parent / "src/test/resources/golden/chat-template"
MAX_FILE_BYTES = 200_000


class FixedClock(dt.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 3, 5, 14, 7, 9)


TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather \"now\" for a <city> & its 'area'",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "City, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                "days": {"type": "integer", "minimum": 1, "maximum": 18446744073709551615},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "filters": {
                    "type": "object",
                    "properties": {"tags": {"type": "array", "items": {"type": "string"}}, "score": {"type": "number"}},
                },
            },
        },
    },
}


def user(text):
    return {"role": "user", "content": text}


def call(name, arguments, content="", call_id="call12345"):
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def result(text, name="get_weather", call_id="call12345"):
    return {"role": "tool", "name": name, "tool_call_id": call_id, "content": text}


SYSTEM = {"role": "system", "content": "You are terse."}
THINKING = "<think>\nhmm, 2 & 2\n</think>\n\nFour."
TOOL_TURN = [
    user("Weather in Zürich?"),
    call("get_weather", {"city": "Zürich", "days": 2, "exact": True, "note": None, "x": 1.5}),
    result('{"temp": 21}'),
    {"role": "assistant", "content": "It is 21 °C."},
    user("Thanks"),
]
CONVERSATIONS = {
    "user": {"messages": [user("Hi there")]},
    "system-multi-turn": {
        "messages": [SYSTEM, user("2+2?"), {"role": "assistant", "content": "4"}, user(" and 3+3? \n")]
    },
    "unicode": {"messages": [SYSTEM, user("Grüße 你好 😀 <|im_end|> \u00a0{{ x }} \"q\" 'a' \\ & <b>")]},
    "empty-content": {"messages": [{"role": "system", "content": ""}, user(""), {"role": "assistant", "content": ""}]},
    "tools-offered": {"messages": [SYSTEM, user("Weather?")], "tools": [WEATHER, SEARCH]},
    "tool-turn": {"messages": TOOL_TURN, "tools": [WEATHER]},
    "tool-none-content": {
        "messages": [
            SYSTEM,
            user("Find cats"),
            call("search", {"query": "cats", "filters": {"tags": ["a", "b"], "score": 0.5}}, None),
            result("found 3", "search"),
        ],
        "tools": [SEARCH],
    },
    "tool-string-arguments": {
        "messages": [user("Weather?"), call("get_weather", '{"city": "Bern"}', "Let me look."), result("ok")],
        "tools": [WEATHER],
    },
    "thinking": {
        "messages": [
            user("2+2?"),
            {"role": "assistant", "content": THINKING, "reasoning_content": "hmm"},
            user("sure?"),
            {"role": "assistant", "content": "Yes.", "thinking": "short"},
        ],
        "enable_thinking": False,
    },
    "parts": {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ]
    },
    "roles-wrong": {"messages": [user("a"), user("b"), {"role": "critic", "content": "c"}]},
}


def render(template, context):
    """Text, or {"error": the exception's class, "message": its words}."""
    try:
        return ctu._compile_jinja_template(template).render(**context)
    except Exception as error:  # whatever Python raises is the answer
        return {"error": type(error).__name__, "message": str(error)[:200]}


def conversation_contexts():
    contexts = []
    for name, conversation in CONVERSATIONS.items():
        for generate in (False, True):
            context = {"tools": None, "documents": None, **TOKENS, **conversation, "add_generation_prompt": generate}
            contexts.append({"name": f"{name}{'+prompt' if generate else ''}", "context": context})
    return contexts


def snippets():
    cases = []
    for part in (HERE / "chat_template_snippets.txt").read_text().split("=== ")[1:]:
        name, _, body = part.partition("\n")
        body = body[:-1] if body.endswith("\n") else body
        template, _, context = body.partition("\n--- ")
        template = template.replace("__CRLF__", "\r\n")
        context = json.loads(context) if context else {}
        cases.append({"name": name, "template": template, "context": context, "expected": render(template, context)})
    return cases


def write_json_gz(path, value):
    data = gzip.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), 9, mtime=0)
    assert len(data) <= MAX_FILE_BYTES, f"{path}: {len(data)} bytes, wanted <= {MAX_FILE_BYTES}"
    path.write_bytes(data)
    return len(data)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--trl", type=pathlib.Path, required=True)
    arguments.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    arguments.add_argument("--smollm2", type=pathlib.Path, required=True)
    options = arguments.parse_args()
    assert (transformers.__version__, jinja2.__version__) == ("5.24.0", "3.1.6")
    ctu.datetime = FixedClock
    OUT.mkdir(parents=True, exist_ok=True)

    (OUT / "snippets.json").write_text(json.dumps(snippets(), ensure_ascii=False, indent=1) + "\n")
    contexts = conversation_contexts()
    write_json_gz(OUT / "contexts.json.gz", contexts)

    sources = [("smollm2", options.smollm2)]
    sources += [("trl-" + p.stem, p) for p in sorted(options.trl.glob("*.jinja"))]
    sources += [("llamacpp-" + p.stem, p) for p in sorted(options.llama_cpp.glob("*.jinja"))]
    seen, total = set(), 0
    for stale in OUT.glob("template-*.json.gz"):
        stale.unlink()
    for name, path in sources:
        template = path.read_text()
        digest = hashlib.sha256(template.strip().encode()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        expected = [render(template, c["context"]) for c in contexts]
        total += write_json_gz(OUT / f"template-{name}.json.gz", {"template": template, "expected": expected})
    print(len(seen), "templates", len(contexts), "contexts", total, "bytes")


if __name__ == "__main__":
    main()
