package io.chorale.adapter.push;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.adapter.AdapterException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UploadStoreTest {
  private static final String CONFIG = "adapter_config.json";

  @TempDir Path root;

  private UploadStore store() {
    return new UploadStore(root, 100);
  }

  @Test
  void partsThatFollowEachOtherMakeTheFile() throws IOException {
    // Given
    UploadStore store = store();
    String id = store.create();
    // When
    store.append(id, CONFIG, 0, new byte[] {1, 2});
    long bytes = store.append(id, CONFIG, 2, new byte[] {3});
    Path folder = store.finish(id, "legal");
    // Then
    assertEquals(3, bytes);
    assertEquals(root.resolve(".pushed").resolve("legal-" + id), folder);
    assertArrayEquals(new byte[] {1, 2, 3}, Files.readAllBytes(folder.resolve(CONFIG)));
    assertFalse(Files.exists(root.resolve(".uploads").resolve(id)));
  }

  @Test
  void partThatLeavesAGapIsRefusedNamingWhatIsThereAndChangesNothing() {
    // Given
    UploadStore store = store();
    String id = store.create();
    store.append(id, CONFIG, 0, new byte[2]);
    // When
    AdapterException refusal =
        assertThrows(AdapterException.class, () -> store.append(id, CONFIG, 5, new byte[1]));
    // Then
    assertEquals(AdapterException.Code.BAD_UPLOAD, refusal.code());
    assertTrue(refusal.getMessage().contains("begins at byte 5, 2 bytes are there"));
    assertEquals(3, store.append(id, CONFIG, 2, new byte[1]));
  }

  @ParameterizedTest
  @ValueSource(strings = {"../x.gguf", "x.sh", ".hidden.gguf", "adapters.json", "", "a/b.gguf"})
  void fileThatNoAdapterHasIsRefused(String file) {
    // Given
    UploadStore store = store();
    String id = store.create();
    // When, Then
    assertThrows(AdapterException.class, () -> store.append(id, file, 0, new byte[1]));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "..", "0123456789abcdef01234567", "../../etc"})
  void idThatWasNeverGivenIsNoUpload(String id) {
    // When
    AdapterException refusal =
        assertThrows(AdapterException.class, () -> store().append(id, CONFIG, 0, new byte[1]));
    // Then
    assertEquals(AdapterException.Code.NO_SUCH_UPLOAD, refusal.code());
  }

  @Test
  void moreBytesThanAllowedAreRefusedBeforeTheyAreWritten() throws IOException {
    // Given
    UploadStore store = store();
    String id = store.create();
    store.append(id, CONFIG, 0, new byte[60]);
    // When, Then
    assertThrows(AdapterException.class, () -> store.append(id, "chorale.json", 0, new byte[41]));
    assertFalse(Files.exists(root.resolve(".uploads").resolve(id).resolve("chorale.json")));
  }

  @Test
  void uploadUntouchedForAnHourIsGoneWhenTheNextBegins() throws IOException {
    // Given
    UploadStore store = store();
    String old = store.create();
    store.append(old, CONFIG, 0, new byte[1]);
    Path folder = root.resolve(".uploads").resolve(old);
    FileTime past = FileTime.from(Instant.now().minusSeconds(3700));
    Files.setLastModifiedTime(folder.resolve(CONFIG), past);
    Files.setLastModifiedTime(folder, past);
    // When
    store.create();
    // Then
    assertFalse(Files.exists(folder));
  }

  @Test
  void earlierPushesOfANameGoAndThoseOfOthersStay() {
    // Given
    UploadStore store = store();
    Path first = store.finish(store.create(), "legal");
    Path longer = store.finish(store.create(), "legal-2");
    Path second = store.finish(store.create(), "legal");
    // When
    store.discardOthers("legal", second);
    // Then
    assertFalse(Files.exists(first));
    assertTrue(Files.exists(longer));
    assertTrue(Files.exists(second));
  }

  @Test
  void serverWithoutAnAdapterRootSaysHowToGetOne() {
    // When
    AdapterException refusal =
        assertThrows(AdapterException.class, () -> new UploadStore(null, 100).create());
    // Then
    assertTrue(refusal.getMessage().contains("--adapter-root"));
  }

  @Test
  void folderOutsideTheStoreIsNeverRemoved() {
    // When, Then
    assertThrows(IllegalArgumentException.class, () -> store().discard(root.resolve("legal")));
  }
}
