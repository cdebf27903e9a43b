#!/usr/bin/env python3
"""Golden files for io.chorale.text: ids and texts as transformers makes them.

  tokenizer.py SMOLLM2_HF_FOLDER OUT_DIR     (OUT_DIR: src/test/resources/golden/tokenizer)

SMOLLM2_HF_FOLDER needs tokenizer.json and tokenizer_config.json only. Writes, per tokenizer NAME
(smollm2 and four small ones that are trained here on the corpus, all deterministic):
  NAME.json or NAME.json.gz   the tokenizer
  NAME.golden.json            cases: ids with and without special parsing, decodes; chat prompts
spm-style.gguf.json: the same vocabulary as GGUF metadata has it (tokens, scores, types), and
smollm2-gpt2.gguf.json: SmolLM2's under pre "gpt-2", both with the ids of transformers' own GGUF
conversion.
"""

import gzip
import json
import random
import re
import sys
from collections import Counter
from pathlib import Path

import tokenizers
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast
from transformers.integrations.gguf.gguf_tokenizer_mapping import (
    GGUF_PRE_TOKENIZER_SPLITS,
    convert_gguf_tokenizer,
)

PINNED = {"tokenizers": "0.23.3", "transformers": "5.24.0"}
SEED = 20251124

PROSE = [
    "The quick brown fox jumps over the lazy dog. It's 3.14159 and they're 1234567890 strong!",
    "I'll say we've done what you'd DON'T wouldn't; 'tis he'S THEY'RE.",
    "Der Fluß trägt Grüße über Köln; naïve café, déjà vu, señor, Ærøskøbing, İstanbul, ǅ.",
    "Быстрая лиса прыгает через ленивую собаку. Съешь ещё этих мягких булок.",
    "Η γρήγορη αλεπού πηδάει. ἄνθρωπος",
    "השועל המהיר קופץ מעל הכלב. שָׁלוֹם",
    "الثعلب السريع يقفز فوق الكلب. مُحَمَّد ١٢٣٤٥",
    "तेज़ लोमड़ी आलसी कुत्ते पर कूदती है। १२३ क्षत्रिय",
    "சுறுசுறுப்பான நரி, ภาษาไทยไม่มีวรรค, မြန်မာဘာသာ, ភាសាខ្មែរ",
    "敏捷的棕色狐狸跳过了懒狗。一二三，ＡＢＣ１２３。",
    "素早い茶色の狐がのろまな犬を飛び越える。カタカナ ﾊﾝｶｸ",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다.",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒎𝒂𝒕𝒉 𐍈 𓀀 🜚 ½ ² Ⅷ ①",
]
CODE = [
    "def f(x):\n    return [i ** 2 for i in range(x) if i % 2 == 0]  # squares\n",
    "public static void main(String[] args) {\r\n\tSystem.out.println(\"hi\\n\");\r\n}\r\n",
    "SELECT * FROM t WHERE a<=10 AND b!='x';\n\n\n-- done",
    "<html><body class=\"a\">&nbsp;</body></html>",
    "{\"a\": [1, 2.5e-3, null], \"b\": \"\\u00e9\"}",
]
ODD = [
    "", " ", "  ", "   leading", "trailing   ", "a  b   c    d", "\n", "\n\n\n", "\r\n\r\n", "\r",
    "\t\t x", " \n \n ", "a\u00a0b\u2003c\u3000d\u200b\u200de\ufeff", "\u0000\u0001\u007f", "\u2028x\u2029",
    "e\u0301 vs \u00e9, n\u0303, A\u030a, \u1100\u1161\u11a8, \u0915\u093c", "z\u0351\u0327\u0324algo",
    "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ ☺", "😀😀😀😀", "\ufffd \ufdd0 \ue000", "0000000000000000", "1 22 333 4444 55555",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!!!???...---===>>>", "http://a.b/c?d=e&f=%20#g",
    "▁under ▁score", "<0x0A> <0x41>", "Ġthe Ċ", "x" * 300, "  \u0301lone mark",
]
TYPED = [
    "<|im_end|>", "a<|im_end|>b", "hi <|im_start|>system\nobey<|im_end|>\n", "<|im_end", "|im_end|>",
    "<|im_<|im_end|>end|>", "<|endoftext|><|endoftext|>", "<|eot_id|> <|begin_of_text|>", "<s>x</s>",
    "</s></s> <unk> <s", "<｜User｜>hi", "<think>a</think> <tool_call>", "<repo_name>a/b", "< |im_end|>",
]
CORPUS = PROSE + CODE + ODD + TYPED

LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
    " + m['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN_TEMPLATE = (
    "{% if tools %}{{ '<|im_start|>system\n' }}{% for t in tools %}{{ t | tojson }}{{ '\n' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content"
    " + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPM_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather in a café; a<b",
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
CHATS = [
    [{"role": "user", "content": "Hello, who are you?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "  2 < 3, is it? <"}],
    [{"role": "user", "content": "日本語 👨‍👩‍👧 \r\n\tx"}, {"role": "assistant", "content": "はい <|not|a|token>"},
     {"role": "user", "content": "\ufdd0 \\ufdd1 [/IN"}],
    [{"role": "user", "content": ""}],
]
# Users who type control tokens: SLOT in the content is where.
SLOT = "xSLOTx"
TYPED_CHATS = [(content, role, typed) for typed in TYPED if typed.strip() == typed for content, role in (
    (SLOT, "user"), (f"a {SLOT}b", "user"), (f"x{SLOT}", "assistant"))]


def bpe_trainer(size, **kw):
    return trainers.BpeTrainer(vocab_size=size, show_progress=False, min_frequency=1, **kw)


def added(id_, content, special=True, **kw):
    return {"id": id_, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": special, **kw}


def byte_level(split, specials, size, ignore_merges, nfc):
    t = Tokenizer(models.BPE())
    t.normalizer = normalizers.NFC() if nfc else None
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(split), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(PROSE * 3 + CODE * 3 + ODD, bpe_trainer(
        size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    j = json.loads(t.to_str())
    j["model"]["ignore_merges"] = ignore_merges
    n = len(j["model"]["vocab"])
    j["added_tokens"] = [added(n + i, c, s) for i, (c, s) in enumerate(specials)]
    return j


def llama3_style():
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    j = byte_level(GGUF_PRE_TOKENIZER_SPLITS["llama-bpe"], [(n, True) for n in names], 900, True, False)
    bos = next(a["id"] for a in j["added_tokens"] if a["content"] == names[0])
    t = Tokenizer.from_str(json.dumps(j))  # encoding must not add what this adds
    t.post_processor = TemplateProcessing(single=names[0] + " $A", special_tokens=[(names[0], bos)])
    t.enable_truncation(8)
    return json.loads(t.to_str())


def qwen2_style():
    return byte_level(GGUF_PRE_TOKENIZER_SPLITS["qwen2"], [
        ("<|endoftext|>", True), ("<|im_start|>", True), ("<|im_end|>", True), ("<think>", False),
        ("</think>", False), ("<tool_call>", False), ("<｜User｜>", True)], 900, False, True)


def spm_style():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    texts = PROSE[:5] * 3 + CODE + ["</s> </s> <s> <s>"] * 9
    count = Counter("▁" + "".join(texts).replace(" ", "▁"))
    alphabet = sorted(count, key=lambda c: (-count[c], c))[:120]  # the trainer's own choice among ties is random
    t.train_from_iterator(texts, bpe_trainer(700, limit_alphabet=120, initial_alphabet=alphabet))
    j = json.loads(t.to_str())
    head = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    pieces = [p for p in sorted(j["model"]["vocab"], key=j["model"]["vocab"].get) if p not in head]
    j["model"].update(vocab={p: i for i, p in enumerate(head + pieces)}, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    j["model"]["merges"] = [m for m in j["model"]["merges"] if "".join(m) not in head]
    j["added_tokens"] = [added(i, c) for i, c in enumerate(head[:3])]
    j["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    j["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return j


def spm_legacy():
    """Llama 2's published form: the prefix comes from a normalizer, so each run of text gets one."""
    j = spm_style()
    j["pre_tokenizer"] = None
    j["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    return j


def gguf_of(j):
    """A sentencepiece vocabulary as llama.cpp's converter writes it; </s> gets pieces that merge into it."""
    tokens = sorted(j["model"]["vocab"], key=j["model"]["vocab"].get)
    tokens += [t for t in ("</", "s>") if t not in tokens]
    rank = {"".join(m): i for i, m in reversed(list(enumerate(j["model"]["merges"])))}
    worst = len(rank) + 1
    types = [2, 3, 3] + [6] * 256 + [1] * (len(tokens) - 259)
    scores = [0.0] * 259 + [-float(rank.get(t, worst)) for t in tokens[259:]]
    return {"tokens": tokens, "scores": scores, "token_type": types, "unk_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def cases(tok, plain):
    out = []
    for text in CORPUS:
        ids = tok(text, add_special_tokens=False, truncation=False)["input_ids"]
        out.append({"text": text, "ids": ids, "plain": plain(text), "decoded": tok.decode(ids, skip_special_tokens=True),
                    "decodedAll": tok.decode(ids, skip_special_tokens=False)})
    return out


def random_decodes(tok, size):
    rng = random.Random(SEED)
    rows = [[rng.randrange(size) for _ in range(rng.randrange(1, 24))] for _ in range(40)]
    return [{"ids": r, "decoded": tok.decode(r, skip_special_tokens=True)} for r in rows]


def gguf_cases(metadata):
    backend, _ = convert_gguf_tokenizer("llama", metadata)
    plain = split_special(backend)
    return [{"text": t, "ids": backend.encode(t, add_special_tokens=False).ids, "plain": plain(t)} for t in CORPUS]


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


def split_special(backend):
    """transformers' split_special_tokens is this switch of the backend."""
    def encode(text):
        backend.encode_special_tokens = True
        try:
            return backend.encode(text, add_special_tokens=False).ids
        finally:
            backend.encode_special_tokens = False
    return encode


def typed_chats(tok, template, controls):
    """Only the template's control tokens are ids; each run of text between them is encoded as split_special_tokens would."""
    j = json.loads(tok.backend_tokenizer.to_str())
    if (j["pre_tokenizer"] or {}).get("prepend_scheme") == "first":
        j["pre_tokenizer"]["prepend_scheme"] = "never"  # every run here comes after a control token
    encode = split_special(Tokenizer.from_str(json.dumps(j)))
    out = []
    for content, role, typed in TYPED_CHATS:
        messages = [{"role": "user", "content": "hi"}, {"role": role, "content": content}]
        text = tok.apply_chat_template(messages, chat_template=template, add_generation_prompt=True, tokenize=False)
        ids = []
        for run in re.split("(" + "|".join(map(re.escape, controls)) + ")", text):
            ids += [tok.convert_tokens_to_ids(run)] if run in controls else encode(run.replace(SLOT, typed))
        messages[1]["content"] = content.replace(SLOT, typed)
        out.append({"messages": messages, "tools": None, "generate": True, "ids": ids})
    return out


def golden(out, name, j, template, bos, eos):
    backend = Tokenizer.from_str(json.dumps(j))
    backend.no_truncation()
    tok = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False)
    chats = [{"messages": c, "tools": t, "generate": g, "ids": tok.apply_chat_template(
        c, tools=t, chat_template=template, add_generation_prompt=g, tokenize=True, return_dict=False)}
        for c in CHATS for t, g in ((None, True), (TOOLS, False))]
    write(out / f"{name}.golden.json", {
        "versions": PINNED, "template": template, "bos": bos, "eos": eos,
        "cases": cases(tok, split_special(tok.backend_tokenizer)),
        "decodes": random_decodes(tok, len(tok)), "chats": chats, "typed": typed_chats(
            tok, template, [a["content"] for a in j["added_tokens"] if a["special"]])})


def main():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    for module in (tokenizers, transformers):
        if module.__version__ != PINNED[module.__name__]:
            sys.exit(f"{module.__name__} is {module.__version__}, wanted {PINNED[module.__name__]}")
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (out / "smollm2.json.gz").write_bytes(gzip.compress(
        json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")).encode(), 9, mtime=0))
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    golden(out, "smollm2", json.loads(text), config["chat_template"], config["bos_token"], config["eos_token"])
    for name, j, template, bos, eos in (
            ("llama3-style", llama3_style(), LLAMA3_TEMPLATE, "<|begin_of_text|>", "<|eot_id|>"),
            ("qwen2-style", qwen2_style(), QWEN_TEMPLATE, "<|endoftext|>", "<|im_end|>"),
            ("spm-style", spm_style(), SPM_TEMPLATE, "<s>", "</s>"),
            ("spm-legacy", spm_legacy(), SPM_TEMPLATE, "<s>", "</s>")):
        write(out / f"{name}.json", j)
        golden(out, name, j, template, bos, eos)
    metadata = gguf_of(spm_style())
    write(out / "spm-style.gguf.json", dict(metadata, cases=gguf_cases(dict(metadata, tokenizer_type="llama"))))
    model = json.loads(text)["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    write(out / "smollm2-gpt2.gguf.json", {"cases": gguf_cases({
        "tokenizer_type": "gpt2", "pre_tokenizer_type": "gpt-2", "tokens": tokens,
        "merges": [" ".join(m) for m in model["merges"]], "token_type": [3] * 17 + [1] * (len(tokens) - 17)})})



if __name__ == "__main__":
    main()
