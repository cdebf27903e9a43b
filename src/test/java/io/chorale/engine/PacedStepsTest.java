package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.chorale.kernel.NativeLibrary;
import io.chorale.kernel.NativeOps;
import io.chorale.sched.FinishReason;
import io.chorale.sched.draft.DraftOptions;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class PacedStepsTest {
  private static final int STREAMS = 6;
  private static final int PROMPTS = 6;

  @Test
  void promptsReadInSmallPiecesBesideStreamsGetTheTokensTheyGetAtFullSpeed() throws Exception {
    // When: no step of a real model ends within a millisecond beside the least rows of a prompt
    List<List<Integer>> paced = run(1);
    // Then
    assertEquals(run(0), paced);
  }

  /**
   * The tokens of streams that decode, and of long prompts that arrive when the first stream has a
   * token.
   */
  private static List<List<Integer>> run(int maxStepMs) throws Exception {
    try (NativeOps ops = new NativeOps(NativeLibrary.chosen(), 1);
        TinyEngine engine =
            new TinyEngine(
                ops,
                1000,
                4,
                new TinyEngine.SeededAdapters(),
                new EngineLoop.Options(64, 2000, DraftOptions.OFF, maxStepMs))) {
      List<RecordingSink> sinks = new ArrayList<>();
      List<GenerationRequest> prompts = new ArrayList<>();
      for (int i = 0; i < PROMPTS; i++) {
        RecordingSink sink = new RecordingSink();
        sinks.add(sink);
        prompts.add(TinyEngine.greedy(TinyEngine.prompt(100 + i, 90), i % 4 - 1, 5, sink));
      }
      List<GenerationRequest> streams = new ArrayList<>();
      for (int i = 0; i < STREAMS; i++) {
        boolean first = i == 0;
        RecordingSink sink =
            new RecordingSink(
                count -> {
                  if (first && count == 1) {
                    submit(engine, prompts);
                  }
                });
        sinks.add(sink);
        streams.add(TinyEngine.greedy(TinyEngine.prompt(i, 4), i % 4 - 1, 150, sink));
      }
      submit(engine, streams);
      List<List<Integer>> tokens = new ArrayList<>();
      for (RecordingSink sink : sinks) {
        assertEquals(FinishReason.LENGTH, sink.await());
        tokens.add(sink.tokens);
      }
      return tokens;
    }
  }

  private static void submit(TinyEngine engine, List<GenerationRequest> requests) {
    try {
      engine.loop.submit(requests);
    } catch (EngineBusyException e) {
      throw new IllegalStateException(e);
    }
  }
}
