package io.chorale.eval.run;

import io.chorale.engine.EngineLoop;
import io.chorale.engine.GenerationHandle;
import io.chorale.eval.EvalListener;
import io.chorale.eval.run.EvalEngine.Answer;
import io.chorale.eval.run.EvalEngine.Prompt;
import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import io.chorale.text.StopStrings;
import io.chorale.text.StreamingDetokenizer;
import java.util.Arrays;
import java.util.List;

/** Many greedy answers, a window of them at the engine at a time. Used once, one thread. */
final class GenerateBatch {
  private final InFlight flight;
  private final ModelText text;
  private final int window;
  private final List<Prompt> prompts;
  private final Growing[] growing;
  private final Answer[] answers;

  /** An answer while it comes. */
  private static final class Growing {
    final StreamingDetokenizer detokenizer;
    final StopStrings stops;
    final StringBuilder text = new StringBuilder();
    GenerationHandle handle;
    int tokens;
    boolean aborted;

    Growing(ModelText model, List<String> stops) {
      this.detokenizer = new StreamingDetokenizer(model.tokenizer());
      this.stops = new StopStrings(stops);
    }
  }

  GenerateBatch(EngineLoop loop, ModelText text, int window, List<Prompt> prompts) {
    this.flight = new InFlight(loop);
    this.text = text;
    this.window = window;
    this.prompts = prompts;
    this.growing = new Growing[prompts.size()];
    this.answers = new Answer[prompts.size()];
  }

  List<Answer> run(String what, EvalListener listener) {
    int submitted = 0;
    int done = 0;
    while (done < answers.length) {
      while (submitted < answers.length && submitted - done < window) {
        submit(submitted++);
      }
      InFlight.Event event = flight.next();
      if (event != null && event.token() >= 0) {
        token(growing[event.job()], event.token());
      } else if (event != null && event.end() != null) {
        answers[event.job()] = finished(growing[event.job()], event.end());
        growing[event.job()] = null;
        done++;
      }
      listener.at(what, done, answers.length);
    }
    return Arrays.asList(answers);
  }

  private void submit(int job) {
    Prompt prompt = prompts.get(job);
    Growing answer = new Growing(text, prompt.stops());
    growing[job] = answer;
    answer.handle =
        flight.submit(
            job,
            prompt.ids(),
            prompt.candidate(),
            SamplingParams.greedy(prompt.maxTokens(), text.endTokenIds()));
  }

  private static void token(Growing answer, int token) {
    if (answer.stops.hit()) {
      return; // generated before the abort took effect
    }
    answer.tokens++;
    answer.text.append(answer.stops.push(answer.detokenizer.push(token)));
    if (answer.stops.hit() && !answer.aborted) {
      answer.aborted = true;
      answer.handle.abort();
    }
  }

  private static Answer finished(Growing answer, FinishReason end) {
    if (!answer.stops.hit()) {
      answer.text.append(answer.stops.push(answer.detokenizer.flush()));
      answer.text.append(answer.stops.flush());
    }
    boolean ended = end == FinishReason.STOP || answer.stops.hit();
    return new Answer(answer.text.toString(), answer.tokens, ended);
  }
}
