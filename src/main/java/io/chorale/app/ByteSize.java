package io.chorale.app;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A number of bytes that a person writes with its unit: {@code 512MiB}, {@code 2g}, {@code 4096}.
 */
public final class ByteSize {
  private static final Pattern FORM =
      Pattern.compile("(\\d{1,18})\\s*(?:([kmgt])(?:i?b)?|b)?", Pattern.CASE_INSENSITIVE);

  private ByteSize() {}

  /**
   * Units are powers of 1024, with or without the {@code i}.
   *
   * @throws IllegalArgumentException if the text is no size or does not fit in a long
   */
  public static long parse(String text) {
    Matcher matcher = FORM.matcher(text.strip());
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "'%s' is no size, wanted a whole number with a unit, such as 512MiB or 2GiB"
              .formatted(text));
    }
    long value = Long.parseLong(matcher.group(1));
    String unit = matcher.group(2);
    long factor = unit == null ? 1 : 1L << 10 * (1 + "kmgt".indexOf(unit.toLowerCase(Locale.ROOT)));
    if (value > Long.MAX_VALUE / factor) {
      throw new IllegalArgumentException("'%s' is more bytes than a long holds".formatted(text));
    }
    return value * factor;
  }
}
