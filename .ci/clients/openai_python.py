"""Runs the official `openai` package against a started server and prints `N passed, N failed`.

  python -m venv target/clients && target/clients/bin/pip install -r .ci/clients/requirements.txt
  target/clients/bin/python .ci/clients/openai_python.py --url http://127.0.0.1:8000 --model BASE --adapter legal [--api-key K]

Exit status 1 when a check failed. The 401 check needs a server that wants a key and runs only with --api-key; the 429
check needs to know how many requests fill the queue and runs only with --flood N; what did not run is said. Every
check is a function whose name is the sentence it proves; each is independent of the others.
"""
import argparse
import asyncio
import sys
import traceback

import openai

QUESTION = [{"role": "user", "content": "May I sell a product that contains MIT code?"}]
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def chat(ctx, **fields):
    options = {"model": ctx.model, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
    return ctx.client.chat.completions.create(**{**options, **fields})


def text_of(answer, index=0):
    return answer.choices[index].message.content


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"wanted {kind.__name__}, got an answer")


@check
def models_list_names_the_base_and_the_adapter_with_its_parent(ctx):
    models = {m.id: m for m in ctx.client.models.list()}
    assert ctx.model in models and ctx.adapter in models, sorted(models)
    assert all(m.object == "model" and isinstance(m.created, int) for m in models.values())
    assert models[ctx.adapter].model_dump().get("parent") == ctx.model, models[ctx.adapter]


@check
def models_retrieve_finds_both_by_id(ctx):
    for name in (ctx.model, ctx.adapter):
        assert ctx.client.models.retrieve(name).id == name


@check
def chat_answers_with_role_content_finish_reason_and_usage(ctx):
    answer = chat(ctx)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id and answer.created > 1_600_000_000
    assert choice.index == 0 and choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length"), choice.finish_reason
    usage = answer.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


@check
def the_adapter_answers_otherwise_than_the_base(ctx):
    base, adapter = chat(ctx), chat(ctx, model=ctx.adapter)
    assert text_of(base) != text_of(adapter), text_of(base)


@check
def a_stream_adds_up_to_the_answer_given_at_once(ctx):
    for model in (ctx.model, ctx.adapter):
        whole = chat(ctx, model=model)
        chunks = list(chat(ctx, model=model, stream=True))
        assert all(c.object == "chat.completion.chunk" and c.id == chunks[0].id for c in chunks)
        assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == text_of(whole), (text, text_of(whole))
        reasons = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
        assert reasons == [whole.choices[0].finish_reason], reasons
        assert all(c.usage is None for c in chunks), "usage was not asked for"


@check
def a_stream_ends_with_usage_when_asked_for_it(ctx):
    chunks = list(chat(ctx, stream=True, stream_options={"include_usage": True}))
    last = chunks[-1]
    assert last.choices == [] and last.usage is not None, last
    assert all(c.usage is None for c in chunks[:-1])
    whole = chat(ctx).usage
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (whole.prompt_tokens, whole.completion_tokens)


@check
def n_2_gives_two_choices_and_counts_both(ctx):
    answer = chat(ctx, n=2, temperature=1, seed=7, max_tokens=12)
    assert sorted(c.index for c in answer.choices) == [0, 1]
    assert all(c.message.content and c.finish_reason for c in answer.choices)
    assert 2 <= answer.usage.completion_tokens <= 24, answer.usage


@check
def n_2_streams_both_choices_to_an_end(ctx):
    chunks = list(chat(ctx, n=2, temperature=1, seed=7, max_tokens=12, stream=True))
    ended = sorted(c.choices[0].index for c in chunks if c.choices and c.choices[0].finish_reason)
    assert ended == [0, 1], ended


@check
def a_stop_string_ends_the_answer_and_is_not_in_it(ctx):
    whole = text_of(chat(ctx))
    stop = whole.split()[2]
    for stops in (stop, [stop, "\u0000never"]):
        answer = chat(ctx, stop=stops)
        assert text_of(answer) == whole[:whole.index(stop)], (text_of(answer), whole, stop)
        assert answer.choices[0].finish_reason == "stop"
    streamed = "".join(c.choices[0].delta.content or "" for c in chat(ctx, stop=stop, stream=True) if c.choices)
    assert streamed == whole[:whole.index(stop)], streamed


@check
def logprobs_list_the_picked_token_first_and_add_up_to_the_text(ctx):
    answer = chat(ctx, logprobs=True, top_logprobs=3, max_tokens=8)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == answer.usage.completion_tokens, (len(tokens), answer.usage)
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3, token
        assert token.top_logprobs[0].token == token.token, "temperature 0 picks the likeliest"
        values = [t.logprob for t in token.top_logprobs]
        assert values == sorted(values, reverse=True) and abs(values[0] - token.logprob) < 1e-4
    joined = b"".join(bytes(t.bytes) for t in tokens if t.bytes is not None).decode("utf-8", "replace")
    assert text_of(answer).strip() in joined, (text_of(answer), joined)


@check
def the_same_seed_gives_the_same_answer(ctx):
    first, second = (chat(ctx, temperature=1, top_p=0.9, seed=1234) for _ in range(2))
    assert text_of(first) == text_of(second), (text_of(first), text_of(second))


@check
def max_tokens_and_max_completion_tokens_cut_with_length(ctx):
    for limit in ({"max_tokens": 3}, {"max_tokens": openai.omit, "max_completion_tokens": 3}):
        answer = chat(ctx, **limit)
        assert answer.usage.completion_tokens == 3 and answer.choices[0].finish_reason == "length", answer


@check
def completions_answer_at_once_and_as_a_stream(ctx):
    fields = {"model": ctx.model, "prompt": "The capital of France is", "max_tokens": 6, "temperature": 0}
    whole = ctx.client.completions.create(**fields)
    assert whole.object == "text_completion" and whole.choices[0].text and whole.usage.completion_tokens <= 6
    text = "".join(c.choices[0].text for c in ctx.client.completions.create(**fields, stream=True) if c.choices)
    assert text == whole.choices[0].text, (text, whole.choices[0].text)


@check
def neutral_and_harmless_fields_are_accepted(ctx):
    chat(ctx, response_format={"type": "text"}, user="someone", metadata={"a": "b"}, store=False, presence_penalty=0,
         frequency_penalty=0, logit_bias={}, n=1, top_p=1, max_tokens=2)


@check
def an_unknown_field_is_a_400_that_names_it(ctx):
    error = raised(openai.BadRequestError, lambda: chat(ctx, extra_body={"made_up_field": 1}))
    assert error.status_code == 400 and "made_up_field" in error.message, error.message
    assert error.type == "invalid_request_error" and error.param == "made_up_field", error.body


@check
def a_temperature_out_of_range_is_a_400_that_names_it(ctx):
    error = raised(openai.BadRequestError, lambda: chat(ctx, temperature=9))
    assert "temperature" in error.message and error.param == "temperature", error.body


@check
def an_empty_message_list_is_a_400(ctx):
    error = raised(openai.BadRequestError, lambda: chat(ctx, messages=[]))
    assert "messages" in error.message, error.body


@check
def an_unknown_model_is_a_404_model_not_found_before_a_stream_starts(ctx):
    for stream in (False, True):
        error = raised(openai.NotFoundError, lambda: chat(ctx, model="no-such-model", stream=stream))
        assert error.code == "model_not_found" and "no-such-model" in error.message, error.body
    error = raised(openai.NotFoundError, lambda: ctx.client.models.retrieve("no-such-model"))
    assert error.code == "model_not_found", error.body


@check
def four_concurrent_streams_of_base_and_adapter_each_get_their_own_answer(ctx):
    alone = {model: text_of(chat(ctx, model=model)) for model in (ctx.model, ctx.adapter)}

    async def one(client, model):
        stream = await client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, temperature=0, stream=True)
        return model, "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_at_once():
        async with openai.AsyncOpenAI(base_url=ctx.url, api_key=ctx.key or "none", max_retries=0) as client:
            return await asyncio.gather(*(one(client, m) for m in (ctx.model, ctx.adapter) * 2))

    for model, text in asyncio.run(all_at_once()):
        assert text == alone[model], (model, text, alone[model])


@check
def a_stream_closed_early_leaves_the_server_answering(ctx):
    stream = chat(ctx, stream=True, max_tokens=200)
    next(iter(stream))
    stream.close()
    assert text_of(chat(ctx, max_tokens=4))


def a_wrong_key_is_a_401(ctx):
    with openai.OpenAI(base_url=ctx.url, api_key="not-the-key", max_retries=0) as stranger:
        error = raised(openai.AuthenticationError, lambda: stranger.models.list())
        assert error.status_code == 401 and error.code == "invalid_api_key", error.body
        raised(openai.AuthenticationError, lambda: stranger.chat.completions.create(model=ctx.model, messages=QUESTION))


def a_full_queue_is_a_429_with_retry_after_and_the_rest_is_answered(ctx):
    async def one(client):
        try:
            answer = await client.chat.completions.create(model=ctx.model, messages=QUESTION, max_tokens=4, temperature=0)
            return text_of(answer)
        except openai.RateLimitError as full:
            assert 0 < float(full.response.headers["retry-after"]) <= 60, full.response.headers
            return None

    async def all_at_once():
        async with openai.AsyncOpenAI(base_url=ctx.url, api_key=ctx.key or "none", max_retries=0, timeout=300) as client:
            return await asyncio.gather(*(one(client) for _ in range(ctx.flood)))

    answers = asyncio.run(all_at_once())
    refused = answers.count(None)
    assert 0 < refused < ctx.flood, f"{refused} of {ctx.flood} refused"
    assert len(set(answers) - {None}) == 1, "greedy answers to one question differ"


class Context:
    def __init__(self, args):
        self.url = args.url.rstrip("/").removesuffix("/v1") + "/v1"
        self.model, self.adapter, self.key, self.flood = args.model, args.adapter, args.api_key, args.flood
        self.client = openai.OpenAI(base_url=self.url, api_key=self.key or "none", max_retries=0, timeout=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--model", required=True, help="id of the base model")
    parser.add_argument("--adapter", required=True, help="id of a loaded adapter")
    parser.add_argument("--api-key", default=None, help="a key that the server accepts; without it the 401 check does not run")
    parser.add_argument("--flood", type=int, default=0, help="more requests at once than the server runs and queues")
    ctx = Context(parser.parse_args())
    optional = {a_wrong_key_is_a_401: ctx.key, a_full_queue_is_a_429_with_retry_after_and_the_rest_is_answered: ctx.flood}
    checks = CHECKS + [function for function, wanted in optional.items() if wanted]
    failed = 0
    for function in checks:
        try:
            function(ctx)
            print(f"ok      {function.__name__}", flush=True)
        except Exception:  # a check may fail in any way; the others still run
            failed += 1
            print(f"FAILED  {function.__name__}\n{traceback.format_exc(limit=-2)}", flush=True)
    for function in set(optional) - set(checks):
        print(f"not run {function.__name__} (no {'--api-key' if function is a_wrong_key_is_a_401 else '--flood'})")
    print(f"openai {openai.__version__}: {len(checks) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
