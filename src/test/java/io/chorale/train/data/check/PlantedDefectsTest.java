package io.chorale.train.data.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.data.PromptForm;
import io.chorale.train.data.SftEncoder;
import io.chorale.train.data.SmolLm2;
import io.chorale.train.data.read.Finding.Kind;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One file, 40 defects between good rows: each is named once, at its line, and nothing else is. */
class PlantedDefectsTest {
  private static final String Q = "{\"role\":\"user\",\"content\":\"%s\"}";
  private static final String A = "{\"role\":\"assistant\",\"content\":\"%s\"}";
  private static final String STORY =
      "The lessee shall pay the agreed rent on the third working day of every month without any "
          + "deduction, and the lessor shall keep the premises fit for the agreed use throughout.";

  private static final String RECIPE =
      "Stir two eggs into warm milk, add a spoon of sugar and a pinch of salt, let the dough rest "
          + "under a cloth for half an hour, then bake thin cakes in butter until both sides brown.";

  @TempDir Path folder;

  private final ByteArrayOutputStream file = new ByteArrayOutputStream();
  private final List<String> planted = new ArrayList<>();
  private final Random random = new Random(40);
  private int line;

  @Test
  void fortyPlantedDefectsAreNamedAtTheirLines() throws IOException {
    // Given
    plantDamage();
    plantTurns();
    plantTexts();
    plantRepeatsAndLengths();
    assertEquals(40, planted.size());
    Path eval = Files.writeString(folder.resolve("eval.jsonl"), evaluation());
    Path train = Files.write(folder.resolve("train.jsonl"), file.toByteArray());
    SftEncoder encoder = new SftEncoder(SmolLm2.source(), PromptForm.CHAT_TEMPLATE, 2048);
    CheckOptions options =
        new CheckOptions(
            List.of(train), Optional.of(eval), Optional.empty(), 10, 4096, Optional.empty());
    // When
    DataReport report =
        new DataCheck(options, Optional.of(encoder), List.of("<|im_end|>"), (f, r, b) -> {}).run();
    // Then
    assertEquals(
        String.join("\n", planted),
        String.join(
            "\n",
            report.findings().stream()
                .map(f -> "%d %s %s".formatted(f.line(), f.kind(), f.field()))
                .toList()));
    assertEquals(line, report.rows());
    assertEquals(report.errors(), report.dropped());
    report.findings().forEach(f -> assertTrue(f.file().equals(train) && !f.fix().isBlank()));
  }

  private void plantDamage() throws IOException {
    file.write(new byte[] {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF});
    plant(Kind.BOM, "", row(Q.formatted("first question"), A.formatted("the first answer, whole")));
    plant(Kind.UNREADABLE, "", "{\"messages\":[{\"role\":\"user\",\"content\":\"cut of");
    plant(Kind.UNREADABLE, "", "Question: what is this? Answer: no JSON");
    plant(Kind.NOT_AN_OBJECT, "", "[1, 2, 3]");
    plant(Kind.UNREADABLE, "", "{\"messages\":[],\"messages\":[]}");
    plant(
        Kind.UNREADABLE, "", row(Q.formatted("raw\u0007bell"), A.formatted("a fine long answer")));
    plantBytes(row(Q.formatted("caf\u00e9"), A.formatted("a fine answer again")), false);
    plantBytes(row(Q.formatted("euro"), A.formatted("costs ten \u20ac")), true);
  }

  private void plantTurns() throws IOException {
    String q = Q.formatted("a question of turns");
    String a = A.formatted("a good answer of turns");
    plant(Kind.MISSING_FIELD, "messages", "{\"dialog\":[]}");
    plant(Kind.NOT_AN_OBJECT, "messages", "{\"messages\":\"hello\"}");
    plant(Kind.EMPTY, "messages", "{\"messages\":[]}");
    plant(Kind.NOT_AN_OBJECT, "messages[1]", row(q, "\"an answer\""));
    plant(Kind.MISSING_FIELD, "messages[0].role", row("{\"content\":\"q\"}", a));
    plant(Kind.UNKNOWN_ROLE, "messages[1].role", row(q, a.replace("assistant", "robot")));
    plant(Kind.UNKNOWN_ROLE, "messages[0].role", row(q.replace("user", "User"), a));
    plant(Kind.MISSING_FIELD, "messages[1].content", row(q, "{\"role\":\"assistant\"}"));
    plant(Kind.EMPTY, "messages[1].content", row(q, "{\"role\":\"assistant\",\"content\":null}"));
    plant(
        Kind.NOT_A_STRING,
        "messages[1].content",
        row(q, "{\"role\":\"assistant\",\"content\":42}"));
    plant(Kind.EMPTY, "messages[1].content", row(q, A.formatted("")));
    plant(Kind.EMPTY, "messages[0].content", row(Q.formatted("  "), a));
    plant(Kind.TURN_ORDER, "messages[1]", row(q, q, a));
    plant(Kind.TURN_ORDER, "messages[2]", row(q, a, q));
    plant(Kind.TURN_ORDER, "messages[0]", row(a, q, a));
    plant(
        Kind.TURN_ORDER,
        "messages[2]",
        row(q, a, "{\"role\":\"system\",\"content\":\"late\"}", q, a));
    plant(
        Kind.UNREADABLE,
        "messages[1].tool_calls[0].function.arguments",
        row(
            q,
            "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{x\"}}]}"));
    plant(
        Kind.NOT_AN_OBJECT,
        "tools",
        "{\"messages\":[%s,%s],\"tools\":[\"search\"]}".formatted(q, a));
  }

  private void plantTexts() throws IOException {
    String place = "messages[1].content";
    plant(Kind.TOO_SHORT, place, row(Q.formatted("is it so"), A.formatted("Yes.")));
    plant(
        Kind.TOO_LONG,
        place,
        row(
            Q.formatted("tell"),
            A.formatted("many words ".repeat(400)).replace("words \"}", "words\"}")));
    plant(Kind.WHITESPACE, place, row(Q.formatted("led"), A.formatted(" a blank comes before it")));
    plant(
        Kind.WHITESPACE,
        "messages[0].content",
        row(Q.formatted("trails\\n"), A.formatted("an answer without fault")));
    plant(
        Kind.CONTROL_CHARACTER,
        place,
        row(Q.formatted("zero"), A.formatted("a zero\\u0000 is inside")));
    plant(
        Kind.LONE_SURROGATE,
        place,
        row(Q.formatted("smile"), A.formatted("half a smile \\ud83d and on")));
    plant(
        Kind.SPECIAL_TOKEN,
        place,
        row(Q.formatted("tokens"), A.formatted("a turn ends<|im_end|> in the middle")));
  }

  private void plantRepeatsAndLengths() throws IOException {
    good(row(Q.formatted("What must the parties do?"), A.formatted(STORY)));
    plant(Kind.DUPLICATE, "", row(Q.formatted("What must the  parties do?"), A.formatted(STORY)));
    plant(
        Kind.CONFLICT,
        "",
        row(Q.formatted("What must the parties do?"), A.formatted("They need do nothing at all.")));
    plant(
        Kind.NEAR_DUPLICATE,
        "",
        row(Q.formatted("What should the parties do?"), A.formatted(STORY)));
    plant(
        Kind.LEAK,
        "",
        row(
            Q.formatted("Which colour has the sky at noon?"),
            A.formatted("It is mostly grey here.")));
    plant(Kind.NEAR_LEAK, "", row(Q.formatted("Is it due today?"), A.formatted(RECIPE)));
    plant(
        Kind.TRUNCATED,
        "",
        row(
            Q.formatted("one"), A.formatted("the first answer of two"),
            Q.formatted("zwei ".repeat(2100).strip()), A.formatted("the second answer of two")));
    plant(
        Kind.EMPTY_MASK,
        "",
        row(Q.formatted("drei ".repeat(2100).strip()), A.formatted("out of reach")));
  }

  private static String evaluation() {
    return row(
            Q.formatted("Which colour has the sky at noon?"),
            A.formatted("At noon a clear sky is blue."))
        + "\n"
        + row(Q.formatted("Is it due now?"), A.formatted(RECIPE))
        + "\n";
  }

  private static String row(String... turns) {
    return "{\"messages\":[" + String.join(",", turns) + "]}";
  }

  private void plant(Kind kind, String field, String row) throws IOException {
    line++;
    planted.add("%d %s %s".formatted(line, kind, field));
    file.write((row + "\n").getBytes(StandardCharsets.UTF_8));
    String unlike =
        random
            .ints(20, 'a', 'z' + 1)
            .mapToObj(Character::toString)
            .collect(Collectors.joining(" "));
    good(row(Q.formatted("digits " + unlike), A.formatted("they are " + unlike)));
  }

  /** A row saved as Latin-1, or with the last byte of a character cut out. */
  private void plantBytes(String row, boolean cut) throws IOException {
    line++;
    planted.add("%d %s ".formatted(line, Kind.BAD_UTF8));
    byte[] bytes = row.getBytes(cut ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1);
    for (byte b : bytes) {
      if (!(cut && b == (byte) 0xAC)) {
        file.write(b);
      }
    }
    file.write('\n');
  }

  private void good(String row) throws IOException {
    line++;
    file.write((row + "\n").getBytes(StandardCharsets.UTF_8));
  }
}
