"""A closed-loop streaming client for OpenAI-style servers on this machine, and what it measures.

C workers; each opens a connection, sends one request, reads its stream to the end, closes, and takes the next request.
One connection a request, since llama-server closes it after a stream. Times are taken where the bytes arrive, on a
monotonic clock, in seconds; token counts come from the server's own `usage`, since one chunk may hold several tokens.
Standard library only.
"""
import asyncio
import dataclasses
import json
import random
import statistics
import time

HOST = "127.0.0.1"
WORDS = """apple anchor autumn barn basket beach bell bird blanket boat bottle branch bread brick bridge brother bucket butter
candle canvas captain castle chain chair cheese cherry chimney circle clock cloud coat coffee copper corner cotton cousin
crown curtain desert diamond doctor donkey dragon drawer dust eagle engine evening farmer feather fence field finger flame
flower forest fountain garden ghost glass grain guitar hammer harbor harvest hill honey horizon horse island jacket jewel
jungle kettle kitchen ladder lake lamp lantern leaf lemon letter library lion market meadow mirror monkey moon morning
mountain museum needle nest ocean onion orange orchard owl palace paper parrot pencil pepper pillow pirate planet pocket
pond potato queen rabbit rain river road rocket roof rope rose sail salt sand school shadow shell silver sister snow
soldier song spider spoon spring star stone storm street sugar summer table teacher thunder ticket tiger tower train
treasure tunnel uncle valley velvet village violin wagon wall water wheel whisper window winter wolf wood wool yard""".split()


@dataclasses.dataclass(frozen=True)
class Request:
    """One streamed generation. `adapter` counts from 0, None is the base. The prompt is text for the chat route or token
    ids for the completions route; greedy, and going on past the end token."""

    prompt: object
    adapter: int = None
    max_tokens: int = 64

    def send(self, server):
        body = {"stream": True, "stream_options": {"include_usage": True}, "temperature": 0.0, "ignore_eos": True,
                "max_tokens": self.max_tokens, **server.adapter_fields(self.adapter)}
        if isinstance(self.prompt, str):
            return "/v1/chat/completions", {**body, "messages": [{"role": "user", "content": self.prompt}]}
        return "/v1/completions", {**body, "prompt": self.prompt}


@dataclasses.dataclass
class Answer:
    """`stamps`: arrival of every chunk with text, seconds since the request was begun; `error` is None if all went well."""

    stamps: list = dataclasses.field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    error: str = None


def chat_prompt(key, words):
    """Distinct from its first word on for every key, so that a prefix cache helps with the chat template only."""
    rng = random.Random(key)
    return " ".join(rng.choice(WORDS) for _ in range(words)) + ". Tell a story with these words."


def token_prompt(key, tokens, vocabulary):
    """Ordinary token ids: the low ones are control tokens."""
    rng = random.Random(key)
    return [rng.randrange(min(256, vocabulary // 2), vocabulary) for _ in range(tokens)]


async def open_stream(port, path, body):
    """Sends the request and reads the head; gives the status, an async iterator of body bytes, and the writer."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 20)
    payload = json.dumps(body).encode()
    writer.write(f"POST {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                 f"Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    return int(head.split(" ", 2)[1]), pieces(reader, "transfer-encoding: chunked" in head), writer


async def pieces(reader, chunked):
    while not chunked:
        piece = await reader.read(1 << 16)
        if not piece:
            return
        yield piece
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        piece = await reader.readexactly(size + 2)
        if size == 0:
            return
        yield piece[:-2]


async def ask(server, request):
    begun = time.perf_counter()
    answer, writer = Answer(), None
    try:
        status, body, writer = await open_stream(server.port, *request.send(server))
        rest = b""
        async for piece in body:
            now = time.perf_counter() - begun
            rest += piece
            if status == 200:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    take(line.strip(), now, answer)
        if status != 200:
            answer.error = f"HTTP {status}: {rest[:200].decode(errors='replace')}"
        elif answer.error is None and answer.output_tokens != request.max_tokens:
            answer.error = f"{answer.output_tokens} output tokens, wanted {request.max_tokens}"
    except asyncio.CancelledError:
        answer.error = "cut off at the time limit"
    except (OSError, ValueError, asyncio.IncompleteReadError) as e:
        answer.error = f"{type(e).__name__}: {e}"[:200]
    finally:
        if writer is not None:
            writer.close()
    return answer


def take(line, now, answer):
    """One line of an event stream."""
    if not line.startswith(b"data:") or line == b"data: [DONE]":
        return
    event = json.loads(line[5:])
    if "error" in event:
        answer.error = str(event["error"])[:200]
    if event.get("usage"):
        answer.prompt_tokens = event["usage"]["prompt_tokens"]
        answer.output_tokens = event["usage"]["completion_tokens"]
    for choice in event.get("choices") or []:
        if choice.get("text") or (choice.get("delta") or {}).get("content"):
            answer.stamps.append(now)


async def closed_loop(server, requests, concurrency, limit_s):
    """Answers of all requests that were begun, the seconds from the first byte sent to the last received, and whether
    the time limit ended it: then no further request begins, and those that run have as long again."""
    waiting, answers, begun = list(reversed(requests)), [], time.perf_counter()

    async def work():
        while waiting and time.perf_counter() - begun < limit_s:
            answers.append(await ask(server, waiting.pop()))

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    _, late = await asyncio.wait(workers, timeout=2 * limit_s)
    for worker in late:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return answers, time.perf_counter() - begun, bool(waiting or late)


def percentile(values, percent):
    """Linear between the two nearest; None of nothing."""
    if len(values) < 2:
        return values[0] if values else None
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def milliseconds(values, percent):
    value = percentile(values, percent)
    return None if value is None else round(value * 1000, 2)


def measure(server, requests, concurrency, limit_s):
    """Runs the requests and sums up; tokens per second count whole answers only, over the whole wall time."""
    answers, wall_s, cut = asyncio.run(closed_loop(server, requests, concurrency, limit_s))
    good = [a for a in answers if a.error is None]
    first = [a.stamps[0] for a in good if a.stamps]
    gaps = [later - earlier for a in good for earlier, later in zip(a.stamps, a.stamps[1:])]
    output = sum(a.output_tokens for a in good)
    prompt = sum(a.prompt_tokens for a in good)
    return {"wall_s": round(wall_s, 3), "answers": len(good), "errors": len(answers) - len(good),
            "first_error": next((a.error for a in answers if a.error), None), "cut_by_time_limit": cut,
            "output_tokens": output, "output_tokens_per_s": round(output / wall_s, 2), "prompt_tokens": prompt,
            "prompt_tokens_per_s": round(prompt / wall_s, 2), "text_chunks": sum(len(a.stamps) for a in good),
            "ttft_p50_ms": milliseconds(first, 50), "ttft_p99_ms": milliseconds(first, 99),
            "gap_p50_ms": milliseconds(gaps, 50), "gap_p99_ms": milliseconds(gaps, 99),
            "gap_max_ms": round(max(gaps) * 1000, 2) if gaps else None}
