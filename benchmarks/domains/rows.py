"""What the three data sets share: chat rows, word triples, near-duplicate removal, stable choices, JSONL files."""
import hashlib
import json
import re

SHARED = 0.5  # a test row that shares this part of its word triples with a training row is left out


def share(key):
    """0..1, the same on every machine: decides on which side a licence, a category or a file lies."""
    return int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 0x100000000


def row(system, user, answer):
    messages = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": messages + [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]}


def triples(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i:i + 3]) for i in range(max(1, len(words) - 2))}


class Seen:
    """The triples of texts so far; `nearest` is the largest Jaccard similarity with any of them."""

    def __init__(self):
        self.sets, self.index = [], {}

    def add(self, text):
        mine = triples(text)
        for t in mine:
            self.index.setdefault(t, []).append(len(self.sets))
        self.sets.append(mine)

    def nearest(self, text):
        mine, shared = triples(text), {}
        for t in mine:
            for i in self.index.get(t, ()):
                shared[i] = shared.get(i, 0) + 1
        return max((n / (len(mine) + len(self.sets[i]) - n) for i, n in shared.items()), default=0.0)


def first_of(patterns):
    """A scorer for `./chorale eval`: whichever of `patterns` occurs first in the answer is what was answered."""
    return {"type": "regex", "pattern": rf"(?i)\b({'|'.join(patterns)})"}


def test_row(row, answer, scorer, group=None):
    """A training row as a test row: without its answer, with what is wanted and how to compare."""
    made = {"messages": row["messages"][:-1], "answer": answer, "scorer": scorer, "max_new_tokens": 64}
    return made if group is None else {**made, "group": group}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in rows)
    path.write_text(text, encoding="utf-8")
    return len(text.encode())
