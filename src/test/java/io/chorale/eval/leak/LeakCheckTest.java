package io.chorale.eval.leak;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.eval.EvalListener;
import io.chorale.eval.leak.LeakCheck.Leak;
import io.chorale.eval.run.EvalTask.Question;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LeakCheckTest {
  @TempDir Path folder;

  private LeakCheck trainedOn(String... rows) throws IOException {
    Path file = folder.resolve("train.jsonl");
    Files.writeString(file, String.join("\n", rows));
    return LeakCheck.of(List.of(file), EvalListener.NONE);
  }

  private static List<Leak> leaks(LeakCheck check, String question) {
    return check.leaks(List.of(new Question("test.jsonl:1", question)));
  }

  @Test
  void equalQuestionIsALeakWhateverItsCaseAndPunctuation() throws IOException {
    // Given
    LeakCheck check = trainedOn("{\"instruction\":\"What is MIT?\",\"output\":\"A licence.\"}");
    // When
    List<Leak> leaks = leaks(check, "what is  MIT");
    // Then
    assertEquals(1, leaks.size());
    assertTrue(leaks.get(0).training().endsWith("train.jsonl:1"), leaks.toString());
  }

  @Test
  void questionsOfEveryTrainingFormAreRead() throws IOException {
    LeakCheck check =
        trainedOn(
            "{\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"},{\"role\":\"assistant\",\"content\":\"x\"}]}",
            "{\"prompt\":\"four five six\",\"completion\":\"x\"}",
            "{\"conversations\":[{\"from\":\"human\",\"value\":\"seven eight nine\"}]}",
            "{\"instruction\":\"Add\",\"input\":\"ten eleven\",\"output\":\"x\"}");
    for (String each :
        List.of("one two three", "four five six", "seven eight nine", "Add ten eleven")) {
      assertEquals(1, leaks(check, each).size(), each);
    }
  }

  @Test
  void oneWordChangedInALongQuestionIsALeakAndHalfOfThemIsNot() throws IOException {
    // Given
    String words = "a b c d e f g h i j k l m n o p q r s t u v w x y z".replace(" ", "1 ");
    LeakCheck check = trainedOn("{\"prompt\":\"%s\",\"completion\":\"x\"}".formatted(words));
    // When, Then: 24 trigrams, of which the last is another: 23 of 25
    List<Leak> near = leaks(check, words.replaceFirst("z$", "other"));
    assertEquals(1, near.size());
    assertEquals(23 / 25.0, near.get(0).alike(), 1e-9);
    assertEquals(0, leaks(check, words.substring(0, words.length() / 2)).size());
  }

  @Test
  void sharedTemplateIsNoLeakWhenOnlyTheTermDiffers() throws IOException {
    // Given: a long template in every row
    String template =
        "What is the correct official code of the following condition in short form: %s";
    String[] rows = new String[40];
    for (int i = 0; i < rows.length; i++) {
      rows[i] =
          "{\"prompt\":\"%s\",\"completion\":\"x\"}".formatted(template.formatted("term" + i));
    }
    LeakCheck check = trainedOn(rows);
    // When, Then
    assertEquals(0, leaks(check, template.formatted("another")).size());
    assertEquals(1, leaks(check, template.formatted("term7")).size());
  }

  @Test
  void answersAreNotQuestions() throws IOException {
    LeakCheck check = trainedOn("{\"prompt\":\"a b c d\",\"completion\":\"what is the answer\"}");
    assertEquals(0, leaks(check, "what is the answer").size());
  }
}
