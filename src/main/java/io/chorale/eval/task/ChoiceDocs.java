package io.chorale.eval.task;

import io.chorale.eval.EvalException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * Turns a task's documents into contexts, choices and right answers, with few-shot examples drawn
 * as the harness draws them. Used once, one thread.
 */
final class ChoiceDocs {
  /**
   * A document, ready to be scored.
   *
   * @param place file:line
   * @param question the document's own text, without examples
   * @param context all that stands before the choices
   * @param continuations delimiter and choice, one per choice
   * @param choices alone
   * @param gold indexes that are right; empty if the label is out of range
   */
  record Asked(
      String place,
      String question,
      String context,
      List<String> continuations,
      List<String> choices,
      List<Integer> gold) {}

  /** A {@link TaskConfig.Form} with its templates parsed. */
  private record Parsed(
      DocTemplate text,
      Object target,
      Object choice,
      String targetDelimiter,
      String fewshotDelimiter) {}

  private final TaskConfig config;
  private final int shots;
  private final String file;
  private final Parsed docs;
  private final Parsed examples;
  private final DocTemplate description;
  private final PythonRandom random;

  /**
   * @param shots few-shot examples per document
   * @param seed of the sampler, 1234 in the harness
   */
  ChoiceDocs(TaskYaml yaml, TaskConfig config, int shots, long seed) {
    this.config = config;
    this.shots = shots;
    this.file = yaml.file().toString();
    this.docs = parsed(config.docs(), "");
    this.examples = parsed(config.examples(), "fewshot_config.");
    this.description =
        config.description().isEmpty()
            ? null
            : new DocTemplate(config.description(), file + ": description");
    this.random = new PythonRandom(seed);
  }

  private Parsed parsed(TaskConfig.Form form, String prefix) {
    return new Parsed(
        new DocTemplate(form.text(), file + ": " + prefix + "doc_to_text"),
        template(form.target(), prefix + "doc_to_target"),
        template(form.choice(), prefix + "doc_to_choice"),
        form.targetDelimiter(),
        form.fewshotDelimiter());
  }

  private Object template(Object given, String key) {
    return given instanceof String source ? new DocTemplate(source, file + ": " + key) : given;
  }

  /**
   * @param pool where examples come from, in file order
   * @throws EvalException naming the document that cannot be asked
   */
  List<Asked> asked(List<TaskData.Doc> documents, List<TaskData.Doc> pool, int limit) {
    List<TaskData.Doc> usable = processed(indexed(pool));
    List<Asked> asked = new ArrayList<>();
    int most = limit == 0 ? documents.size() : Math.min(limit, documents.size());
    for (TaskData.Doc doc : processed(documents.subList(0, most))) {
      asked.add(one(doc, usable));
    }
    return asked;
  }

  private List<TaskData.Doc> indexed(List<TaskData.Doc> pool) {
    if (config.indexes() == null) {
      return pool;
    }
    for (int index : config.indexes()) {
      if (index >= pool.size()) {
        throw new EvalException(
            "%s: fewshot_indices has %d, there are %d examples"
                .formatted(file, index, pool.size()));
      }
    }
    return config.indexes().stream().map(pool::get).toList();
  }

  private List<TaskData.Doc> processed(List<TaskData.Doc> documents) {
    return config.processDocs() == null
        ? documents
        : documents.stream().map(Hellaswag::process).toList();
  }

  private Asked one(TaskData.Doc doc, List<TaskData.Doc> pool) {
    StringBuilder context = new StringBuilder();
    if (description != null) {
      context.append(description.value(doc));
    }
    if (shots > 0) {
      examplesFor(doc, pool).forEach(example -> context.append(example(example)));
    }
    String question = DocTemplate.question(docs.text(), doc);
    context.append(question);
    List<String> choices = DocTemplate.choices(docs.choice(), doc);
    return new Asked(
        doc.place(),
        question,
        context.toString(),
        choices.stream().map(choice -> docs.targetDelimiter() + choice).toList(),
        choices,
        gold(doc, choices));
  }

  private List<TaskData.Doc> examplesFor(TaskData.Doc doc, List<TaskData.Doc> pool) {
    boolean sameSplit = Objects.equals(config.splits().fewshot(), config.splits().test());
    List<TaskData.Doc> others = sameSplit ? without(doc, pool) : pool;
    try {
      if (config.sampler().equals("first_n")) {
        return others.subList(0, shots);
      }
      if (!sameSplit) {
        return random.sample(pool, shots);
      }
      List<TaskData.Doc> drawn = without(doc, random.sample(pool, shots + 1));
      return drawn.size() < shots ? random.sample(others, shots) : drawn.subList(0, shots);
    } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
      throw new EvalException(
          "%s: %d few-shot examples wanted, %d are there".formatted(file, shots, others.size()), e);
    }
  }

  private static List<TaskData.Doc> without(TaskData.Doc doc, List<TaskData.Doc> from) {
    return from.stream().filter(each -> !each.fields().equals(doc.fields())).toList();
  }

  private String example(TaskData.Doc doc) {
    Object target = DocTemplate.target(examples.target(), doc);
    if (target instanceof List<?> several && !several.isEmpty()) {
      target = several.get(0);
    }
    String answer;
    if (target instanceof Number index) {
      List<String> choices = DocTemplate.choices(examples.choice(), doc);
      if (index.intValue() < 0 || index.intValue() >= choices.size()) {
        throw new EvalException(
            "%s: the label of a few-shot example is %s, there are %d choices"
                .formatted(doc.place(), index, choices.size()));
      }
      answer = choices.get(index.intValue());
    } else {
      answer = String.valueOf(target);
    }
    String question = DocTemplate.question(examples.text(), doc);
    return answer.isEmpty()
        ? question
        : question + examples.targetDelimiter() + answer + examples.fewshotDelimiter();
  }

  private List<Integer> gold(TaskData.Doc doc, List<String> choices) {
    Object target = DocTemplate.target(docs.target(), doc);
    List<Integer> gold = new ArrayList<>();
    for (Object each : target instanceof List<?> several ? several : List.of(target)) {
      int index = each instanceof Number number ? number.intValue() : choices.indexOf(each);
      if (index >= 0 && index < choices.size()) {
        gold.add(index);
      }
    }
    return gold;
  }
}
