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
    var refused = assertThrows(IllegalArgumentException.class, () -> regex("a".repeat(20_001)));
    // Then
    assertEquals("pattern of 20001 characters, at most 20000", refused.getMessage());
  }

  @Test
  void hundredNestedGroupsAreReadAndMoreAreRefused() {
    // Given
    String nested = "(".repeat(100) + "a" + ")".repeat(100);
    // When
    boolean matches = regex(nested).fullMatch("a");
    var refused = assertThrows(IllegalArgumentException.class, () -> regex("(" + nested + ")"));
    // Then
    assertTrue(matches);
    assertTrue(refused.getMessage().endsWith("...' nests more than 100 groups"));
  }
}
