#!/usr/bin/env python3
"""Where the processors' time goes while one running server decodes: samples of every thread, sorted into parts.

  python3 benchmarks/load/steps.py                        1 and 16 streams, base and eight adapters: two minutes
  python3 benchmarks/load/steps.py --streams 16 --seconds 5

Linux with perf, and nm of binutils; nothing is compiled in for it. Chorale alone, greedy, speculation off. Counts processor time
of the server only, so waiting (but not spinning) is left out; the client runs beside it. Short prompts: prefill is a small part.
A linear's LoRA is `shrink` (x to rank); rank to out is added in `finish`, where the sums of a tile are scaled and stored, and is
counted there. Output head: the q8 kernel, for a base whose tied embedding is Q8_0 and whose other linears are 4-bit.
Writes benchmarks/results/DATE-steps-CPU.json and prints its table. Environment as for run.py.
"""
import argparse
import asyncio
import bisect
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import adapters
import machine
from client import Request, ask, chat_prompt
from run import REPOSITORY, numbers, prepare, results_file, say
from servers import Chorale

LIBRARY = REPOSITORY / "target/classes/native/linux-x86_64/libchorale.so"
MAX_TOKENS = 256
KERNELS = {"q4Tile": "linears", "nf4Tile": "linears", "nf4Int8Tile": "linears", "q8Tile": "head", "quantize": "linears, inputs to int8",
           "finish": "linears, finish and LoRA expand", "shrink": "LoRA shrink", "attend": "attention", "attendHeads<\\w+>": "attention",
           "pagedAttention": "attention",
           "rmsNorm": "norm, RoPE, SiLU, rest", "siluMul": "norm, RoPE, SiLU, rest", "ropeAndStoreKv": "norm, RoPE, SiLU, rest"}
HTTP_THREADS = ("vert.x", "executor-thread", "quarkus")


class Symbols:
    """The functions of the kernels' library by address; its file is deleted once it is mapped, so perf cannot know them."""

    def __init__(self, pid):
        listed = subprocess.run(["nm", "-nC", "--defined-only", str(LIBRARY)], check=True, capture_output=True, text=True).stdout
        rows = [line.split(" ", 2) for line in listed.splitlines() if re.match(r"[0-9a-f]+ [tT] ", line)]
        self._starts, self._names = [int(row[0], 16) for row in rows], [row[2] for row in rows]
        mapped = [line.split() for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines() if "libchorale" in line]
        if not mapped:
            raise RuntimeError("the server has not mapped libchorale.so: it does not compute with the native kernels")
        spans = [[int(part, 16) for part in row[0].split("-")] for row in mapped]
        self._begin, self._end = min(span[0] for span in spans), max(span[1] for span in spans)

    def name(self, address):
        """None outside the library."""
        if not self._begin <= address < self._end:
            return None
        return self._names[max(0, bisect.bisect_right(self._starts, address - self._begin) - 1)]


def part_of(comm, address, symbols):
    name = symbols.name(address)
    if name is not None:
        for kernel, part in KERNELS.items():
            if re.search(rf"\b{kernel}\(", name):
                return part
        return "pool: spinning" if "Pool" in name else "norm, RoPE, SiLU, rest"
    if comm.startswith("chorale-engine"):
        return "engine thread: scheduler, sampling, system calls"
    if comm.startswith(HTTP_THREADS):
        return "HTTP and SSE"
    return "JVM: compiler, collector, other"


def record(server, seconds, work):
    data = work / "steps.perf"
    subprocess.run(["perf", "record", "-q", "-F", "499", "-e", "task-clock", "-p", str(server.processes()[0]), "-o", str(data), "--",
                    "sleep", str(seconds)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    said = subprocess.run(["perf", "script", "-i", str(data), "-F", "comm,ip", "-G"], capture_output=True, text=True)
    if said.returncode:
        raise RuntimeError(f"perf script failed: {said.stderr[-500:]}")
    return [(comm.strip(), int(ip, 16)) for comm, ip in re.findall(r"^\s*(.+?)\s+([0-9a-f]+)\s*$", said.stdout, re.MULTILINE)]


async def keep_busy(server, streams, mix, stop, counted):
    async def client(index):
        turn = 0
        while not stop.is_set():
            adapter = None if mix == "base" else (index + turn * streams) % adapters.COUNT
            answer = await ask(server, Plain(chat_prompt(f"steps/{mix}/{streams}/{index}/{turn}", 8), adapter, MAX_TOKENS))
            if answer.error:
                raise RuntimeError(f"a request failed: {answer.error}")
            counted.append(answer.output_tokens)
            turn += 1

    await asyncio.gather(*(client(index) for index in range(streams)))


class Plain(Request):
    """Without speculation, so that a row is a token."""

    def send(self, server):
        path, body = super().send(server)
        return path, {**body, "speculative": False}


async def point(server, streams, mix, options, work):
    stop, counted = asyncio.Event(), []
    clients = asyncio.create_task(keep_busy(server, streams, mix, stop, counted))
    await asyncio.sleep(3)  # prompts are read, adapters seated
    samples = await asyncio.get_running_loop().run_in_executor(None, record, server, options.seconds, work)
    stop.set()
    await clients
    symbols, parts = Symbols(server.processes()[0]), {}
    for comm, address in samples:
        part = part_of(comm, address, symbols)
        parts[part] = parts.get(part, 0) + 1
    total = sum(parts.values())
    if not total:
        raise RuntimeError("perf saw no sample")
    return {"streams": streams, "mix": mix, "samples": total,
            "share": {part: round(n / total, 4) for part, n in sorted(parts.items(), key=lambda item: -item[1])}}


def markdown(found):
    points = found["points"]
    names = sorted({part for one in points for part in one["share"]}, key=lambda part: -max(one["share"].get(part, 0) for one in points))
    lines = ["| part, % of the server's processor time | " + " | ".join(f"{one['streams']}, {one['mix']}" for one in points) + " |",
             "|---|" + "---|" * len(points)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(f"{100 * one['share'].get(name, 0):.1f}" for one in points) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=numbers, default=[1, 16])
    parser.add_argument("--seconds", type=int, default=15, help="sampled, of each point")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    for tool in ("perf", "nm"):
        if shutil.which(tool) is None:
            sys.exit(f"no {tool} on the PATH; install linux-perf and binutils")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that no server outlives this program
    setup, facts = prepare(options, with_llama=False), machine.describe()
    out = results_file(options, datetime.datetime.now(), "steps")
    shutil.rmtree(setup.work / "state", ignore_errors=True)
    found = {"schema": 1, "date": str(datetime.date.today()), "machine": facts, "chorale": machine.commit(REPOSITORY),
             "busy_before": machine.busy_before(), "points": []}
    with Chorale(setup, setup.work / "steps.log") as server:
        found["server"] = server.facts()
        for streams in options.streams:
            for mix in ("base", "distinct"):
                say(f"{streams} streams, {mix}")
                found["points"].append(asyncio.run(point(server, streams, mix, options, setup.work)))
                out.write_text(json.dumps(found, indent=1) + "\n")
    say(f"results are in {out}")
    print(markdown(found))


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as failure:
        sys.exit(f"steps.py: {failure}")
