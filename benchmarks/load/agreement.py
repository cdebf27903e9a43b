"""Do both servers compute the same model? Compares next-token log-probabilities of the base and of every adapter.

Speed means nothing if one server leaves the adapters out. For each pair of variants (base, lora1..lora8) the distance is
the mean absolute difference of the log-probabilities of the tokens that are among the ten likeliest of both. It is not
zero for equal variants (the servers round activations and KV caches differently), but it must be smaller than between
different ones.
"""
import json
import statistics

from adapters import COUNT

VARIANTS = [None, *range(COUNT)]
QUESTIONS = ("What is a rainbow?", "Name three animals that live in the sea.", "Why do people write letters?")


def top(server, adapter, question):
    body = {**server.adapter_fields(adapter), "messages": [{"role": "user", "content": question}], "max_tokens": 1,
            "temperature": 0.0, "logprobs": True, "top_logprobs": 10}
    status, answer = server.post("/v1/chat/completions", body)
    if status != 200:
        raise RuntimeError(f"{server.name} answers a request for log-probabilities with {status}: {answer[:300]!r}")
    first = json.loads(answer)["choices"][0]["logprobs"]["content"][0]
    return {entry["token"]: entry["logprob"] for entry in first["top_logprobs"]}


def probe(server):
    """For every variant and question the ten likeliest first tokens."""
    return [[top(server, variant, question) for question in QUESTIONS] for variant in VARIANTS]


def distance(ours, theirs):
    """Infinite where two answers have no token in common."""
    differences = []
    for one, other in zip(ours, theirs):
        common = one.keys() & other.keys()
        if not common:
            return float("inf")
        differences += [abs(one[token] - other[token]) for token in common]
    return statistics.mean(differences)


def compare(ours, theirs):
    """Summary of all pairs of variants, in nats; `nearest_is_own` counts variants whose own twin is the nearest."""
    table = [[distance(one, other) for other in theirs] for one in ours]
    own = [row[i] for i, row in enumerate(table)]
    others = [value for i, row in enumerate(table) for j, value in enumerate(row) if i != j and value != float("inf")]
    nearest = sum(min(range(len(row)), key=row.__getitem__) == i for i, row in enumerate(table))
    return {"variants": len(table), "nearest_is_own": nearest, "own_nats": round(statistics.mean(own), 4),
            "own_max_nats": round(max(own), 4), "others_nats": round(statistics.mean(others), 4),
            "others_min_nats": round(min(others), 4)}
