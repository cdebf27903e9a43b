#!/usr/bin/env python3
"""A thousand registered adapters, sixteen streams: what a long tail costs against eight adapters that stay.

  python3 benchmarks/load/many.py                           1,000 adapters, 5 rounds
  python3 benchmarks/load/many.py --adapters 100 --rounds 2

One Chorale server; in each round first the first eight adapters in turn, then adapter k of all with weight 1/k^1.1.
The adapters are copies of eight (rank 16, float16) under names of their own, so that each is read, prepared and seated for
itself. Before that, the memory of a server with 1 and with 100 of them registered. With 1,000 the state folder grows by 10 GB
until the server ends. Writes benchmarks/results/DATE-many-CPU.json after every round and prints its table. Environment as for run.py.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import struct
import sys

import adapters
import fetch
import machine
from client import Request, chat_prompt, measure
from run import PROMPT_WORDS, REPOSITORY, ZIPF_EXPONENT, numbers, prepare, results_file, say, spread
from servers import SLOTS, Chorale

RESIDENT = 8
MEMORY_REQUESTS = 64  # of a server whose memory alone is asked
LATE_MS = 20  # a stream may wait this much longer than for its longest step without cold adapters


def halve(source, target):
    """A safetensors file of float32 as float16."""
    with open(source, "rb") as file:
        head = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    names = [name for name in head if name != "__metadata__"]
    for name in names:
        begin, end = head[name]["data_offsets"]
        head[name].update(dtype="F16", data_offsets=[begin // 2, end // 2])
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            begin, end = (2 * offset for offset in head[name]["data_offsets"])
            file.write(struct.pack(f"<{(end - begin) // 4}e", *struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])))


def make_many(folder, count):
    """lora1..loraN; the files are links to eight, since copies would only take disk."""
    root = folder / f"many-{count}"
    if (root / f"lora{count}").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    for n in range(1, count + 1):
        target, source = root / f"lora{n}", folder / "peft" / f"lora{(n - 1) % adapters.COUNT + 1}"
        target.mkdir(parents=True)
        shutil.copy(source / "adapter_config.json", target)
        if n <= adapters.COUNT:
            halve(source / "adapter_model.safetensors", target / "adapter_model.safetensors")
        else:
            os.link(root / source.name / "adapter_model.safetensors", target / "adapter_model.safetensors")
    return root


class Many(Chorale):
    """Chorale over another adapter root."""

    def __init__(self, setup, root, log):
        super().__init__(setup, log)
        self._command[self._command.index("--adapter-root") + 1] = str(root)

    def rss_mib(self):
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def memory_of(setup, count):
    """Resident memory with so many registered adapters, when ready and after requests for each in turn."""
    root = make_many(setup.adapters, count)
    shutil.rmtree(setup.work / "state", ignore_errors=True)
    with Many(setup, root, setup.work / "many.log") as server:
        ready = server.rss_mib()
        requests = [Request(chat_prompt(f"memory/{i}", PROMPT_WORDS), i % count, 16) for i in range(MEMORY_REQUESTS)]
        done = measure(server, requests, SLOTS, 150.0)
        seen = {"adapters": count, "ready_s": server.ready_s, "rss_ready_mib": ready, "rss_after_mib": server.rss_mib(),
                "requests": done["answers"], "errors": done["errors"]}
    say(f"{count} adapters registered: ready after {seen['ready_s']} s, RSS {ready} MiB, after {done['answers']} requests {seen['rss_after_mib']} MiB")
    return seen


def requests_of(mix, round_number, options):
    key = f"{mix}/{round_number}"
    if mix == "eight":
        chosen = [i % RESIDENT for i in range(options.requests)]
    else:
        weights = [1 / k ** ZIPF_EXPONENT for k in range(1, options.adapters + 1)]
        chosen = random.Random(key).choices(range(options.adapters), weights, k=options.requests)
    return [Request(chat_prompt(f"{key}/{i}", PROMPT_WORDS), adapter, options.max_tokens) for i, adapter in enumerate(chosen)]


def run(setup, options, save):
    memory = [memory_of(setup, count) for count in options.memory]
    root = make_many(setup.adapters, options.adapters)
    shutil.rmtree(setup.work / "state", ignore_errors=True)
    with Many(setup, root, setup.work / "many.log") as server:
        seen = {"memory": memory, "ready_s": server.ready_s, "rss_ready_mib": server.rss_mib(), "facts": server.facts(),
                "runs": {"eight": [], "zipf": []}}
        say(f"{options.adapters} adapters registered and ready after {seen['ready_s']} s, RSS {seen['rss_ready_mib']} MiB")
        measure(server, requests_of("eight", "warm-up", options)[:2 * SLOTS], SLOTS, options.point_limit_s)
        for round_number in range(options.rounds):
            for mix in seen["runs"]:
                requests = requests_of(mix, round_number, options)
                cpu = machine.CpuTime()
                done = measure(server, requests, SLOTS, options.point_limit_s)
                done.update(cpu=cpu.shares(), adapters_asked=len({request.adapter for request in requests}))
                seen["runs"][mix].append(done)
                say(f"round {round_number + 1} {mix}: {done['output_tokens_per_s']} tok/s, worst gap {done['gap_max_ms']} ms, "
                    f"{done['adapters_asked']} adapters, {done['errors']} errors")
            seen["rss_end_mib"], seen["peak_rss_mib"] = server.rss_mib(), server.peak_rss_mib()
            save(seen)


def results(setup, seen, options, started):
    rates = {mix: [one["output_tokens_per_s"] for one in runs] for mix, runs in seen["runs"].items()}
    worst = {mix: [one["gap_max_ms"] for one in runs] for mix, runs in seen["runs"].items()}
    later = [round(a - b, 2) for a, b in zip(worst["zipf"], worst["eight"]) if a is not None and b is not None]
    return {"schema": 1, "date": started.date().isoformat(), "started": started.isoformat(timespec="seconds"),
            "rounds": len(seen["runs"]["zipf"]), "machine": machine.describe(),
            "versions": {"chorale": machine.commit(REPOSITORY), "java": machine.java_version()},
            "model": {"file": setup.model.name, "sha256": fetch.sha256(setup.model)},
            "load": {"adapters": options.adapters, "adapter_rank": adapters.RANK, "adapter_type": "float16", "concurrency": SLOTS,
                     "requests": options.requests, "max_tokens": options.max_tokens, "zipf_exponent": ZIPF_EXPONENT,
                     "prompt_words": PROMPT_WORDS, "threads": setup.threads},
            "ratio": spread([round(a / b, 3) for a, b in zip(rates["zipf"], rates["eight"]) if b]),
            "worst_gap_over_eight_ms": spread(later), **seen}


def markdown(found):
    lines = [f"{found['load']['adapters']} registered adapters of rank {found['load']['adapter_rank']}, {found['load']['concurrency']} clients, "
             f"{found['machine']['cpu']}, {found['machine']['usable_processors']} processors, {found['rounds']} rounds.", "",
             "| adapters asked for | tok/s | first token ms, p50 / p99 | gap ms, p50 / p99 / worst |", "|---|---|---|---|"]
    for mix, words in (("eight", "8 in turn"), ("zipf", f"{found['load']['adapters']}, skewed")):
        middle = {key: statistics.median(run[key] for run in found["runs"][mix])
                  for key in ("output_tokens_per_s", "ttft_p50_ms", "ttft_p99_ms", "gap_p50_ms", "gap_p99_ms", "gap_max_ms")}
        rate, first, late, *gaps = middle.values()
        lines.append(f"| {words} | {rate:.0f} | {first:.0f} / {late:.0f} | " + " / ".join(f"{gap:.0f}" for gap in gaps) + " |")
    lines += ["", "| registered | ready after s | RSS when ready, MiB | after requests, MiB |", "|---|---|---|---|"]
    own = {"adapters": found["load"]["adapters"], "ready_s": found["ready_s"], "rss_ready_mib": found["rss_ready_mib"],
           "rss_after_mib": found["rss_end_mib"]}
    for one in [*found["memory"], own]:
        lines.append(f"| {one['adapters']} | {one['ready_s']:.1f} | {one['rss_ready_mib']:.0f} | {one['rss_after_mib']:.0f} |")
    later = found["worst_gap_over_eight_ms"]
    if later:
        lines += ["", f"Worst gap of any stream with cold adapters over the worst without, same round: median {later['median']:.1f} ms, "
                  f"highest {later['max']:.1f} ms (aim: at most {LATE_MS} ms)."]
    lines += ["", f"Ratio {found['ratio']['median']:.2f} [{found['ratio']['min']:.2f}..{found['ratio']['max']:.2f}]. Ready after "
              f"{found['ready_s']:.1f} s; RSS then {found['rss_ready_mib']:.0f} MiB, peak {found['peak_rss_mib']:.0f} MiB."]
    return "\n".join(lines)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapters", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=96, help="a round and mix; default %(default)s")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--memory", type=numbers, default=[1, 100], help="registered adapters whose memory is measured too, such as 1,100")
    parser.add_argument("--point-limit-s", type=float, default=150.0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    if options.adapters < RESIDENT:
        parser.error(f"--adapters is {options.adapters}, wanted {RESIDENT} or more")
    return options


def main():
    options, started = read_options(), datetime.datetime.now().astimezone()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that no server outlives this program
    setup = prepare(options, with_llama=False)
    out = results_file(options, started, "many")

    def save(seen):
        out.write_text(json.dumps(results(setup, seen, options, started), indent=1) + "\n")

    run(setup, options, save)
    found = json.loads(out.read_text())
    say(f"results are in {out}")
    print(markdown(found))


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as failure:
        sys.exit(f"many.py: {failure}")
