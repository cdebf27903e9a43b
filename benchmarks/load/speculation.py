#!/usr/bin/env python3
"""What speculation gains and costs over HTTP: one server, the same prompts with "speculative" false, absent and true, in turn.

  python3 benchmarks/load/speculation.py                                       3 rounds, 1, 4 and 16 streams, four kinds of prompt
  python3 benchmarks/load/speculation.py --rounds 1 --kinds code --streams 1   one point

Writes benchmarks/results/DATE-speculation-CPU.json after every round and prints a table at the end: tokens per second
over those without speculation in the same round, the median of the rounds, and how many guesses were right. Answers stop at
their end token; greedy, so the three must be the same text, and a difference is an error. Environment as in run.py
(CHORALE_SERVE, CHORALE_BENCH_CACHE), and CHORALE_MODEL.
"""
import argparse
import asyncio
import datetime
import json
import os
import pathlib
import random
import re
import signal
import statistics
import sys
import tempfile
import time

import machine
from client import open_stream
from run import numbers, say
from servers import HOST, Server, launcher

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MODES = {"off": False, "default": None, "always": True}
STREAMS = (1, 4, 16)
MAX_TOKENS = 128
CODE = (REPOSITORY / "benchmarks/load/table.py").read_text().splitlines()
PROSE = (REPOSITORY / "docs/architecture.md").read_text().split("\n\n")
QUESTIONS = """Why is the sky blue, and why are sunsets red?|Tell me a story about a fox who wants to learn to swim.
Give me advice for my first week in a new job.|What should I cook tonight with rice, eggs and spinach?
Explain how a bicycle stays upright.|Write a letter to my landlord about a broken heater.
Which books should I read about the sea, and why?|How do I teach a child to count?""".replace("\n", "|").split("|")


def prompt(kind, key):
    """Another one for every key, so that a prefix cache helps with the chat template only."""
    rng = random.Random(key)
    if kind == "chat":
        return f"{rng.choice(QUESTIONS)} (question {key % 997})"
    if kind == "code":
        at = rng.randrange(len(CODE) - 25)
        return f"Rename every variable `row` to `line{key % 97}` in this code and show all of it:\n\n" + "\n".join(CODE[at:at + 25])
    text = "\n\n".join(rng.sample([p for p in PROSE if 200 < len(p) < 700], 2))
    task = {"summary": "Summarize this text in three sentences", "copy": "Repeat this text word for word"}[kind]
    return f"{task} (copy {key % 997}):\n\n{text}"


class ChoraleAlone(Server):
    """Chorale without adapters."""

    name, health_path = "chorale", "/health"

    def __init__(self, folder, log, options):
        model = os.environ.get("CHORALE_MODEL")
        command = [*launcher(REPOSITORY).replace("'", "").split(), "serve", "--host", HOST, "--port", "{port}",
                   "--state-dir", str(folder), *options]
        super().__init__(command + (["--model", model] if model else []), log)

    def counters(self):
        text = self.get("/metrics")[1].decode()
        return [float(re.search(rf"^chorale_{name}_total (\S+)", text, re.M)[1]) for name in ("drafted_tokens", "accepted_draft_tokens")]


async def ask(server, model, text, speculative):
    body = {"model": model, "temperature": 0, "max_tokens": MAX_TOKENS, "speculative": speculative,
            "messages": [{"role": "user", "content": text}]}
    status, pieces, writer = await open_stream(server.port, "/v1/chat/completions", body)
    raw = b"".join([piece async for piece in pieces])
    writer.close()
    if status != 200:
        raise RuntimeError(f"HTTP {status}: {raw[:300]}")
    answer = json.loads(raw)
    return answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]


async def together(server, model, texts, speculative):
    return await asyncio.gather(*(ask(server, model, text, speculative) for text in texts))


def point(server, model, texts, speculative):
    drafted, accepted = server.counters()
    begun = time.perf_counter()
    answers = asyncio.run(together(server, model, texts, speculative))
    seconds = time.perf_counter() - begun
    time.sleep(0.3)  # metrics are made at most ten times a second, the engine's snapshot five times
    now = server.counters()
    return [a[0] for a in answers], {"tokens_per_s": round(sum(a[1] for a in answers) / seconds, 2), "tokens": sum(a[1] for a in answers),
                                     "drafted": now[0] - drafted, "accepted": now[1] - accepted}


def run_round(server, model, number, options, points):
    for kind in options.kinds.split(","):
        for streams in options.streams:
            texts = [prompt(kind, 1000 * number + 31 * streams + i) for i in range(streams)]
            order = list(MODES)
            random.Random(number).shuffle(order)
            said, measured = {}, {"round": number, "kind": kind, "streams": streams}
            point(server, model, texts, False)  # fills the prefix cache for all three
            for mode in order:
                said[mode], measured[mode] = point(server, model, texts, MODES[mode])
            measured["same_text"] = said["off"] == said["default"] == said["always"]
            points.append(measured)
            say(f"round {number + 1} {kind}, {streams} streams: " + ", ".join(f"{mode} {measured[mode]['tokens_per_s']}" for mode in MODES)
                + f" tok/s, same text: {measured['same_text']}")


def print_table(points):
    print(f"{'kind':8} {'streams':>7} {'off tok/s':>10} {'default':>8} {'always':>8}  right guesses (default, always)   same text")
    for kind, streams in dict.fromkeys((p["kind"], p["streams"]) for p in points):
        own = [p for p in points if (p["kind"], p["streams"]) == (kind, streams)]
        off = statistics.median(p["off"]["tokens_per_s"] for p in own)
        cells, right = [], []
        for mode in ("default", "always"):
            cells.append(statistics.median(p[mode]["tokens_per_s"] / p["off"]["tokens_per_s"] for p in own))
            right.append(f"{sum(p[mode]['accepted'] for p in own):.0f} of {sum(p[mode]['drafted'] for p in own):.0f}")
        same = all(p["same_text"] for p in own)
        print(f"{kind:8} {streams:7} {off:10.1f} {cells[0]:7.2f}x {cells[1]:7.2f}x  {right[0]:>15}, {right[1]:>15}   {'yes' if same else 'NO'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", default="copy,summary,code,chat")
    parser.add_argument("--streams", type=numbers, default=list(STREAMS), help="such as 1,16")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--option", action="append", default=[], help="one more argument of serve, such as --option=--speculative-ngram=3")
    args = parser.parse_args()
    facts = machine.describe()
    name = f"{datetime.date.today()}-speculation-{machine.slug(facts)}.json"
    target, points = args.out or REPOSITORY / "benchmarks/results" / name, []
    target.parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that no server outlives this program
    with tempfile.TemporaryDirectory() as folder, ChoraleAlone(folder, folder + "/log", args.option) as server:
        model = json.loads(server.get("/health")[1])["model"]
        for number in range(args.rounds):
            run_round(server, model, number, args, points)
            target.write_text(json.dumps({"schema": 1, "date": str(datetime.date.today()), "machine": facts, "chorale": machine.commit(REPOSITORY), "server": server.facts(), "points": points}, indent=1) + "\n")
    print_table(points)
    if not all(p["same_text"] for p in points):
        raise SystemExit("speculation changed an answer")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as failure:
        sys.exit(f"speculation.py: {failure}")
