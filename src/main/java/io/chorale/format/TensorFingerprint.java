package io.chorale.format;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.SortedSet;

/**
 * A cheap identity of a set of tensors: SHA-256 over, in the order of their names, each tensor's
 * name, type and shape as text and a sample of its bytes (all up to 16 KiB, else four times 4 KiB
 * from start to end). Reads a few MiB of a model of any size. Any thread.
 */
public final class TensorFingerprint {
  private static final int SAMPLES = 4;
  private static final int SAMPLE_BYTES = 4096;

  private TensorFingerprint() {}

  /** "sha256:" and 64 hex digits. */
  public static String of(TensorSource source, SortedSet<String> names) {
    MessageDigest sha = sha256();
    for (String name : names) {
      TensorData tensor = source.tensor(name);
      String line = "%s %s %s\n".formatted(name, tensor.type(), Arrays.toString(tensor.shape()));
      sha.update(line.getBytes(StandardCharsets.UTF_8));
      ByteBuffer bytes = tensor.bytes();
      int size = bytes.remaining();
      if (size <= SAMPLES * SAMPLE_BYTES) {
        sha.update(bytes.duplicate());
        continue;
      }
      for (int i = 0; i < SAMPLES; i++) {
        long at = (long) (size - SAMPLE_BYTES) * i / (SAMPLES - 1);
        sha.update(bytes.slice(bytes.position() + (int) at, SAMPLE_BYTES));
      }
    }
    return "sha256:" + HexFormat.of().formatHex(sha.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
