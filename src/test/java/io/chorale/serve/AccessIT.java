package io.chorale.serve;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** With inference keys and an admin key set; the other settings are in CallerRolesTest. */
@QuarkusTest
@TestProfile(ServeProfile.class)
class AccessIT {

  @ParameterizedTest
  @CsvSource({
    // method, path, key, status, code
    "GET, /v1/models, , 401, invalid_api_key",
    "GET, /v1/models, wrong, 401, invalid_api_key",
    "GET, /v1/models, sk-test-inference, 200,",
    "GET, /v1/models, sk-test-admin, 200,",
    "GET, /v1/models/tiny-base, , 401, invalid_api_key",
    "POST, /v1/chat/completions, , 401, invalid_api_key",
    "POST, /v1/completions, , 401, invalid_api_key",
    "GET, /admin/adapters, , 401, invalid_api_key",
    "GET, /admin/adapters, wrong, 401, invalid_api_key",
    "GET, /admin/adapters, sk-test-inference, 403, admin_key_required",
    "GET, /admin/adapters, sk-test-admin, 200,",
    "GET, /admin/adapters/x, sk-test-inference, 403, admin_key_required",
    "DELETE, /admin/adapters/x, sk-test-inference, 403, admin_key_required",
    "PUT, /admin/adapters/x, sk-test-inference, 403, admin_key_required",
    "POST, /v1/load_lora_adapter, , 401, invalid_api_key",
    "POST, /v1/load_lora_adapter, sk-test-inference, 403, admin_key_required",
    "POST, /v1/unload_lora_adapter, sk-test-inference, 403, admin_key_required",
    "POST, /v1/unload_lora_adapter/, sk-test-inference, 403, admin_key_required",
    "POST, /v1/unload%5Flora_adapter, sk-test-inference, 403, admin_key_required",
    "POST, /v1/unload_lora_adapter;a=b, sk-test-inference, 403, admin_key_required",
    "GET, /health, , 200,",
    "GET, /metrics, , 200,",
  })
  void keyDecidesWhatACallerMayDo(String method, String path, String key, int status, String code) {
    // When
    String body = method.equals("GET") || method.equals("DELETE") ? null : "{}";
    Http.Answer answer = Http.send(method, path, body, key);
    // Then
    assertEquals(status, answer.status(), answer.body());
    if (code != null) {
      assertEquals(code, answer.errorCode());
    }
  }
}
