package io.chorale.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.sched.FinishReason;
import io.chorale.sched.SamplingParams;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Log-probabilities of a prompt's end, with its beginning out of the prefix cache. */
class PromptScoringTest {
  private final TinyEngine engine = new TinyEngine(64, 2, 16);

  @AfterEach
  void stop() {
    engine.close();
  }

  private RecordingSink score(int[] prompt, int from) throws EngineBusyException {
    RecordingSink sink = new RecordingSink();
    engine.loop.submit(
        List.of(new GenerationRequest(prompt, 1, SamplingParams.scoring(from), sink)));
    assertEquals(FinishReason.LENGTH, sink.await(), sink.message);
    return sink;
  }

  @Test
  void endOfAPromptIsScoredAsInTheWholeAndItsBeginningComesFromTheCache() throws Exception {
    // Given
    int[] prompt = TinyEngine.prompt(5, 30);
    RecordingSink whole = score(prompt, 0);
    // When
    RecordingSink end = score(prompt, 25);
    // Then
    assertEquals(0, whole.usage.cachedTokens());
    assertEquals(24, end.usage.cachedTokens(), "blocks of 4 before position 24");
    for (int i = 0; i < prompt.length; i++) {
      if (i < 25) {
        assertNull(end.prompt[i], "position " + i + " was not asked for");
      } else {
        assertEquals(whole.prompt[i].logprob(), end.prompt[i].logprob(), 1e-5f, "position " + i);
      }
    }
  }

  @Test
  void lastTokenAloneCanBeScored() throws Exception {
    int[] prompt = TinyEngine.prompt(6, 9);
    RecordingSink whole = score(prompt, 0);
    RecordingSink last = score(prompt, 8);
    assertEquals(whole.prompt[8].logprob(), last.prompt[8].logprob(), 1e-5f);
    assertTrue(last.usage.cachedTokens() > 0);
  }
}
