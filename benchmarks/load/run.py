#!/usr/bin/env python3
"""Chorale, llama.cpp's server and, if given, vLLM under the same load, in turn, on this machine; method: benchmarks/README.md.

  python3 benchmarks/load/run.py --quick     3 rounds, concurrency 1 and 16, base and eight adapters: 5 to 8 minutes
  python3 benchmarks/load/run.py             5 rounds, concurrency 1, 8 and 16, four mixes: about an hour

Writes benchmarks/results/DATE-load-CPU[-quick].json after every round and prints its table at the end.
Environment: CHORALE_BENCH_CACHE (default ~/.cache/chorale/bench: adapters, llama.cpp's build, logs), LLAMA_SERVER (one
that is built already), CHORALE_SERVE (command that is given `serve` and options; default the launcher `chorale`),
VLLM_PYTHON (a Python that has vLLM) with VLLM_MODEL (the base as a Hugging Face folder): without it vLLM is left out, and the
result says so.
Needs Python 3.9 or newer and nothing else; the first run also pip, cmake and a C++ compiler.
"""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import sys
import time

import adapters
import agreement
import fetch
import machine
import table
from client import Request, chat_prompt, measure, token_prompt
from servers import SLOT_TOKENS, SLOTS, Chorale, LlamaCpp, Vllm, given_vllm, launcher

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
MIXES = ("base", "one", "distinct", "zipf")
ZIPF_EXPONENT = 1.1
PROMPT_WORDS = 88  # about 128 SmolLM2 tokens with the chat template
PREFILL_TOKENS = 512
WARMUP_TOKENS = 32
BUSY_LIMIT = 0.15  # of all processors, in a moment when nothing of ours runs


@dataclasses.dataclass(frozen=True)
class Setup:
    """What both servers are started with."""

    model: pathlib.Path
    adapters: pathlib.Path
    work: pathlib.Path
    threads: int
    llama_server: pathlib.Path
    serve_command: str


@dataclasses.dataclass(frozen=True)
class Point:
    """One load. Mixes: base; one adapter; distinct, all adapters round robin; zipf, weight 1/k^1.1 for adapter k."""

    kind: str  # decode or prefill
    concurrency: int
    mix: str
    requests: int
    max_tokens: int

    def requests_of(self, round_number):
        """The same for every server; new prompts in every round."""
        key = f"{self.kind}/{self.concurrency}/{self.mix}/{round_number}"
        chosen = {"base": [None] * self.requests, "one": [0] * self.requests,
                  "distinct": [i % adapters.COUNT for i in range(self.requests)],
                  "zipf": random.Random(key).choices(
                      range(adapters.COUNT), [1 / k ** ZIPF_EXPONENT for k in range(1, adapters.COUNT + 1)], k=self.requests)}
        return [Request(self._prompt(f"{key}/{i}"), adapter, self.max_tokens) for i, adapter in enumerate(chosen[self.mix])]

    def _prompt(self, key):
        return chat_prompt(key, PROMPT_WORDS) if self.kind == "decode" else token_prompt(key, PREFILL_TOKENS, 32000)

    def __str__(self):
        return f"{self.kind} concurrency={self.concurrency} mix={self.mix}"


def points(options):
    loads = [Point("decode", c, mix, options.requests or max(options.least, options.waves * c), options.max_tokens)
             for c in options.concurrency for mix in options.mixes]
    return loads + [Point("prefill", 1, mix, options.requests or 6, 1) for mix in options.mixes[:2] if mix in ("base", "one")]


def warm_up(server, options):
    """The base and every adapter, at the plan's concurrency, so that neither compiling nor first touches are measured."""
    variants = [None, *range(adapters.COUNT)]
    requests = [Request(chat_prompt(f"warm-up/{i}", PROMPT_WORDS), variants[i % len(variants)], WARMUP_TOKENS)
                for i in range(options.warm_up)]
    done = measure(server, requests, max(options.concurrency), options.point_limit_s)
    if done["cut_by_time_limit"]:
        say(f"WARNING: {server.name} warmed up with {done['answers']} of {len(requests)} requests only; the time limit was reached")
    elif done["errors"]:
        raise RuntimeError(f"{server.name} fails in its warm-up: {done['first_error']}; its log is {server.log_file}")


def visit(kind, setup, round_number, plan, options):
    """Starts one server, runs every point, ends it."""
    busy = machine.busy_before()
    if busy > BUSY_LIMIT:
        say(f"WARNING: other programs keep the processors {busy:.0%} busy; this round is suspect")
    shutil.rmtree(setup.work / "state", ignore_errors=True)
    with kind(setup, setup.work / f"{kind.name}.log") as server:
        seen = {"facts": server.facts(), "busy_before": busy, "ready_s": server.ready_s, "runs": []}
        say(f"round {round_number + 1} {kind.name}: ready after {server.ready_s} s")
        if round_number == 0:
            seen["logprobs"] = agreement.probe(server)
        warm_up(server, options)
        for point in plan:
            cpu = machine.CpuTime()
            run = measure(server, point.requests_of(round_number), point.concurrency, options.point_limit_s)
            seen["runs"].append({"round": round_number + 1, **run, "cpu": cpu.shares()})
            rate = run["prompt_tokens_per_s"] if point.kind == "prefill" else run["output_tokens_per_s"]
            say(f"round {round_number + 1} {kind.name} {point}: {rate} tok/s, {run['wall_s']} s, {run['errors']} errors"
                + (", cut by the time limit" if run["cut_by_time_limit"] else ""))
        seen["peak_rss_mib"] = server.peak_rss_mib()
    return seen


def results_file(options, started, kind, suffix=""):
    """Where a program's results go: --out, or DATE-kind-CPU.json; its folder is there."""
    name = f"{started.date().isoformat()}-{kind}-{machine.slug(machine.describe())}{suffix}.json"
    out = options.out or REPOSITORY / "benchmarks" / "results" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def spread(values):
    values = [v for v in values if v is not None]
    return {"median": round(statistics.median(values), 3), "min": min(values), "max": max(values)} if values else None


def rate_ratio(ours, theirs, rate):
    return spread([round(a[rate] / b[rate], 3) for a, b in zip(ours, theirs) if b[rate]])


def summary(visits, plan):
    """Every run, and medians over the rounds; ratios are of one round, Chorale over another server."""
    result = []
    for index, point in enumerate(plan):
        rate = "prompt_tokens_per_s" if point.kind == "prefill" else "output_tokens_per_s"
        entry = {**dataclasses.asdict(point), "rate": rate, "servers": {}}
        for name, seen_by in visits.items():
            runs = [seen["runs"][index] for seen in seen_by]
            keys = [rate, "ttft_p50_ms", "ttft_p99_ms", "gap_p50_ms", "gap_p99_ms", "gap_max_ms"]
            entry["servers"][name] = {"errors": sum(run["errors"] for run in runs),
                                      "cut": sum(run["cut_by_time_limit"] for run in runs),
                                      **{key: spread([run[key] for run in runs]) for key in keys}, "runs": runs}
        runs = {name: side["runs"] for name, side in entry["servers"].items()}
        entry["ratio"] = rate_ratio(runs[Chorale.name], runs[LlamaCpp.name], rate)
        if Vllm.name in runs:
            entry["ratio_vllm"] = rate_ratio(runs[Chorale.name], runs[Vllm.name], rate)
        result.append(entry)
    return result


def results(setup, visits, plan, options, started):
    first = {name: seen[0] for name, seen in visits.items()}
    return {"schema": 1, "date": started.date().isoformat(), "started": started.isoformat(timespec="seconds"),
            "profile": options.profile, "rounds": len(visits[LlamaCpp.name]), "machine": machine.describe(),
            "versions": {"chorale": machine.commit(REPOSITORY), "java": machine.java_version(), "llama.cpp": fetch.PACKAGE,
                         "llama_server": "LLAMA_SERVER" if "LLAMA_SERVER" in os.environ else "built here"},
            "model": {"file": setup.model.name, "sha256": fetch.sha256(setup.model)},
            "load": {"prompt_words": PROMPT_WORDS, "prefill_tokens": PREFILL_TOKENS, "adapters": adapters.COUNT,
                     "adapter_rank": adapters.RANK, "threads": setup.threads, "point_limit_s": options.point_limit_s,
                     "llama_slots": SLOTS, "llama_slot_tokens": SLOT_TOKENS},
            "servers": {name: seen["facts"] for name, seen in first.items()},
            "left_out": [] if Vllm.name in visits else [f"{Vllm.name}: VLLM_PYTHON is not set"],
            "agreement": agreement.compare(first[Chorale.name]["logprobs"], first[LlamaCpp.name]["logprobs"]),
            **({"agreement_vllm": agreement.compare(first[Chorale.name]["logprobs"], first[Vllm.name]["logprobs"])}
               if Vllm.name in first else {}),
            "busy_before": {name: [v["busy_before"] for v in seen] for name, seen in visits.items()},
            "ready_s": {name: [v["ready_s"] for v in seen] for name, seen in visits.items()},
            "peak_rss_mib": {name: {**spread([v["peak_rss_mib"] for v in seen]), "runs": [v["peak_rss_mib"] for v in seen]}
                             for name, seen in visits.items()},
            "points": summary(visits, plan)}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def numbers(text):
    return [int(part) for part in text.split(",")]


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller profile")
    parser.add_argument("--model", type=pathlib.Path, help="GGUF base that both serve; default SmolLM2-135M-Instruct Q4_1")
    parser.add_argument("--rounds", type=int, help="times that each server is started and measured")
    parser.add_argument("--concurrency", type=numbers, help=f"such as 1,16; each at most {SLOTS}")
    parser.add_argument("--mixes", type=lambda text: text.split(","), help="of " + ",".join(MIXES))
    parser.add_argument("--requests", type=int, help="a point, instead of the profile's")
    parser.add_argument("--warm-up", type=int, default=2 * SLOTS, help="requests before the first point; default %(default)s")
    parser.add_argument("--max-tokens", type=int, help="output tokens of a request")
    parser.add_argument("--point-limit-s", type=float, help="after this time a point begins no request")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="compute threads of each server")
    parser.add_argument("--out", type=pathlib.Path, help="results file")
    given = parser.parse_args()
    profile = dict(rounds=3, concurrency=[1, 16], mixes=["base", "distinct"], max_tokens=64, point_limit_s=40.0) if given.quick \
        else dict(rounds=5, concurrency=[1, 8, 16], mixes=list(MIXES), max_tokens=128, point_limit_s=150.0)
    chosen = {key: value for key, value in vars(given).items() if value is not None}
    changed = any(key in chosen for key in [*profile, "requests"]) or given.warm_up != 2 * SLOTS
    options = argparse.Namespace(**{"requests": None, "model": None, "out": None, **profile, **chosen}, waves=2,
                                 least=4 if given.quick else 8, profile=("quick" if given.quick else "full"))
    options.profile += ", changed" if changed else ""
    if not set(options.mixes) <= set(MIXES) or not all(1 <= c <= SLOTS for c in options.concurrency):
        parser.error(f"mixes {options.mixes}, concurrency {options.concurrency}: wanted some of {MIXES} and 1 to {SLOTS}")
    return options


def prepare(options, with_llama=True):
    home = pathlib.Path.home()
    cache = pathlib.Path(os.environ.get("CHORALE_BENCH_CACHE") or home / ".cache" / "chorale" / "bench").resolve()
    (cache / "work").mkdir(parents=True, exist_ok=True)
    model = (options.model or fetch.default_model(cache)).resolve()
    folder = cache / "adapters" / model.stem
    adapters.make(model, folder)
    return Setup(model, folder, cache / "work", options.threads, fetch.server(cache) if with_llama else None, launcher(REPOSITORY))


def main():
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that no server outlives this program
    setup, plan, started = prepare(options), points(options), datetime.datetime.now().astimezone()
    out = results_file(options, started, "load", "-quick" if options.quick else "")
    servers = [Chorale, LlamaCpp] + ([Vllm] if given_vllm() else [])
    visits = {kind.name: [] for kind in servers}
    for round_number in range(options.rounds):
        for kind in servers:
            visits[kind.name].append(visit(kind, setup, round_number, plan, options))
        found = results(setup, visits, plan, options, started)
        if round_number == 0:
            say(f"agreement of the servers' log-probabilities: {found['agreement']} {found.get('agreement_vllm', '')}")
        out.write_text(json.dumps(found, indent=1) + "\n")
    say(f"results are in {out}")
    print(table.markdown(found))


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as failure:
        sys.exit(f"run.py: {failure}")
