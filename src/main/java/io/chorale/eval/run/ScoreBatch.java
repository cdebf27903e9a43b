package io.chorale.eval.run;

import io.chorale.engine.EngineLoop;
import io.chorale.engine.TokenLogprobs;
import io.chorale.eval.EvalListener;
import io.chorale.eval.run.EvalEngine.Span;
import io.chorale.sched.SamplingParams;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Many likelihoods, a window of them at the engine at a time; of each family and candidate one
 * first, whose blocks the others then share. Used once, one thread.
 */
final class ScoreBatch {
  /** Spans that begin alike for one candidate. */
  private record Family(long number, int candidate) {}

  private final InFlight flight;
  private final int window;
  private final List<Span> spans;
  private final float[][] scores;
  private final Deque<Integer> ready = new ArrayDeque<>();
  private final Map<Family, List<Integer>> followers = new HashMap<>();

  ScoreBatch(EngineLoop loop, int window, List<Span> spans) {
    this.flight = new InFlight(loop);
    this.window = window;
    this.spans = spans;
    this.scores = new float[spans.size()][];
    for (int job = 0; job < spans.size(); job++) {
      List<Integer> behind = followers.get(family(job));
      if (behind == null) {
        followers.put(family(job), new ArrayList<>());
        ready.addLast(job);
      } else {
        behind.add(job);
      }
    }
  }

  private Family family(int job) {
    return new Family(spans.get(job).family(), spans.get(job).candidate());
  }

  List<float[]> run(String what, EvalListener listener) {
    int atEngine = 0;
    int done = 0;
    while (done < scores.length) {
      while (!ready.isEmpty() && atEngine < window) {
        submit(ready.removeFirst());
        atEngine++;
      }
      InFlight.Event event = flight.next();
      if (event != null && event.prompt() != null) {
        scores[event.job()] = logprobs(spans.get(event.job()), event.prompt());
      } else if (event != null && event.end() != null) {
        atEngine--;
        done++;
        List<Integer> behind = followers.remove(family(event.job()));
        if (behind != null) {
          for (int i = behind.size() - 1; i >= 0; i--) { // before all others: the blocks are there
            ready.addFirst(behind.get(i));
          }
        }
      }
      listener.at(what, done, scores.length);
    }
    return Arrays.asList(scores);
  }

  private void submit(int job) {
    Span span = spans.get(job);
    flight.submit(job, span.ids(), span.candidate(), SamplingParams.scoring(span.from()));
  }

  private static float[] logprobs(Span span, TokenLogprobs[] prompt) {
    float[] out = new float[span.ids().length - span.from()];
    for (int i = 0; i < out.length; i++) {
      out[i] = prompt[span.from() + i].logprob();
    }
    return out;
  }
}
