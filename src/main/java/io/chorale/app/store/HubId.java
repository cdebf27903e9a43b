package io.chorale.app.store;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What to bring from a model hub: {@code org/name}, {@code org/name@revision}, or one GGUF file of
 * it, {@code org/name/file.gguf}.
 *
 * @param file empty is the folder of safetensors
 */
record HubId(String org, String name, String revision, Optional<String> file) {
  private static final String WORD = "[A-Za-z0-9][A-Za-z0-9._-]*";
  private static final Pattern FORM =
      Pattern.compile("(%s)/(%s)(?:@(%s))?(?:/(%s\\.gguf))?".formatted(WORD, WORD, WORD, WORD));

  static Optional<HubId> parse(String text) {
    Matcher matcher = FORM.matcher(text);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    String revision = matcher.group(3) == null ? "main" : matcher.group(3);
    return Optional.of(
        new HubId(
            matcher.group(1), matcher.group(2), revision, Optional.ofNullable(matcher.group(4))));
  }

  /** Folder name in the cache; no two ids share one. */
  String folder() {
    return org + "--" + name + "@" + revision;
  }

  /** Path below the hub's endpoint of one file. */
  String path(String fileName) {
    return "/" + org + "/" + name + "/resolve/" + revision + "/" + fileName;
  }

  @Override
  public String toString() {
    return org + "/" + name + "@" + revision + file.map(f -> "/" + f).orElse("");
  }
}
