package io.chorale.eval.score;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.chorale.eval.EvalException;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ScorersTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Scorers SCORERS = new Scorers(Optional.empty());

  private static double score(String scorer, String answer, String... wanted) {
    return scorer(scorer).score(answer, List.of(wanted)).score();
  }

  private static Scorer scorer(String json) {
    try {
      return SCORERS.of(JSON.readTree(json), JSON.createObjectNode());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void exactForgivesOnlyBlanksAtTheEnds() {
    assertEquals(1, score("\"exact\"", " MIT License\n", "MIT License"));
    assertEquals(0, score("\"exact\"", "mit license", "MIT License"));
  }

  @Test
  void anyOfSeveralRightAnswersCounts() {
    assertEquals(1, score("\"exact\"", "B", "A", "B"));
  }

  @Test
  void containsWantsWholeWordsAndNotAPartOfOne() {
    assertEquals(1, score("\"contains\"", "It is the Cat, I think.", "cat"));
    assertEquals(0, score("\"contains\"", "It is a category.", "cat"));
  }

  @Test
  void containsIsNeverTrueOfAnEmptyAnswer() {
    assertEquals(0, score("\"contains\"", "anything", "the"));
  }

  @ParameterizedTest
  @CsvSource({
    "The answer is 1-234.5 kg, 1",
    "about 1_234.5, 0",
    "first 7 then 1234.5, 1",
    "1234.5 then 7, 0",
    "-1234.5, 0"
  })
  void numericTakesTheLastNumber(String answer, double score) {
    String text = answer.replace("1-234.5", "1,234.5").replace('_', ' ');
    assertEquals(score, score("\"numeric\"", text, "1234.5"), text);
  }

  @Test
  void numericToleranceIsTheLargerOfAbsoluteAndRelative() {
    String scorer = "{\"type\":\"numeric\",\"tolerance\":0.5,\"rel_tolerance\":0.01}";
    assertEquals(1, score(scorer, "101", "100"));
    assertEquals(0, score(scorer, "101.1", "100"));
    assertEquals(1, score(scorer, "1.4", "1"));
  }

  @Test
  void hyphenBetweenDigitsIsNoMinus() {
    assertEquals(1, score("\"numeric\"", "seasons 2019-20", "20"));
  }

  @Test
  void regexTakesItsGroupBeforeItCompares() {
    String scorer = "{\"type\":\"regex\",\"pattern\":\"code: (\\\\w+)\"}";
    assertEquals(1, score(scorer, "the code: A09 it is", "a09"));
    assertEquals(0, score(scorer, "the code is A09", "A09"));
  }

  @Test
  void regexOfTheLastMatchPassesOverEarlierOnes() {
    String scorer = "{\"type\":\"regex\",\"pattern\":\"[A-D]\",\"match\":\"last\"}";
    assertEquals(1, score(scorer, "not A, but C", "C"));
  }

  @Test
  void jsonFieldIsFoundInsideAFenceAndAnArray() {
    String scorer = "{\"type\":\"json-field\",\"field\":\"codes.1.code\"}";
    String answer = "Here {it} is:\n```json\n{\"codes\":[{\"code\":\"A\"},{\"code\":\"B9\"}]}\n```";
    assertEquals(1, score(scorer, answer, "b9"));
  }

  @Test
  void jsonNumbersCompareAsNumbers() {
    assertEquals(1, score("{\"type\":\"json-field\",\"field\":\"n\"}", "{\"n\": 5.0}", "5"));
  }

  @Test
  void missingJsonFieldIsToldApartFromNoJson() {
    Scorer scorer = scorer("{\"type\":\"json-field\",\"field\":\"n\"}");
    assertEquals("there is no field n", scorer.score("{\"m\":1}", List.of("1")).note());
    assertEquals("there is no JSON", scorer.score("five", List.of("1")).note());
  }

  @Test
  void pythonIsRefusedUnlessCodeMayRun() {
    EvalException refused =
        assertThrows(
            EvalException.class, () -> scorer("{\"type\":\"python\",\"test\":\"assert True\"}"));
    assertTrue(refused.getMessage().contains("--allow-code-execution"), refused.getMessage());
  }

  @Test
  void unknownScorerAndUnknownSettingAreNamed() {
    assertTrue(
        assertThrows(EvalException.class, () -> scorer("\"bleu\""))
            .getMessage()
            .contains("'bleu'"));
    assertTrue(
        assertThrows(EvalException.class, () -> scorer("{\"type\":\"numeric\",\"tolerence\":1}"))
            .getMessage()
            .contains("'tolerence'"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        // SQuAD 1.1's normalize_answer of these, run once with Python 3.11
        "The  Apache-2.0 License, a gift!|apache20 license gift",
        "An apple; the theory|apple theory",
        "THE|''",
        "naïve Über-A-side|naïve überaside"
      })
  void normalisedIsSquads(String text, String wanted) {
    assertEquals(wanted, SquadText.of(text));
  }
}
