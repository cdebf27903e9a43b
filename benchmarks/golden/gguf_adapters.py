#!/usr/bin/env python3
"""Check that llama.cpp applies the GGUF adapters that `chorale convert` writes, exactly as PEFT applies the originals.

  gguf_adapters.py LLAMA_SERVER MODELS_DIR ADAPTERS_DIR   (src/test/resources/golden/models  src/test/resources/golden/adapters)

For every golden adapter that GGUF can say: writes its base as a float32 GGUF (the tiny GGUF of model_files.py with its tensors
widened), converts the adapter, starts llama-server with both, and holds llama.cpp's log-probabilities of all tokens after both
prompts against the log-softmax of PEFT's logits. Prints the largest difference, and beside it how far the base without the adapter
is away. Exit code 1 if one is above 2e-3 nats (llama.cpp computes attention in half precision), or no adapter was checked.

Needs gguf 0.19, numpy, a built llama.cpp, and ./chorale built; run in the repository root. Starts servers on 127.0.0.1, one after
the other, and stops each by its own process.
"""
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import gguf
import numpy as np
from gguf.quants import dequantize

BASES = {"llama": "llama-f16.gguf"}
TOLERANCE = 2e-3


def widen(source, target):
    """The same model with every weight in float32."""
    r = gguf.GGUFReader(source)
    w = gguf.GGUFWriter(target, r.fields["general.architecture"].contents())
    for key, field in r.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        if key == "general.file_type":
            w.add_uint32(key, 0)
        elif kind == gguf.GGUFValueType.ARRAY:
            w.add_array(key, field.contents())
        else:
            w.add_key_value(key, field.contents(), kind)
    for t in r.tensors:
        w.add_tensor(t.name, dequantize(t.data, t.tensor_type).astype(np.float32).reshape([int(d) for d in reversed(t.shape)]))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, ids, scale):
    body = {"prompt": ids, "n_predict": 1, "temperature": -1, "n_probs": 264, "cache_prompt": False, "lora": [{"id": 0, "scale": scale}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=30))
    if "completion_probabilities" not in answer:
        return {}
    return {p["id"]: p["logprob"] for p in answer["completion_probabilities"][0]["top_logprobs"]}


def check(server, base, adapter, golden):
    port = free_port()
    process = subprocess.Popen(
        [server, "-m", base, "--lora", adapter, "--host", "127.0.0.1", "--port", str(port), "-c", "256", "-np", "1", "-t", "1",
         "--no-warmup", "-ctk", "f32", "-ctv", "f32", "-fa", "off"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            time.sleep(0.1)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"llama-server ended with {process.returncode} on {adapter}")
        worst, away = 0.0, 0.0
        for prompt in golden["prompts"]:
            # llama-server gives no probabilities where an end token or a part of a character is the likeliest.
            end = max((i for i, row in enumerate(prompt["logits"]) if int(np.argmax(row)) < 128), default=None)
            if end is None:
                continue
            logits = np.array(prompt["logits"][end], dtype=np.float64)
            wanted = logits - (np.log(np.exp(logits - logits.max()).sum()) + logits.max())
            for scale in (1.0, 0.0):
                had = ask(port, prompt["ids"][: end + 1], scale)
                assert len(had) > 200 or not scale, len(had)
                # Far down the tail float32 softmax has few digits left.
                difference = max((abs(lp - wanted[i]) for i, lp in had.items() if wanted[i] > -12), default=0.0)
                worst, away = (max(worst, difference), away) if scale else (worst, max(away, difference))
        return worst, away
    finally:
        process.terminate()
        process.wait(20)


def main():
    server, models, adapters = sys.argv[1:4]
    failed = checked = 0
    with tempfile.TemporaryDirectory() as temp:
        for case in json.load(open(os.path.join(adapters, "cases.json"))):
            if case["base"] not in BASES or case["name"].startswith("gguf/"):
                continue
            base = os.path.join(temp, case["base"] + ".gguf")
            if not os.path.exists(base):
                widen(os.path.join(models, "gguf", BASES[case["base"]]), base)
            out = os.path.join(temp, case["name"] + ".gguf")
            converted = subprocess.run(
                os.environ.get("CHORALE", "./chorale").split()
                + ["convert", os.path.join(adapters, case["name"]), "--out", out, "--model", os.path.join(models, case["base"])],
                capture_output=True, text=True)
            if converted.returncode:
                print(f"{case['name']:24} refused: {converted.stderr.strip()[:150]}")
                continue
            golden = json.load(open(os.path.join(adapters, case["name"], "logits.json")))
            worst, away = check(server, base, out, golden)
            checked += 1
            failed += worst > TOLERANCE
            print(f"{case['name']:24} {worst:.1e} nats from PEFT, base alone {away:.2f}{'  TOO FAR' if worst > TOLERANCE else ''}", flush=True)
    print(f"{checked} adapters checked, {failed} too far")
    sys.exit(1 if failed or not checked else 0)


if __name__ == "__main__":
    main()
