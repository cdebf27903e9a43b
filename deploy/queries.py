"""The PromQL that Grafana and the alert rules ask, and whether a running server's metrics answer it.

  queries.py rules            prints a rule file with every panel's query, for `promtool check rules`
  queries.py names METRICS    METRICS is a /metrics text ('-' is standard input): fails on a name that is not in it
  queries.py answers URL      URL is a Prometheus that has scraped a used server: fails on a panel without data
"""

import json
import pathlib
import re
import sys
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).parent
NAME = re.compile(r"\b(?:chorale_|vllm:|jvm_|process_|system_)[a-z0-9_:]+")


def panels():
    dashboard = json.loads((HERE / "grafana/dashboards/chorale.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$adapter", ".*")
            yield panel["title"], expression


def rule_file():
    rules = [{"record": f"panel:{i}:query", "expr": e} for i, (_, e) in enumerate(panels())]
    print(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML


def names(metrics_path):
    text = sys.stdin.read() if metrics_path == "-" else pathlib.Path(metrics_path).read_text()
    known = {re.split(r"[{ ]", line, maxsplit=1)[0] for line in text.splitlines() if not line.startswith("#")}
    asked = {name for _, e in panels() for name in NAME.findall(e)}
    asked |= set(NAME.findall((HERE / "prometheus/rules.yml").read_text()))
    missing = sorted(asked - known)
    if missing:
        sys.exit("asked for, but not among the server's metrics: " + ", ".join(missing))
    print(f"{len(asked)} metric names, all among the server's metrics")


def answers(url):
    empty = []
    for title, expression in panels():
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
            if not json.load(answer)["data"]["result"]:
                empty.append(f"{title}: {expression}")
    if empty:
        sys.exit("panels without data:\n  " + "\n  ".join(empty))
    print(f"{len(list(panels()))} panel queries, all with data")


if __name__ == "__main__":
    {"rules": rule_file, "names": names, "answers": answers}[sys.argv[1]](*sys.argv[2:])
