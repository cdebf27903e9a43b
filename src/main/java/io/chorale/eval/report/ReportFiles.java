package io.chorale.eval.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import io.chorale.eval.DocumentRecord;
import io.chorale.eval.TaskResult;
import io.chorale.eval.stat.Forgetting;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes {@code report.json}, {@code report.md}, {@code report.html}, {@code documents.jsonl}. */
public final class ReportFiles {
  private static final ObjectMapper JSON =
      new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
  private static final ObjectMapper LINES = new ObjectMapper();

  private ReportFiles() {}

  /**
   * @param folder made if missing; files of these names in it are replaced
   */
  public static void write(Path folder, Summary summary, List<TaskResult> results)
      throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("report.json"), json(summary) + "\n");
    Files.writeString(folder.resolve("report.md"), MarkdownReport.of(summary));
    Files.writeString(folder.resolve("report.html"), HtmlReport.of(summary));
    try (BufferedWriter lines = Files.newBufferedWriter(folder.resolve("documents.jsonl"))) {
      for (TaskResult result : results) {
        for (DocumentRecord each : result.records()) {
          lines.write(LINES.writeValueAsString(line(each)));
          lines.write('\n');
        }
      }
    }
  }

  private static Map<String, Object> line(DocumentRecord each) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("task", each.task());
    line.put("document", each.document());
    line.put("candidate", each.candidate());
    line.put("prompt_sha256", each.promptSha256());
    line.putAll(each.fields());
    return line;
  }

  static String json(Summary summary) throws IOException {
    Map<String, Object> root = new LinkedHashMap<>();
    root.put("title", summary.title());
    root.put("settings", summary.settings());
    root.put("candidates", summary.candidates());
    root.put("overlap", summary.overlap());
    List<Object> sections = new ArrayList<>();
    for (Summary.Section section : summary.sections()) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("task", section.task());
      entry.put("kind", section.kind());
      entry.put("other_domain", section.also());
      entry.put("metric", section.metric());
      entry.put("primary", section.primary());
      entry.put("detail", section.detail());
      entry.put("higher_is_better", section.higherIsBetter());
      entry.put("documents", section.documents());
      entry.put("cells", section.cells());
      entry.put("notes", section.notes());
      sections.add(entry);
    }
    root.put("results", sections);
    List<Object> forgetting = new ArrayList<>();
    for (Forgetting each : summary.forgetting()) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("task", each.task());
      entry.put("candidate", each.candidate());
      entry.put("drop", each.drop());
      entry.put("allowed", each.allowed());
      entry.put("verdict", each.verdict().words());
      forgetting.add(entry);
    }
    root.put("forgetting", forgetting);
    return JSON.writeValueAsString(root);
  }
}
