package io.chorale.train.watch.file;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.chorale.train.watch.TrainEvent;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Events to and from one JSON object: {@code event} names the kind, {@code timeMs} is when (since
 * 1970), the rest are the record's fields. Numbers that are not finite are the strings {@code NaN},
 * {@code Infinity} and {@code -Infinity}. Any thread.
 */
final class EventJson {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Map<String, Class<? extends TrainEvent>> KINDS = new LinkedHashMap<>();

  static {
    KINDS.put("started", TrainEvent.Started.class);
    KINDS.put("step", TrainEvent.Step.class);
    KINDS.put("retained", TrainEvent.Retained.class);
    KINDS.put("evaluated", TrainEvent.Evaluated.class);
    KINDS.put("checkpoint", TrainEvent.CheckpointSaved.class);
    KINDS.put("sample", TrainEvent.Sample.class);
    KINDS.put("not-finite", TrainEvent.NotFinite.class);
    KINDS.put("verdict", TrainEvent.Judged.class);
    KINDS.put("finished", TrainEvent.Finished.class);
  }

  private EventJson() {}

  /** One line, without its end. */
  static String line(TrainEvent event, long timeMs) {
    ObjectNode node = JSON.createObjectNode();
    node.put("event", kind(event)).put("timeMs", timeMs);
    ObjectNode fields = JSON.valueToTree(event);
    node.setAll(event instanceof TrainEvent.Judged ? (ObjectNode) fields.get("verdict") : fields);
    try {
      return JSON.writeValueAsString(node);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("event " + event, e);
    }
  }

  private static String kind(TrainEvent event) {
    return KINDS.entrySet().stream()
        .filter(e -> e.getValue() == event.getClass())
        .findFirst()
        .orElseThrow()
        .getKey();
  }

  /** The event of a line; empty if the line is torn or of a kind that is not known. */
  static Optional<TrainEvent> parse(String line) {
    try {
      JsonNode read = JSON.readTree(line);
      if (!(read instanceof ObjectNode node)) {
        return Optional.empty();
      }
      String kind = node.path("event").asText();
      node.remove("event");
      node.remove("timeMs");
      Class<? extends TrainEvent> type = KINDS.get(kind);
      if (type == null) {
        return Optional.empty();
      }
      JsonNode fields =
          type == TrainEvent.Judged.class ? JSON.createObjectNode().set("verdict", node) : node;
      return Optional.of(JSON.treeToValue(fields, type));
    } catch (JsonProcessingException e) {
      return Optional.empty();
    }
  }

  /** After which step an event came: its own, or the last one's before it. */
  static int step(TrainEvent event, int lastStep) {
    if (event instanceof TrainEvent.Step e) {
      return e.step();
    } else if (event instanceof TrainEvent.Started e) {
      return e.firstStep();
    } else if (event instanceof TrainEvent.Retained e) {
      return e.step();
    } else if (event instanceof TrainEvent.Evaluated e) {
      return e.step();
    } else if (event instanceof TrainEvent.CheckpointSaved e) {
      return e.step();
    } else if (event instanceof TrainEvent.NotFinite e) {
      return e.step();
    } else if (event instanceof TrainEvent.Judged e) {
      return e.verdict().step();
    } else if (event instanceof TrainEvent.Finished e) {
      return e.step();
    }
    return lastStep;
  }
}
