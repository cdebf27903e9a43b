"""Prints a micro result as Markdown: table.py RESULT.json."""

import json
import sys


def share(case, run):
    """Of what the machine can do: memory for few rows, the instruction's peak for many."""
    limits, threads = run["limits"], run["threads"]
    name = case["case"]
    memory = case["gb_per_s"] / limits["read_gb_per_s"]
    floats = name.startswith(("NF4 exact", "F16", "attention"))
    peak = limits["float_gop_per_s_a_thread" if floats else "int8_gop_per_s_a_thread"] * threads
    compute = case["gop_per_s"] / peak if peak and case["gop_per_s"] else 0
    return f"{memory:.0%}", f"{compute:.0%}" if compute else "-"


def main(path):
    with open(path) as file:
        result = json.load(file)
    print(f"{result['processor']}, {result['cores']} cores, load before {result['load_before']}, {result['date']}\n")
    for run in result["runs"]:
        limits = run["limits"]
        print(
            f"{run['path']}, {run['threads']} thread(s): reads {limits['read_gb_per_s']} GB/s; a thread's peak "
            f"{limits['int8_gop_per_s_a_thread']} G int8 and {limits['float_gop_per_s_a_thread']} G float operations/s\n"
        )
        print("| kernel | us | of memory's rate | of the peak | over its base |\n|---|---|---|---|---|")
        for case in run["cases"]:
            memory, compute = share(case, run)
            over = f"{case['over_first']:.2f}" if case["over_first"] != 1 else ""
            print(f"| {case['case']} | {case['us']} | {memory} | {compute} | {over} |")
        print()


main(sys.argv[1])
