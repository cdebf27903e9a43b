package io.chorale.train.watch.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.train.watch.TrainEvent;
import io.chorale.train.watch.TrainEvent.Evaluated;
import io.chorale.train.watch.TrainEvent.Finished;
import io.chorale.train.watch.TrainEvent.Judged;
import io.chorale.train.watch.TrainEvent.Sample;
import io.chorale.train.watch.TrainEvent.Started;
import io.chorale.train.watch.TrainEvent.Step;
import io.chorale.train.watch.file.MetricsFile;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;

class RunWatchTest {
  private static final String NASTY = "</td><script>alert('x')</script> & \"q\" \u0007\u0000";

  @TempDir Path folder;
  private final List<TrainEvent> shown = new ArrayList<>();
  private final List<String> problems = new ArrayList<>();

  private RunWatch watch() {
    return new RunWatch(new RunWatch.Options(folder, true, 0), shown::add, problems::add);
  }

  private static Started started(int first) {
    Map<String, String> flags = new LinkedHashMap<>();
    flags.put("data", "it's " + NASTY);
    flags.put("lr", "0.0002");
    flags.put("packing", "true");
    return new Started(NASTY, flags, Map.of("finding", NASTY), 1, 2, 60, first, 1 << 30);
  }

  private static Step step(int step, double loss) {
    return new Step(step, step / 60.0, loss, 1e-4, loss, 100, 80, 1000, 1 << 29);
  }

  private static void run(RunWatch watch, int from, int to) {
    for (int s = from; s <= to; s++) {
      watch.on(step(s, 1 + Math.exp(-s / 5.0)));
      if (s % 10 == 0) {
        watch.on(new Evaluated(s, s / 60.0, 1.5 + (s > 20 ? s / 50.0 : -s / 50.0), s <= 20, 100));
      }
    }
  }

  @Test
  void verdictsReachTheScreenAndTheFile() throws IOException {
    // When
    try (RunWatch watch = watch()) {
      watch.on(started(0));
      run(watch, 1, 60);
    }
    // Then
    List<TrainEvent> written = MetricsFile.read(folder.resolve("metrics.jsonl"));
    assertEquals(shown, written);
    assertEquals(1, written.stream().filter(e -> e instanceof Judged).count());
    assertEquals(List.of(), problems);
  }

  @Test
  void resumedRunReportsAllStepsAndPassesNoVerdictTwice() throws IOException {
    // Given
    try (RunWatch watch = watch()) {
      watch.on(started(0));
      run(watch, 1, 55);
    }
    // When
    try (RunWatch watch = watch()) {
      watch.on(started(50));
      run(watch, 51, 60);
      watch.on(new Finished(60, "done", 60, 1 << 29, "out"));
      // Then
      assertEquals(60, watch.history().steps().size());
      assertEquals(1, watch.history().verdicts().size());
    }
    assertTrue(Files.readString(folder.resolve("report.html")).contains("resumed 1 times"));
    try (Stream<Path> files = Files.list(folder.resolve("tensorboard"))) {
      assertTrue(files.count() >= 1);
    }
  }

  @Test
  void reportIsWellFormedWhateverTheDataSaysAndLoadsNothing() throws Exception {
    // Given
    try (RunWatch watch = watch()) {
      watch.on(started(0));
      watch.on(new Sample("before", NASTY, NASTY, NASTY));
      watch.on(new TrainEvent.Retained(1, 0.02));
      watch.on(new TrainEvent.Retained(2, Double.NaN));
      run(watch, 1, 60);
      watch.on(step(60, Double.NaN));
      watch.on(new Sample("after", NASTY, NASTY, "\ud800 lone \uffff"));
      // When
      watch.on(new Finished(60, NASTY, 60, 1 << 29, "out"));
    }
    // Then
    String html = Files.readString(folder.resolve("report.html"));
    assertFalse(html.contains("<script"), "a script of the data got in");
    assertFalse(
        Pattern.compile("(src|href)=|url\\((?!#)|@import|NaN \\d|https?:").matcher(html).find());
    String xml =
        html.replace("<!DOCTYPE html>", "")
            .replaceAll("<meta ([^>]*)>", "<meta $1/>")
            .replace("&middot;", " ");
    DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(xml)));
  }

  @Test
  void commandOfTheReportIsQuotedForAShell() throws IOException {
    // Given
    Map<String, String> flags = new LinkedHashMap<>();
    flags.put("data", "it's mine.jsonl");
    flags.put("lr", "0.0002");
    flags.put("eval-data", "");
    // When
    try (RunWatch watch = watch()) {
      watch.on(new Started("a", flags, Map.of(), 1, 2, 60, 0, 0));
    }
    // Then
    String html = Files.readString(folder.resolve("report.html"));
    assertTrue(
        html.contains(
            "./chorale train \\\n  --data &#39;it&#39;\\&#39;&#39;s mine.jsonl&#39; \\\n  --lr 0.0002</pre>"),
        html.substring(html.indexOf("Run it again")));
  }

  @Test
  void fileThatCannotBeWrittenIsGivenUpWithOneMessage() throws IOException {
    // Given
    Files.createDirectories(folder.resolve("metrics.jsonl")); // a folder in its place
    // When
    try (RunWatch watch = watch()) {
      watch.on(started(0));
      run(watch, 1, 5);
    }
    // Then
    assertEquals(1, problems.size(), problems.toString());
    assertTrue(problems.get(0).contains("metrics.jsonl"), problems.get(0));
    assertEquals(6, shown.size());
    assertTrue(Files.exists(folder.resolve("report.html")));
  }
}
