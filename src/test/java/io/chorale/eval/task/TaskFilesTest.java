package io.chorale.eval.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.eval.EvalException;
import io.chorale.eval.run.EvalTask;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TaskFilesTest {
  private static final TaskFiles.Options PLAIN = new TaskFiles.Options(null, 0, Map.of());

  private static final String TASK =
      """
      task: tiny
      dataset_path: json
      dataset_kwargs: {data_files: {test: data.jsonl}}
      output_type: multiple_choice
      test_split: test
      doc_to_text: q
      doc_to_target: a
      doc_to_choice: c
      """;

  @TempDir Path folder;

  private Path write(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  private void data() throws IOException {
    write("data.jsonl", "{\"q\":\"Q?\",\"a\":0,\"c\":[\"x\",\"y\"],\"part\":\"p\"}\n");
  }

  private String refused(String yaml) throws IOException {
    data();
    Path file = write("t.yaml", yaml);
    return assertThrows(EvalException.class, () -> TaskFiles.read(file.toString(), PLAIN))
        .getMessage();
  }

  @Test
  void keyThatChangesThePromptAndIsNotUnderstoodIsRefusedByName() throws IOException {
    assertTrue(refused(TASK + "gen_prefix: x\n").contains("gen_prefix"));
    assertTrue(refused(TASK + "fewshot_config: {samples: []}\n").contains("samples"));
  }

  @Test
  void functionOfTheHarnessIsRefusedWithItsLine() throws IOException {
    String message = refused(TASK.replace("doc_to_text: q", "doc_to_text: !function utils.ask"));
    assertTrue(message.contains("t.yaml:6"), message);
    assertTrue(message.contains("utils.ask"), message);
  }

  @Test
  void dataThatWouldBeDownloadedIsRefused() throws IOException {
    String message = refused(TASK.replace("dataset_path: json", "dataset_path: cais/mmlu"));
    assertTrue(message.contains("--task-data"), message);
  }

  @Test
  void metricThatIsNotComputedIsRefused() throws IOException {
    assertTrue(refused(TASK + "metric_list: [{metric: brier_score}]\n").contains("brier_score"));
  }

  @Test
  void brokenYamlIsToldWithItsLine() throws IOException {
    assertTrue(refused("task: [a\nb: c\n").contains("t.yaml:2"));
  }

  @Test
  void includedKeysAreOverriddenByOnesOwn() throws IOException {
    // Given
    data();
    write("_common", TASK);
    Path file = write("t.yaml", "include: _common\ntask: mine\ntarget_delimiter: ' -> '\n");
    // When
    TaskFiles.Loaded loaded = TaskFiles.read(file.toString(), PLAIN);
    // Then
    ChoiceTest test = (ChoiceTest) loaded.tasks().get(0);
    assertEquals("mine", test.name());
    assertEquals(List.of(" -> x", " -> y"), test.documents().get(0).continuations());
  }

  @Test
  void fileThatIncludesItselfIsRefused() throws IOException {
    assertTrue(refused("include: t.yaml\n").contains("includes itself"));
  }

  @Test
  void groupTellsItsMembersAsOneNumber() throws IOException {
    // Given
    data();
    write("one.yaml", TASK.replace("task: tiny", "task: one"));
    write("two.yaml", TASK.replace("task: tiny", "task: two"));
    Path file =
        write(
            "g.yaml",
            """
            group: both
            task: [one, two]
            aggregate_metric_list:
              - {metric: acc, weight_by_size: false}
            """);
    // When
    TaskFiles.Loaded loaded = TaskFiles.read(file.toString(), PLAIN);
    // Then
    assertEquals(List.of("one", "two"), loaded.tasks().stream().map(EvalTask::name).toList());
    assertEquals(List.of("one", "two"), loaded.groups().get(0).tasks());
    assertEquals("both", loaded.groups().get(0).name());
    assertEquals(false, loaded.groups().get(0).weightBySize());
  }

  @Test
  void shippedMmluMakesATestPerSubjectWithExamplesOfItsOwn() throws IOException {
    // Given
    String row =
        "{\"subject\":\"%s\",\"question\":\"%s?\",\"choices\":[\"1\",\"2\",\"3\",\"4\"],\"answer\":%d}\n";
    Path dev =
        write(
            "dev.jsonl",
            row.formatted("big_law", "Dev law", 1) + row.formatted("art", "Dev art", 2));
    Path test =
        write("test.jsonl", row.formatted("art", "Art", 0) + row.formatted("big_law", "Law", 3));
    // When
    TaskFiles.Loaded loaded =
        TaskFiles.read("mmlu", new TaskFiles.Options(1, 0, Map.of("dev", dev, "test", test)));
    // Then
    ChoiceTest law = (ChoiceTest) loaded.tasks().get(1);
    assertEquals("mmlu_big_law", law.name());
    assertEquals(
        """
        The following are multiple choice questions (with answers) about big law.

        Dev law?
        A. 1
        B. 2
        C. 3
        D. 4
        Answer: B

        Law?
        A. 1
        B. 2
        C. 3
        D. 4
        Answer:""",
        law.documents().get(0).context());
    assertEquals("mmlu", loaded.groups().get(0).name());
  }

  @Test
  void nameThatIsNoFileAndNoShippedTaskIsToldWhatThereIs() {
    String message =
        assertThrows(EvalException.class, () -> TaskFiles.read("piqa", PLAIN)).getMessage();
    assertTrue(message.contains("mmlu, hellaswag, arc_challenge"), message);
  }
}
