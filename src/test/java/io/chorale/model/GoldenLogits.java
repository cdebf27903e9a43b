package io.chorale.model;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A committed reference: prompts with the logits that transformers (and PEFT) computed.
 *
 * @param logits [position][vocab]
 */
public record GoldenLogits(int[] ids, float[][] logits) {

  public static List<GoldenLogits> read(Path json) throws IOException {
    List<GoldenLogits> all = new ArrayList<>();
    ObjectMapper mapper = new ObjectMapper();
    for (JsonNode prompt : mapper.readTree(json.toFile()).get("prompts")) {
      all.add(
          new GoldenLogits(
              mapper.convertValue(prompt.get("ids"), int[].class),
              mapper.convertValue(prompt.get("logits"), float[][].class)));
    }
    return all;
  }

  /** Fails unless every logit is within the tolerance of the largest logit of its position. */
  public void assertClose(List<float[]> got, double tolerance, String what) {
    assertEquals(logits.length, got.size(), what + ": positions");
    for (int position = 0; position < logits.length; position++) {
      double scale = 0;
      for (float logit : logits[position]) {
        scale = Math.max(scale, Math.abs(logit));
      }
      for (int id = 0; id < logits[position].length; id++) {
        assertEquals(
            logits[position][id],
            got.get(position)[id],
            tolerance * Math.max(1, scale),
            "%s: position %d token %d".formatted(what, position, id));
      }
    }
  }

  /** Fails unless each position's root mean square error is within it, of the largest logit. */
  public void assertCloseOnAverage(List<float[]> got, double tolerance, String what) {
    for (int position = 0; position < logits.length; position++) {
      double scale = 0;
      double squares = 0;
      for (int id = 0; id < logits[position].length; id++) {
        scale = Math.max(scale, Math.abs(logits[position][id]));
        squares += Math.pow(logits[position][id] - got.get(position)[id], 2);
      }
      double error = Math.sqrt(squares / logits[position].length) / scale;
      assertEquals(0, error, tolerance, "%s: position %d".formatted(what, position));
    }
  }
}
