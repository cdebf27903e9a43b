package io.chorale.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CallerRolesTest {
  private static final Set<String> NONE = Set.of();
  private static final Set<String> INFERENCE = Set.of(ServeAccess.INFERENCE);
  private static final Set<String> ADMIN = Set.of(ServeAccess.ADMIN);
  private static final Set<String> BOTH = Set.of(ServeAccess.INFERENCE, ServeAccess.ADMIN);

  @Test
  void withoutKeysEveryoneInfersAndOnlyThisMachineAdministers() {
    // Given
    CallerRoles roles = roles(List.of(), Optional.empty());
    // Then
    assertEquals(INFERENCE, roles.roles(null, false));
    assertEquals(INFERENCE, roles.roles("unused", false));
    assertEquals(BOTH, roles.roles(null, true));
  }

  @Test
  void withInferenceKeysAloneThisMachineStillNeedsOneToInfer() {
    // Given
    CallerRoles roles = roles(List.of("k1", "k2"), Optional.empty());
    // Then
    assertEquals(NONE, roles.roles(null, false));
    assertEquals(ADMIN, roles.roles(null, true));
    assertEquals(INFERENCE, roles.roles("k2", false));
    assertEquals(BOTH, roles.roles("k1", true));
  }

  @Test
  void withAnAdminKeyThePlaceNoLongerCounts() {
    // Given
    CallerRoles roles = roles(List.of("k1"), Optional.of("boss"));
    // Then
    assertEquals(NONE, roles.roles(null, true));
    assertEquals(NONE, roles.roles("k", true));
    assertEquals(BOTH, roles.roles("boss", false));
  }

  @Test
  void refusalFromAfarSaysHowToSetAnAdminKey() {
    // When
    ApiError refusal = roles(List.of(), Optional.empty()).refusal(null, true);
    // Then
    assertEquals(403, refusal.status());
    assertEquals("admin_loopback_only", refusal.code());
    assertTrue(refusal.getMessage().contains("--admin-key-file"));
  }

  @Test
  void openInferenceDoesNotTurnAMissingAdminKeyInto403() {
    // When
    ApiError refusal = roles(List.of(), Optional.of("boss")).refusal("wrong", true);
    // Then
    assertEquals(401, refusal.status());
  }

  @ParameterizedTest
  @ValueSource(strings = {"127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1"})
  void loopbackAddressIsLocal(String address) {
    assertTrue(CallerRoles.isLoopback(address));
  }

  @ParameterizedTest
  @ValueSource(strings = {"10.0.0.1", "192.168.1.7", "fe80::1", "localhost", "evil.test", ""})
  void otherAddressOrNameIsNotLocal(String address) {
    assertFalse(CallerRoles.isLoopback(address));
  }

  @ParameterizedTest
  @ValueSource(strings = {"localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"})
  void localHostHeaderIsLocal(String host) {
    assertTrue(CallerRoles.isLocalHost(host));
  }

  @ParameterizedTest
  @ValueSource(strings = {"evil.test", "evil.test:8000", "localhost.evil.test", "10.0.0.1:8000"})
  void hostHeaderOfARebindingPageIsNotLocal(String host) {
    assertFalse(CallerRoles.isLocalHost(host));
  }

  @Test
  void adminKeyThatIsAlsoAnInferenceKeyIsRefused() {
    assertThrows(
        IllegalArgumentException.class,
        () -> new ServeAccess(List.of("same"), Optional.of("same")));
  }

  @Test
  void keysAreNotInTheTextForm() {
    assertFalse(new ServeAccess(List.of("secret"), Optional.empty()).toString().contains("secret"));
  }

  private static CallerRoles roles(List<String> keys, Optional<String> admin) {
    return new CallerRoles(new ServeAccess(keys, admin));
  }
}
