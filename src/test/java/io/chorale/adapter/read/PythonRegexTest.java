package io.chorale.adapter.read;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PythonRegexTest {
  private static PythonRegex regex(String python) {
    return PythonRegex.compile(python, new PythonRegex.Budget());
  }

  @Test
  void namedGroupsAndTheirReferencesAreReadAsPythonWritesThem() {
    // Given
    PythonRegex regex = regex("(?P<x>a+)-(?P=x)");
    // When
    boolean same = regex.fullMatch("aa-aa");
    boolean other = regex.fullMatch("aa-a");
    // Then
    assertTrue(same);
    assertFalse(other);
  }

  @Test
  void fullMatchNeedsTheWholeTextAndMatchOnlyItsStart() {
    // Given
    PythonRegex regex = regex("model");
    // When, Then
    assertFalse(regex.fullMatch("model.layers"));
    assertEquals("model", regex.match("model.layers").group());
  }

  @ParameterizedTest
  @ValueSource(strings = {"(.*a?){30}x", "((?:a+)+)\\1b"})
  void patternThatWouldRunForAgesIsStopped(String python) {
    // Given
    PythonRegex regex = regex(python);
    // When
    var refused =
        assertThrows(IllegalArgumentException.class, () -> regex.fullMatch("a".repeat(60)));
    // Then
    assertTrue(refused.getMessage().contains("takes too long"), refused.getMessage());
  }

  @Test
  void patternOfManyKilobytesIsRefused() {
    // When
    var refused = assertThrows(IllegalArgumentException.class, () -> regex("a".repeat(5000)));
    // Then
    assertEquals("pattern of 5000 characters, at most 2048", refused.getMessage());
  }

  @Test
  void thousandNestedGroupsDoNotOverflowTheStack() {
    // Given
    String nested = "(".repeat(1000) + "a" + ")".repeat(1000);
    // When
    boolean matches = regex(nested).fullMatch("a");
    // Then
    assertTrue(matches);
  }
}
