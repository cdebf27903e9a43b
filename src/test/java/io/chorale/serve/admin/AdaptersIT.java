package io.chorale.serve.admin;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.chorale.serve.Http;
import io.chorale.serve.ServeBeans;
import io.chorale.serve.ServeProfile;
import io.quarkus.test.junit.QuarkusTest;
import io.quarkus.test.junit.TestProfile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@QuarkusTest
@TestProfile(ServeProfile.class)
class AdaptersIT {

  @Test
  void putCreatesThenReplacesAndDeleteGivesTheFinalState() {
    // When
    Http.Answer created = admin("PUT", "/admin/adapters/a1", "{\"path\":\"lora-all-linear\"}");
    Http.Answer replaced =
        admin("PUT", "/admin/adapters/a1", "{\"path\":\"rslora\",\"expected_version\":1}");
    Http.Answer read = admin("GET", "/admin/adapters/a1", null);
    Http.Answer deleted = admin("DELETE", "/admin/adapters/a1", null);
    Http.Answer gone = admin("GET", "/admin/adapters/a1", null);
    // Then
    assertEquals(201, created.status(), created.body());
    assertEquals("a1", created.json().path("name").asText());
    assertEquals(1, created.json().path("version").asInt());
    assertEquals("lora", created.json().path("method").asText());
    assertEquals(64, created.json().path("sha256").asText().length());
    assertTrue(created.json().path("loaded_at").asText().matches("\\d{4}-.*Z"), created.body());
    assertEquals(200, replaced.status(), replaced.body());
    assertEquals(2, read.json().path("version").asInt());
    assertEquals("rslora", read.json().path("method").asText());
    assertEquals(2, deleted.json().path("version").asInt());
    assertEquals(404, gone.status());
    assertEquals("lora_adapter_not_found", gone.errorCode());
  }

  @Test
  void otherVersionThanExpectedIs409ThatClientsDoNotRetry() {
    // Given
    admin("PUT", "/admin/adapters/cas", "{\"path\":\"lora-all-linear\"}");
    // When
    Http.Answer answer =
        admin("PUT", "/admin/adapters/cas", "{\"path\":\"rslora\",\"expected_version\":0}");
    admin("DELETE", "/admin/adapters/cas", null);
    // Then
    assertEquals(409, answer.status());
    assertEquals("lora_version_mismatch", answer.errorCode());
    assertEquals("false", answer.header("x-should-retry"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ok | {\"path\":\"no-such-folder\"} | 404 | adapter_path_not_found",
        "ok | {\"path\":\"/etc\"} | 403 | adapter_path_forbidden",
        "ok | {\"path\":\"../models\"} | 403 | adapter_path_forbidden",
        "ok | {\"path\":\"gguf\"} | 400 | invalid_lora_adapter",
        "tiny-base | {\"path\":\"rslora\"} | 400 | invalid_lora_name",
        "a%20b | {\"path\":\"rslora\"} | 400 | invalid_lora_name",
        "ok | {} | 400 | missing_required_parameter",
        "ok | {\"path\":5} | 400 | invalid_type",
        "ok | {\"path\":\"rslora\",\"expected_version\":-1} | 400 | invalid_value",
        "ok | {\"path\":\"rslora\",\"pth\":1} | 400 | unknown_parameter",
        "ok | {\"path\":\"a\\u0000b\"} | 400 | invalid_value",
        "ok | {\"path\" | 400 | invalid_json"
      })
  void registrationThatCannotBeIsRefusedWithItsCode(
      String name, String body, int status, String code) {
    // When
    Http.Answer answer = admin("PUT", "/admin/adapters/" + name, body);
    // Then
    assertEquals(status, answer.status(), answer.body());
    assertEquals(code, answer.errorCode(), answer.body());
    assertFalse(Http.get("/v1/models").body().contains("\"ok\""));
  }

  @Test
  void vllmRoutesAnswerInVllmsWords() {
    // When
    Http.Answer loaded =
        admin(
            "POST",
            "/v1/load_lora_adapter",
            "{\"lora_name\":\"v\",\"lora_path\":\"rslora\",\"base_model_name\":\"b\"}");
    Http.Answer twice =
        admin("POST", "/v1/load_lora_adapter", "{\"lora_name\":\"v\",\"lora_path\":\"rslora\"}");
    Http.Answer inPlace =
        admin(
            "POST",
            "/v1/load_lora_adapter",
            "{\"lora_name\":\"v\",\"lora_path\":\"rslora\",\"load_inplace\":true}");
    Http.Answer unloaded =
        admin("POST", "/v1/unload_lora_adapter", "{\"lora_name\":\"v\",\"lora_int_id\":1}");
    Http.Answer gone = admin("POST", "/v1/unload_lora_adapter", "{\"lora_name\":\"v\"}");
    // Then
    assertEquals(200, loaded.status(), loaded.body());
    assertEquals("Success: LoRA adapter 'v' added successfully.", loaded.body());
    assertTrue(loaded.header("content-type").startsWith("text/plain"));
    assertEquals(400, twice.status());
    assertEquals("InvalidUserInput", twice.json().at("/error/type").asText());
    assertEquals(
        "The lora adapter 'v' has already been loaded. If you want to load the adapter in place,"
            + " set 'load_inplace' to True.",
        twice.errorMessage());
    assertEquals(200, inPlace.status(), inPlace.body());
    assertEquals("Success: LoRA adapter 'v' removed successfully.", unloaded.body());
    assertEquals(404, gone.status());
    assertEquals("NotFoundError", gone.json().at("/error/type").asText());
    assertEquals("The lora adapter 'v' cannot be found.", gone.errorMessage());
  }

  @Test
  void vllmLoadOfAMissingOrBadAdapterHasVllmsStatusAndType() {
    // When
    Http.Answer missing =
        admin("POST", "/v1/load_lora_adapter", "{\"lora_name\":\"m\",\"lora_path\":\"nowhere\"}");
    Http.Answer bad =
        admin("POST", "/v1/load_lora_adapter", "{\"lora_name\":\"m\",\"lora_path\":\"gguf\"}");
    // Then
    assertEquals(404, missing.status());
    assertEquals("NotFoundError", missing.json().at("/error/type").asText());
    assertTrue(missing.errorMessage().contains("No adapter found"), missing.errorMessage());
    assertEquals(400, bad.status());
    assertEquals("BadRequestError", bad.json().at("/error/type").asText());
  }

  @ParameterizedTest
  @ValueSource(strings = {"{}", "{\"lora_name\":\"x\"}", "{\"lora_name\":\"\",\"lora_path\":\"\"}"})
  void vllmLoadWithoutNameOrPathSaysBothAreNeeded(String body) {
    // When
    Http.Answer answer = admin("POST", "/v1/load_lora_adapter", body);
    // Then
    assertEquals(400, answer.status());
    assertEquals("Both 'lora_name' and 'lora_path' must be provided.", answer.errorMessage());
  }

  @Test
  void registeredAdapterIsAModelWithItsBaseAsParentAndNoPath() {
    // Given
    admin("PUT", "/admin/adapters/listed", "{\"path\":\"rslora\"}");
    // When
    JsonNode list = Http.get("/v1/models").json();
    JsonNode one = Http.get("/v1/models/listed").json();
    admin("DELETE", "/admin/adapters/listed", null);
    // Then
    assertEquals(
        "{\"id\":\"tiny-base\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"chorale\","
            + "\"root\":\"tiny-base\",\"parent\":null,\"max_model_len\":256}",
        list.at("/data/0").toString());
    assertEquals(
        "{\"id\":\"listed\",\"object\":\"model\",\"created\":%d,\"owned_by\":\"chorale\",\"root\":\"listed\",\"parent\":\"tiny-base\",\"max_model_len\":256}"
            .formatted(one.path("created").asLong()),
        one.toString());
    assertTrue(list.path("data").toString().contains(one.toString()));
    assertEquals(404, Http.get("/v1/models/listed").status());
    assertEquals("model_not_found", Http.get("/v1/models/org/none").errorCode());
  }

  private static Http.Answer admin(String method, String path, String body) {
    return Http.send(method, path, body, ServeBeans.ADMIN_KEY);
  }
}
