#!/usr/bin/env python3
"""What running streams notice when an adapter that nobody has used yet is asked for.

  python3 benchmarks/load/cold.py               200 adapters, 5 rounds of 20 warm and 20 cold visits beside 8 streams
  python3 benchmarks/load/cold.py --rounds 1

One Chorale server. Eight streams, each with an adapter of its own, generate all the time. Beside them a visitor asks a short
question every so often, in turn for one of those eight adapters (warm) and for one that has never been used (cold, so it is
read, prepared and seated now). A visit's gap is the longest that any of the streams waited between two chunks from the visit's
begin to its end. The visitor's own prompt is computed in both kinds, so the difference is what loading costs.
Writes benchmarks/results/DATE-cold-CPU.json after every round. Environment as for run.py.
"""
import argparse
import asyncio
import datetime
import json
import os
import pathlib
import shutil
import signal
import statistics
import sys
import time

import adapters
import fetch
import machine
from client import Request, ask, chat_prompt, percentile
from many import LATE_MS, RESIDENT, Many, make_many
from run import REPOSITORY, prepare, results_file, say, spread

STREAM_TOKENS, VISIT_TOKENS = 3600, 4
STREAM_WORDS, VISIT_WORDS = 40, 12
PAUSE_S, AFTER_S = 0.15, 0.05


async def beside(server, visits, key):
    """The visits one after the other beside the streams; begin, end and kind of each, and when every stream's chunks came."""
    async def stream(adapter):
        begun = time.perf_counter()
        answer = await ask(server, Request(chat_prompt(f"{key}/stream{adapter}", STREAM_WORDS), adapter, STREAM_TOKENS))
        return [begun + stamp for stamp in answer.stamps], answer

    streams = [asyncio.create_task(stream(adapter)) for adapter in range(RESIDENT)]
    await asyncio.sleep(2)
    seen = []
    for i, (kind, adapter) in enumerate(visits):
        if any(s.done() for s in streams):
            raise RuntimeError(f"a stream ended before visit {i + 1} of {len(visits)}: more tokens or fewer visits are needed")
        begun = time.perf_counter()
        answer = await ask(server, Request(chat_prompt(f"{key}/visit{i}", VISIT_WORDS), adapter, VISIT_TOKENS))
        if answer.error:
            raise RuntimeError(f"visit {i + 1}, adapter {adapter + 1}: {answer.error}")
        await asyncio.sleep(AFTER_S)
        seen.append((kind, begun, time.perf_counter(), answer.stamps[0]))
        await asyncio.sleep(PAUSE_S)
    for s in streams:
        s.cancel()
    ended = await asyncio.gather(*streams)
    return seen, [stamps for stamps, _ in ended]


def longest_gaps(seen, streams):
    """Milliseconds by kind: the longest wait of any stream that ended in the time of each visit."""
    gaps = {"warm": [], "cold": []}
    for kind, begun, ended, _ in seen:
        waits = [later - earlier for stamps in streams for earlier, later in zip(stamps, stamps[1:]) if begun <= later <= ended]
        gaps[kind].append(round(max(waits) * 1000, 2))
    return gaps


def between(seen, streams):
    """Milliseconds of the gaps that no visit touched."""
    return [(later - earlier) * 1000 for stamps in streams for earlier, later in zip(stamps, stamps[1:])
            if not any(begun <= later <= ended for _, begun, ended, _ in seen) and earlier >= seen[0][1]]


def one_round(server, options, number):
    fresh = RESIDENT + number * options.visits
    visits = []
    for i in range(options.visits):
        visits += [("warm", i % RESIDENT), ("cold", fresh + i)]
    seen, streams = asyncio.run(beside(server, visits, f"cold/{number}"))
    gaps, quiet = longest_gaps(seen, streams), between(seen, streams)
    first = {kind: round(statistics.median(f for k, _, _, f in seen if k == kind) * 1000, 1) for kind in gaps}
    return {"gap_ms": gaps, "quiet_gap_p99_ms": round(percentile(quiet, 99), 2), "quiet_gap_max_ms": round(max(quiet), 2),
            "first_token_p50_ms": first}


def results(setup, seen, options, started):
    pairs = [cold - warm for one in seen["runs"] for warm, cold in zip(one["gap_ms"]["warm"], one["gap_ms"]["cold"])]
    worst = [max(one["gap_ms"]["cold"]) - max(one["gap_ms"]["warm"]) for one in seen["runs"]]
    return {"schema": 1, "date": started.date().isoformat(), "started": started.isoformat(timespec="seconds"),
            "machine": machine.describe(), "versions": {"chorale": machine.commit(REPOSITORY), "java": machine.java_version()},
            "model": {"file": setup.model.name, "sha256": fetch.sha256(setup.model)},
            "load": {"adapters": options.adapters, "adapter_rank": adapters.RANK, "streams": RESIDENT, "visits_of_each_kind": options.visits,
                     "visit_words": VISIT_WORDS, "visit_tokens": VISIT_TOKENS, "threads": setup.threads},
            "cold_over_warm_ms": spread([round(p, 2) for p in pairs]), "worst_cold_over_worst_warm_ms": spread([round(w, 2) for w in worst]),
            **seen}


def markdown(found):
    lines = [f"{found['load']['streams']} streams, {found['load']['visits_of_each_kind']} visits of each kind a round, {found['machine']['cpu']}, "
             f"{found['machine']['usable_processors']} processors.", "",
             "| round | gap without a visit, p99 ms | warm visit, p50 / worst | cold visit, p50 / worst | first token ms, warm / cold |", "|---|---|---|---|---|"]
    for i, one in enumerate(found["runs"]):
        both = " | ".join(f"{statistics.median(one['gap_ms'][k]):.0f} / {max(one['gap_ms'][k]):.0f}" for k in ("warm", "cold"))
        first = one["first_token_p50_ms"]
        lines.append(f"| {i + 1} | {one['quiet_gap_p99_ms']:.1f} | {both} | {first['warm']:.0f} / {first['cold']:.0f} |")
    pair, worst = found["cold_over_warm_ms"], found["worst_cold_over_worst_warm_ms"]
    lines += ["", f"A cold visit's gap over the warm visit's before it: median {pair['median']:.1f} ms, highest {pair['max']:.1f}. Worst of a round: "
              f"{worst['median']:.1f} ms, highest {worst['max']:.1f} (aim: at most {LATE_MS} ms)."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--visits", type=int, default=20, help="of each kind a round; default %(default)s")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    options, started = parser.parse_args(), datetime.datetime.now().astimezone()
    if options.adapters < RESIDENT + options.rounds * options.visits:
        parser.error(f"--adapters is {options.adapters}, wanted {RESIDENT + options.rounds * options.visits} or more for so many cold visits")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that no server outlives this program
    setup = prepare(options, with_llama=False)
    out = results_file(options, started, "cold")
    root = make_many(setup.adapters, options.adapters)
    shutil.rmtree(setup.work / "state", ignore_errors=True)
    with Many(setup, root, setup.work / "cold.log") as server:
        seen = {"facts": server.facts(), "runs": []}
        for number in range(options.rounds):
            seen["runs"].append(one_round(server, options, number))
            gaps = seen["runs"][-1]["gap_ms"]
            say(f"round {number + 1}: worst gap warm {max(gaps['warm'])} ms, cold {max(gaps['cold'])} ms")
            out.write_text(json.dumps(results(setup, seen, options, started), indent=1) + "\n")
    say(f"results are in {out}")
    print(markdown(json.loads(out.read_text())))


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as failure:
        sys.exit(f"cold.py: {failure}")
