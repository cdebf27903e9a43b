package io.chorale.eval.task;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.eval.EvalException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TemplatesTest {
  private static final TaskData.Doc DOC =
      new TaskData.Doc(
          "d:1",
          Map.of(
              "question",
              "Why? ",
              "answer",
              2,
              "label",
              "1",
              "choices",
              Map.of("text", List.of("it's", "a \"b\"\n", "ü"))));

  private static DocTemplate template(String source) {
    return new DocTemplate(source, "t.yaml: doc_to_text");
  }

  @Test
  void nameOfAFieldIsItsValueAndAnythingElseATemplate() {
    assertEquals("Why? ", template("question").value(DOC));
    assertEquals("Q: Why?\n", template("Q: {{question.strip()}}\n").value(DOC));
  }

  @Test
  void blocksKeepTheLineEndsThatChatTemplatesTrim() {
    assertEquals("\n  x\n", template("{% if answer %}\n  x\n{% endif %}").value(DOC));
    assertEquals("x", template("{%- if answer -%}\n  x\n{%- endif -%}").value(DOC));
  }

  @Test
  void fieldThatIsNotThereFailsWithItsNameAndPlace() {
    EvalException failure =
        assertThrows(EvalException.class, () -> template("{{questoin}}").value(DOC));
    assertTrue(failure.getMessage().startsWith("d:1: t.yaml: doc_to_text"), failure.getMessage());
    assertTrue(failure.getMessage().contains("questoin"), failure.getMessage());
  }

  @Test
  void printedListOfChoicesIsReadBack() {
    assertEquals(
        List.of("it's", "a \"b\"\n", "ü"), DocTemplate.choices(template("{{choices.text}}"), DOC));
  }

  @Test
  void digitsOfATemplateAreAnIndexAndThoseOfAFieldStayText() {
    assertEquals(1, DocTemplate.target(template("{{label}}"), DOC));
    assertEquals("1", DocTemplate.target(template("label"), DOC));
    assertEquals(2, DocTemplate.target(template("answer"), DOC));
  }

  @Test
  void literalsAreReadAsPythonPrintsThem() {
    assertEquals(
        Arrays.asList("a'b", "c\\d\u00a0", 1L, -2.5, true, null, List.of()),
        PyLiteral.parse("[\"a'b\", 'c\\\\d\\xa0', 1, -2.5, True, None, []]"));
    assertThrows(IllegalArgumentException.class, () -> PyLiteral.parse("['a'"));
    assertThrows(IllegalArgumentException.class, () -> PyLiteral.parse("[a()]"));
  }

  @Test
  void likelihoodPerCharacterMayChooseAnotherAnswer() {
    double[] likelihoods = {-4, -6};
    List<String> choices = List.of("no", "certainly");
    assertEquals(0, ChoiceTest.answer("acc", likelihoods, choices));
    assertEquals(1, ChoiceTest.answer("acc_norm", likelihoods, choices));
  }

  @Test
  void firstOfEqualChoicesIsTheAnswer() {
    assertEquals(1, ChoiceTest.answer("acc", new double[] {-3, -2, -2}, List.of("a", "b", "c")));
  }
}
