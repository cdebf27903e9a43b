#!/usr/bin/env python3
"""The readable form of a results file of run.py.

  python3 benchmarks/load/table.py RESULTS.json                                     prints the table
  python3 benchmarks/load/table.py RESULTS.json --readme README.md --svg docs/load.svg

--readme replaces what lies between the lines <!-- load-table --> and <!-- /load-table -->; --svg draws the same numbers.
"""
import argparse
import json
import pathlib
import re
import statistics
import sys

import plot

OURS, THEIRS, THIRD = "chorale", "llama.cpp", "vllm"
BEGIN, END = "<!-- load-table -->", "<!-- /load-table -->"
MIX_WORDS = {"base": "none", "one": "one for all", "distinct": "8 in turn", "zipf": "8, skewed"}


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def rate_cell(entry, server):
    side = entry["servers"][server]
    rate = side[entry["rate"]]
    marks = [f"{side[key]} {word}" for key, word in (("errors", "errors"), ("cut", "cut short")) if side[key]]
    return f"{number(rate['median'])} [{number(rate['min'])}..{number(rate['max'])}]" + (f" ({', '.join(marks)})" if marks else "")


def pair_cell(entry, server, first, second):
    one, two = entry["servers"][server][first], entry["servers"][server][second]
    return "-" if one is None else f"{number(one['median'])} / {number(two['median'])}"


def ratio_cell(entry, key="ratio"):
    return f"{entry[key]['median']:.2f}" if entry.get(key) else "-"


def others(found):
    """(server, its name, the key of Chorale's ratio to it); vLLM where it was measured."""
    return [(THEIRS, "llama.cpp", "ratio")] + ([(THIRD, "vLLM", "ratio_vllm")] if THIRD in found["servers"] else [])


def decode_table(found, points):
    peers = others(found)
    heads = ["clients", "adapters", "tok/s Chorale"]
    for _, name, _ in peers:
        heads += [f"tok/s {name}", "ratio"]
    sides = [(OURS, "Chorale"), *((server, name) for server, name, _ in peers)]
    heads += [("first token ms, " if i == 0 else "") + name for i, (_, name) in enumerate(sides)]
    heads += [("gap ms, " if i == 0 else "") + name for i, (_, name) in enumerate(sides)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for entry in points:
        cells = [str(entry["concurrency"]), MIX_WORDS[entry["mix"]], rate_cell(entry, OURS)]
        for server, _, key in peers:
            cells += [rate_cell(entry, server), ratio_cell(entry, key)]
        cells += [pair_cell(entry, server, "ttft_p50_ms", "ttft_p99_ms") for server, _ in sides]
        cells += [pair_cell(entry, server, "gap_p50_ms", "gap_p99_ms") for server, _ in sides]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def prefill_lines(found):
    return [f"Prompt of {found['load']['prefill_tokens']} tokens, one client, adapters {MIX_WORDS[entry['mix']]}: "
            f"{rate_cell(entry, OURS)} prompt tok/s"
            + "".join(f", {name} {rate_cell(entry, server)}, ratio {ratio_cell(entry, key)}" for server, name, key in others(found)) + "."
            for entry in found["points"] if entry["kind"] == "prefill"]


def vllm_words(found):
    side = found["servers"].get(THIRD)
    return f", vLLM {side['version']} (compiled, {side['dtype']})" if side else ""


def machine_line(found):
    host, versions = found["machine"], found["versions"]
    return (f"{host['cpu']} (family {host['cpu_family']}, model {host['cpu_model']}; {', '.join(host['flags'])}), "
            f"{host['usable_processors']} processors, {host['memory_gib']} GiB; {found['date']}, profile {found['profile']}, "
            f"{found['rounds']} rounds. Chorale {versions['chorale']} (kernels {found['servers'][OURS].get('kernels')}), "
            f"{versions['llama.cpp']}{vllm_words(found)}; {found['model']['file']}, {found['load']['threads']} threads each, client on the same machine.")


def prompt_tokens(entry):
    runs = entry["servers"][OURS]["runs"]
    return sum(run["prompt_tokens"] for run in runs) / max(1, sum(run["answers"] for run in runs))


def markdown(found):
    decode = [entry for entry in found["points"] if entry["kind"] == "decode"]
    lines = [machine_line(found), ""]
    if decode:
        lines += [*decode_table(found, decode), "",
                  f"Prompts of about {prompt_tokens(decode[0]):.0f} tokens, {decode[0]['max_tokens']} output tokens, greedy, streamed. tok/s: output tokens of all clients, "
                  "median [lowest..highest] of the rounds. First token and gap between chunks: p50 / p99, median of the rounds."]
    lines += prefill_lines(found)
    rss = found["peak_rss_mib"]
    memory = ", ".join(f"{name} {number(rss[server]['median'])} MiB" for server, name in
                       [(OURS, "Chorale"), *((server, name) for server, name, _ in others(found))])
    lines.append(f"Peak memory (VmHWM): {memory}, {found['load']['adapters']} adapters loaded.")
    if found.get("ready_s"):
        lines.append("Ready after: " + ", ".join(f"{name} {statistics.median(found['ready_s'][server]):.1f} s" for server, name in
                                                 [(OURS, "Chorale"), *((server, name) for server, name, _ in others(found))]) + ".")
    lines += [f"Left out: {why}." for why in found.get("left_out", [])]
    return "\n".join(lines)


def replace_between_markers(path, text):
    old = path.read_text()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if len(pattern.findall(old)) != 1:
        sys.exit(f"{path} has {old.count(BEGIN)} times {BEGIN} and {old.count(END)} times {END}, wanted one pair in this order")
    path.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", old))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--readme", type=pathlib.Path)
    parser.add_argument("--svg", type=pathlib.Path)
    given = parser.parse_args()
    read = json.loads(given.results.read_text())
    table = f"{markdown(read)}\nEvery run: `benchmarks/results/{given.results.name}`."
    if given.readme:
        replace_between_markers(given.readme, table)
    if given.svg:
        given.svg.write_text(plot.svg(read))
    if not (given.readme or given.svg):
        print(table)
