package io.chorale.app.store;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** A {@code python3} of a few shell lines that answers {@code -m pip download}, and counts. */
final class FakePython {
  private final Path folder;

  /**
   * @param body shell lines; {@code $dest} is the folder that pip was told to fill
   */
  FakePython(Path folder, String body) {
    this.folder = folder;
    try {
      Files.createDirectories(folder);
      Path script = folder.resolve("python3");
      Files.writeString(
          script,
          """
          #!/bin/sh
          echo run >> '%s'
          while [ $# -gt 0 ]; do
            [ "$1" = --dest ] && dest=$2
            shift
          done
          %s
          """
              .formatted(runs(), body));
      Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Pip that brings a wheel with one member. */
  static FakePython bringing(Path folder, String member, byte[] content) {
    Path wheel = folder.resolve("prepared.zip");
    try {
      Files.createDirectories(folder);
      try (var zip = new ZipOutputStream(Files.newOutputStream(wheel))) {
        zip.putNextEntry(new ZipEntry(member));
        zip.write(content);
        zip.closeEntry();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new FakePython(folder, "cp '%s' \"$dest/package-1-py3-none-any.whl\"".formatted(wheel));
  }

  String path() {
    return folder + ":/bin:/usr/bin";
  }

  int timesRun() {
    try {
      return Files.exists(runs()) ? Files.readAllLines(runs()).size() : 0;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path runs() {
    return folder.resolve("runs.txt");
  }

  static List<String> names(Path folder) {
    try (var files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
