package io.chorale.train.watch.verdict;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.Verdict;
import io.chorale.train.watch.Verdict.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Curves of real runs of transformers and PEFT, one row or a few a step. */
class RecordedCurvesTest {
  private static List<Verdict> judge(String name) throws IOException {
    JsonNode run;
    try (InputStream in =
        RecordedCurvesTest.class.getResourceAsStream("/golden/watch/curves.json")) {
      run = new ObjectMapper().readTree(in).get(name);
    }
    List<TrainEvent> events = new ArrayList<>();
    JsonNode steps = run.get("steps");
    events.add(Curves.started(steps.size()));
    double rows = run.get("rows").asDouble();
    int evaluation = 0;
    for (int s = 1; s <= steps.size(); s++) {
      JsonNode p = steps.get(s - 1);
      events.add(
          new Step(
              s,
              s * run.get("rowsPerStep").asInt() / rows,
              p.get(0).asDouble(),
              p.get(1).asDouble(),
              p.get(2).asDouble(),
              64,
              64,
              500,
              1));
      JsonNode next = run.get("evals").path(evaluation);
      if (next.path(0).asInt() == s) {
        evaluation++;
        events.add(new Evaluated(s, 0, next.get(1).asDouble(), false, 1));
      }
    }
    return Curves.judge(events);
  }

  @Test
  void healthyRunOfOneNoisyRowAStepGetsNoVerdict() throws IOException {
    assertEquals(List.of(), judge("healthy"));
  }

  @Test
  void twelveRowsAgainAndAgainOverfit() throws IOException {
    assertEquals(List.of(Kind.OVERFITTING), Curves.raised(judge("overfitting")));
  }
}
