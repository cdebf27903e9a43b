package io.chorale.train.data.check;

import io.chorale.train.data.Conversation;
import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.Finding.Kind;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Rows that say what an earlier row said: the same question (spaces apart) with the same or another
 * answer, or nearly the same words. Memory a row: about 200 bytes and those of {@link
 * NearDuplicates}; no texts are kept. One thread, but {@link #print} any.
 */
final class Repeats {
  private static final double SIMILAR = 0.8;

  private final boolean leaks;
  private final Map<Key, Seen> byQuestion = new HashMap<>();
  private final NearDuplicates near = new NearDuplicates(SIMILAR);
  private final List<Place> nearPlaces = new ArrayList<>();

  /** A row's question in 128 bits. */
  private record Key(long high, long low) {}

  private record Place(Path file, long line) {
    @Override
    public String toString() {
      return file + ":" + line;
    }
  }

  private record Seen(Place place, Key answer) {}

  /** What of a row is compared. */
  record Print(Key question, Key answer, Shingles words, long[] signature) {}

  /**
   * @param leaks true: what is found stands in the evaluation data
   */
  Repeats(boolean leaks) {
    this.leaks = leaks;
  }

  static Print print(Conversation conversation) {
    Shingles words = Shingles.of(conversation.words());
    return new Print(
        key(conversation.question()),
        key(conversation.answer()),
        words,
        NearDuplicates.signature(words));
  }

  /** The earlier row that this one repeats, at most one. */
  Optional<Finding> find(Path file, long line, Print print) {
    Seen seen = byQuestion.get(print.question());
    if (seen != null) {
      return Optional.of(sameQuestion(file, line, seen, seen.answer().equals(print.answer())));
    }
    OptionalInt similar = near.find(print.words(), print.signature());
    if (similar.isEmpty()) {
      return Optional.empty();
    }
    Place place = nearPlaces.get(similar.getAsInt());
    double percent = 100 * near.similarity(similar.getAsInt(), print.words());
    String reason = "shares %.0f %% of its word triples with %s".formatted(percent, place);
    return Optional.of(
        leaks
            ? new Finding(
                file,
                line,
                Kind.NEAR_LEAK,
                "",
                reason + " of the evaluation data",
                "remove it from one of the two, else evaluation measures memory")
            : new Finding(
                file, line, Kind.NEAR_DUPLICATE, "", reason, "keep one, or make them differ"));
  }

  private Finding sameQuestion(Path file, long line, Seen seen, boolean sameAnswer) {
    if (leaks) {
      return new Finding(
          file,
          line,
          Kind.LEAK,
          "",
          "has the question of %s of the evaluation data".formatted(seen.place()),
          "remove it from one of the two, else evaluation measures memory");
    }
    return sameAnswer
        ? new Finding(
            file, line, Kind.DUPLICATE, "", "says the same as " + seen.place(), "remove one")
        : new Finding(
            file,
            line,
            Kind.CONFLICT,
            "",
            "has the question of %s with another answer".formatted(seen.place()),
            "keep the right answer, unless both are meant");
  }

  void add(Path file, long line, Print print) {
    Place place = new Place(file, line);
    byQuestion.putIfAbsent(print.question(), new Seen(place, print.answer()));
    near.add(print.words(), print.signature());
    nearPlaces.add(place);
  }

  private static Key key(String text) {
    try {
      String plain = text.strip().replaceAll("\\s+", " ");
      byte[] digest =
          MessageDigest.getInstance("MD5").digest(plain.getBytes(StandardCharsets.UTF_8));
      java.nio.ByteBuffer bits = java.nio.ByteBuffer.wrap(digest);
      return new Key(bits.getLong(), bits.getLong());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("this Java has no MD5, which every Java has", e);
    }
  }
}
