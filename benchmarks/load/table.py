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
import sys

import plot

OURS, THEIRS = "chorale", "llama.cpp"
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


def ratio_cell(entry):
    return f"{entry['ratio']['median']:.2f}" if entry["ratio"] else "-"


def decode_table(points):
    lines = ["| clients | adapters | tok/s Chorale | tok/s llama.cpp | ratio | first token ms, Chorale | llama.cpp | gap ms, Chorale | llama.cpp |",
             "|---|---|---|---|---|---|---|---|---|"]
    for entry in points:
        cells = [str(entry["concurrency"]), MIX_WORDS[entry["mix"]], rate_cell(entry, OURS), rate_cell(entry, THEIRS), ratio_cell(entry)]
        cells += [pair_cell(entry, server, "ttft_p50_ms", "ttft_p99_ms") for server in (OURS, THEIRS)]
        cells += [pair_cell(entry, server, "gap_p50_ms", "gap_p99_ms") for server in (OURS, THEIRS)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def prefill_lines(found):
    return [f"Prompt of {found['load']['prefill_tokens']} tokens, one client, adapters {MIX_WORDS[entry['mix']]}: "
            f"{rate_cell(entry, OURS)} prompt tok/s, llama.cpp {rate_cell(entry, THEIRS)}, ratio {ratio_cell(entry)}."
            for entry in found["points"] if entry["kind"] == "prefill"]


def machine_line(found):
    host, versions = found["machine"], found["versions"]
    return (f"{host['cpu']} (family {host['cpu_family']}, model {host['cpu_model']}; {', '.join(host['flags'])}), "
            f"{host['usable_processors']} processors, {host['memory_gib']} GiB; {found['date']}, profile {found['profile']}, "
            f"{found['rounds']} rounds. Chorale {versions['chorale']} (kernels {found['servers'][OURS].get('kernels')}), "
            f"{versions['llama.cpp']}; {found['model']['file']}, {found['load']['threads']} threads each, client on the same machine.")


def prompt_tokens(entry):
    runs = entry["servers"][OURS]["runs"]
    return sum(run["prompt_tokens"] for run in runs) / max(1, sum(run["answers"] for run in runs))


def markdown(found):
    decode = [entry for entry in found["points"] if entry["kind"] == "decode"]
    lines = [machine_line(found), ""]
    if decode:
        lines += [*decode_table(decode), "",
                  f"Prompts of about {prompt_tokens(decode[0]):.0f} tokens, {decode[0]['max_tokens']} output tokens, greedy, streamed. tok/s: output tokens of all clients, "
                  "median [lowest..highest] of the rounds. First token and gap between chunks: p50 / p99, median of the rounds."]
    lines += prefill_lines(found)
    rss = found["peak_rss_mib"]
    lines.append(f"Peak memory (VmHWM): Chorale {number(rss[OURS]['median'])} MiB, llama.cpp {number(rss[THEIRS]['median'])} MiB, "
                 f"{found['load']['adapters']} adapters loaded.")
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
