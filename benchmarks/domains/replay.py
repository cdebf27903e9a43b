"""Asks the base model, over HTTP, questions that are none of an adapter's business, and keeps its answers: replay.jsonl.

  ./chorale serve --port 8093                                   # the base model, in another terminal
  python3 benchmarks/domains/replay.py http://127.0.0.1:8093/v1        (greedy, some minutes)
  python3 benchmarks/domains/replay.py http://127.0.0.1:8093/v1 more   (replay_more.jsonl: other questions of the same kinds)
  python3 benchmarks/domains/replay.py http://127.0.0.1:8093/v1 plain  (plain.jsonl, plain_held.jsonl: text without a chat)

The committed file was made when legal_task.py also asked for the kind of whole license passages; a new run asks other legal
questions. Each adapter is held to the base (`--retain-data`) on the general rows and those of the other two domains, so that it leaves alone what it was not
trained for. SmolLM2-135M-Instruct and thus its answers: Apache-2.0. An answer that is cut at the limit is kept up to its
last whole sentence or line.

plain.jsonl is what the base writes by itself after a heading with a school subject or a field of work, as questions with answers or
as running text, once at temperature 1 and once at 0.6; plain_held.jsonl are other subjects. Only its words matter: `--retain-data`
asks the base itself what comes next.
"""
import concurrent.futures
import importlib
import json
import pathlib
import random
import re
import sys
import urllib.request

import rows

HERE = pathlib.Path(__file__).resolve().parent
LIMIT, CLIENTS = 64, 12
EACH, MORE = 90, 160  # questions of a domain
TOPICS = ["the moon", "bread", "rivers", "chess", "bicycles", "winter", "music", "volcanoes", "tea", "libraries", "bees", "maps",
          "glass", "dreams", "trains", "gardens", "friendship", "the ocean", "painting", "time"]
GENERAL = ["Write two sentences about {}.", "Why do people like {}?", "Name three facts about {}.", "Explain {} to a child.",
           "Write a short poem about {}.", "What is the first thing that you think of when you hear \"{}\"?"]
PLAIN = ["What is the capital of Italy?", "Translate to French: good morning.", "What is 7 plus 5?", "Who wrote Hamlet?",
         "Give me a synonym of happy.", "How many days has a leap year?", "What colour is made of blue and yellow?",
         "Is the sun a star? Answer yes or no.", "Fix the grammar: She go to school yesterday.", "List four fruits.",
         "What is the opposite of cold?", "Summarise in one sentence: The cat sat on the mat and slept all day.",
         "Hello, who are you?", "What should I cook tonight?", "Give me advice on learning a language.",
         "Which is larger, a whale or a mouse?", "Continue: Once upon a time", "What is the plural of child?",
         "Name the largest planet.", "How do I stay focused at work?"]


def prompts():
    """(topic, messages) in a fixed order"""
    rng, made = random.Random(7104), []
    for topic in ("legal", "medical", "code"):
        mine = importlib.import_module(topic + "_task").make()[0]
        made += [(topic, r["messages"][:-1]) for r in rng.sample(mine, EACH)]
    general = [g.format(t) for g in GENERAL for t in rng.sample(TOPICS, 8)] + PLAIN
    return made + [("general", [{"role": "user", "content": q}]) for q in general]


def more_prompts():
    """As prompts, other ones than those that were asked."""
    rng, made = random.Random(7108), []
    asked = {json.dumps(json.loads(line)["messages"][:-1]) for line in (HERE / "replay.jsonl").read_text(encoding="utf-8").splitlines()}
    for topic in ("legal", "medical", "code"):
        left = [r["messages"][:-1] for r in importlib.import_module(topic + "_task").make()[0]]
        made += [(topic, m) for m in rng.sample([m for m in left if json.dumps(m) not in asked], MORE)]
    general = [[{"role": "user", "content": g.format(t)}] for g in GENERAL for t in TOPICS]
    return made + [("general", m) for m in general if json.dumps(m) not in asked]


SUBJECTS = ["geography", "physics", "grammar", "cooking", "sailing", "poetry", "chemistry", "genetics", "statistics", "carpentry",
            "accounting", "ethics", "logic", "algebra", "geometry", "the Roman empire", "the French revolution", "trade unions",
            "elections", "courts of law", "contracts", "road traffic", "nutrition", "first aid", "the human heart", "bones and muscles",
            "infections", "sleep", "memory and learning", "child development", "marketing", "management", "inflation", "banking",
            "foreign policy", "migration", "religion", "philosophy", "mythology", "architecture", "photography", "film", "sports",
            "computer networks", "programming", "operating systems", "encryption", "electric circuits", "engines", "bridges", "planets",
            "stars and galaxies", "climate", "oceans", "forests", "animals", "plants", "insects", "agriculture", "water supply",
            "public health", "ageing", "news and media", "advertising"]
HELD = ["soil and rocks", "aviation", "dentistry", "insurance", "cells", "probability", "the Cold War", "opera"]
FORMS = ["The following are questions (with answers) about {}.\n\nQuestion:", "Questions and answers about {}\n\nQ:",
         "An introduction to {}\n\n", "Multiple choice questions about {}.\n\nQuestion:", "What everyone should know about {}:"]


def plain(url):
    for file, subjects in (("plain.jsonl", SUBJECTS), ("plain_held.jsonl", HELD)):
        starts = [(f.format(s), t) for s in subjects for f in FORMS for t in (1, 0.6)]
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            texts = list(pool.map(lambda k: starts[k][0] + complete(url, *starts[k], 7109 + k), range(len(starts))))
        print(f"{file}: {len(texts)} texts, {rows.write(HERE / file, [{'text': t} for t in texts])} bytes")


def complete(url, start, temperature, seed):
    body = json.dumps({"model": "SmolLM2-135M-Instruct", "prompt": start, "temperature": temperature, "seed": seed, "max_tokens": 96}).encode()
    request = urllib.request.Request(url + "/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=1800) as answer:
        return json.load(answer)["choices"][0]["text"]


def whole(text, ended):
    if ended:
        return text.strip()
    ends = [m.end() for m in re.finditer(r"[.!?](?=\s)|\n", text)]
    return text[:ends[-1]].strip() if ends else ""


def ask(url, messages):
    body = json.dumps({"model": "SmolLM2-135M-Instruct", "messages": messages, "temperature": 0, "max_tokens": LIMIT}).encode()
    request = urllib.request.Request(url + "/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=1800) as answer:
        choice = json.load(answer)["choices"][0]
    return whole(choice["message"]["content"], choice["finish_reason"] == "stop")


def main(url, more=""):
    if more == "plain":
        return plain(url)
    todo = more_prompts() if more else prompts()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda p: ask(url, p[1]), todo))
    made = [{"topic": topic, "messages": messages + [{"role": "assistant", "content": answer}]}
            for (topic, messages), answer in zip(todo, answers) if answer]
    print(f"{len(made)} of {len(todo)} answers, {rows.write(HERE / ('replay_more.jsonl' if more else 'replay.jsonl'), made)} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
