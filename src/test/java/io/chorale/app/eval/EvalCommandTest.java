package io.chorale.app.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** The whole command over the tiny golden model, which knows nothing but computes. */
class EvalCommandTest {
  private static final String GOLDEN = "src/test/resources/golden/";
  private static final String MODEL = GOLDEN + "models/llama";

  @TempDir Path folder;
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private Path questions;

  @BeforeEach
  void writeQuestions() throws IOException {
    questions = folder.resolve("q.jsonl");
    Files.writeString(
        questions,
        """
        {"id":"one","prompt":"Say one.","answer":"one"}
        {"instruction":"Say","input":"two","answers":["two","2"],"scorer":"contains"}
        {"messages":[{"role":"user","content":"Say three."},{"role":"assistant","content":"three"}],"scorer":"exact"}
        """);
  }

  private int run(String... args) {
    List<String> all =
        new ArrayList<>(List.of("--model", MODEL, "--kernels", "torch", "--max-new-tokens", "4"));
    all.addAll(List.of(args));
    return new CommandLine(new EvalCommand())
        .setOut(new PrintWriter(out, true))
        .setErr(new PrintWriter(err, true))
        .setExecutionExceptionHandler(
            (failure, line, parsed) -> {
              line.getErr().println(failure.getMessage());
              return 1;
            })
        .execute(all.toArray(String[]::new));
  }

  @Test
  void reportNamesEveryTestAndCandidateAndKeepsEveryDocument() throws IOException {
    // Given
    Path text = Files.writeString(folder.resolve("t.txt"), "Some text, long enough. ".repeat(40));
    Path report = folder.resolve("out");
    // When
    int code =
        run(
            "--adapter",
            "lora=" + GOLDEN + "adapters/lora-all-linear",
            "--model",
            "again=" + MODEL,
            "--test",
            questions.toString(),
            "--answer-loss",
            "loss=" + questions,
            "--perplexity",
            text.toString(),
            "--task",
            GOLDEN + "lm-eval/tasks/swag.yaml",
            "--num-fewshot",
            "0",
            "--also",
            "other=" + questions,
            "--bootstrap",
            "200",
            "--out",
            report.toString());
    // Then
    assertEquals(0, code, err.toString());
    JsonNode json = new ObjectMapper().readTree(report.resolve("report.json").toFile());
    List<String> had = new ArrayList<>();
    json.get("results")
        .forEach(each -> had.add(each.get("task").asText() + " " + each.get("metric").asText()));
    assertEquals(
        List.of(
            "q accuracy",
            "hellaswag_swag acc_norm",
            "hellaswag_swag acc",
            "t word_perplexity",
            "t token_perplexity",
            "t byte_perplexity",
            "t bits_per_byte",
            "loss loss",
            "loss token_perplexity",
            "other accuracy"),
        had);
    sameModelIsTheSameAndTheAdapterIsNot(json.get("results").get(4).get("cells"));
    assertEquals(2, json.get("forgetting").size());
    assertEquals(
        3 * (3 + 4 + 3 + 3) + windows(report),
        Files.readAllLines(report.resolve("documents.jsonl")).size());
    assertTrue(Files.readString(report.resolve("report.html")).contains("<svg"));
    assertTrue(out.toString().contains("NOT CHECKED"), out.toString());
  }

  private static void sameModelIsTheSameAndTheAdapterIsNot(JsonNode perplexity) {
    assertEquals("base", perplexity.get(0).get("candidate").asText());
    assertEquals(
        perplexity.get(0).get("value").get("value").asDouble(),
        perplexity.get(2).get("value").get("value").asDouble(),
        1e-6 * perplexity.get(0).get("value").get("value").asDouble(),
        "the same model, once more, is another");
    assertFalse(
        perplexity.get(0).get("value").get("value").asDouble()
            == perplexity.get(1).get("value").get("value").asDouble(),
        "the adapter changed nothing");
  }

  private static int windows(Path report) throws IOException {
    return (int)
        Files.readAllLines(report.resolve("documents.jsonl")).stream()
            .filter(line -> line.startsWith("{\"task\":\"t\""))
            .count();
  }

  @Test
  void testThatTrainingSawIsRefusedNamingItsRow() throws IOException {
    // Given
    Path train =
        Files.writeString(
            folder.resolve("train.jsonl"), "{\"prompt\":\"say ONE\",\"completion\":\"one\"}\n");
    // When
    int code = run("--test", questions.toString(), "--train-data", train.toString());
    // Then
    assertEquals(1, code);
    assertTrue(err.toString().contains("q.jsonl:1 is "), err.toString());
    assertTrue(err.toString().contains("train.jsonl:1"), err.toString());
  }

  @Test
  void damagedRowIsToldWithFileAndLineBeforeAnyModelIsLoaded() throws IOException {
    Files.writeString(questions, "{\"prompt\":\"a\",\"answer\":\"b\"}\n{\"prompt\":\"a\"}\n");
    assertEquals(1, run("--model", "no/such.gguf", "--test", questions.toString()));
    assertTrue(err.toString().contains("q.jsonl:2: has no answer"), err.toString());
  }

  @Test
  void nothingToMeasureIsWrongUsage() {
    assertEquals(2, run());
    assertTrue(err.toString().contains("no test given"), err.toString());
  }

  @Test
  void twoTestsOfOneNameAreRefused() {
    assertEquals(1, run("--test", questions.toString(), "--also", questions.toString()));
    assertTrue(err.toString().contains("two tests are called 'q'"), err.toString());
  }
}
