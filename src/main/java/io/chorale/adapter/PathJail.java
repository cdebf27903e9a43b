package io.chorale.adapter;

import static io.chorale.adapter.AdapterException.Code.NO_SUCH_PATH;
import static io.chorale.adapter.AdapterException.Code.PATH_FORBIDDEN;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Keeps adapter paths inside the adapter roots. A path may be relative to a root or absolute; what
 * counts is where it leads after all symbolic links. For anything that leads outside the answer is
 * the same whether it exists or not. Stateless; any thread.
 */
final class PathJail {
  private final List<Path> roots;

  PathJail(List<Path> roots) {
    this.roots = roots.stream().map(r -> r.toAbsolutePath().normalize()).toList();
  }

  List<Path> roots() {
    return roots;
  }

  /**
   * The real path of an existing file or folder inside a root.
   *
   * @throws AdapterException PATH_FORBIDDEN or NO_SUCH_PATH
   */
  Path resolve(Path requested) {
    for (Path part : requested) {
      if (part.toString().equals("..")) {
        throw forbidden(requested);
      }
    }
    for (Path candidate : candidates(requested)) {
      Optional<Path> real = real(candidate);
      if (real.isPresent()) {
        return inside(real.get()).orElseThrow(() -> forbidden(requested));
      }
      refuseLinkOut(candidate, requested);
    }
    if (requested.isAbsolute() && roots.stream().noneMatch(requested.normalize()::startsWith)) {
      throw forbidden(requested);
    }
    throw new AdapterException(
        NO_SUCH_PATH, "no adapter at '" + requested + "' in the adapter roots");
  }

  /** The same check for a file that the loader is about to open. */
  void requireInside(Path file) {
    if (real(file).flatMap(this::inside).isEmpty()) {
      throw forbidden(file.getFileName());
    }
  }

  /** How to remember the path: relative to its root where that is unambiguous. */
  String remember(Path real) {
    for (Path root : roots) {
      Optional<Path> realRoot = real(root);
      if (realRoot.isPresent() && real.startsWith(realRoot.get())) {
        Path relative = realRoot.get().relativize(real);
        boolean same =
            !relative.toString().isEmpty()
                && candidates(relative).stream()
                    .flatMap(c -> real(c).stream())
                    .findFirst()
                    .filter(real::equals)
                    .isPresent();
        return same ? relative.toString() : real.toString();
      }
    }
    return real.toString();
  }

  private List<Path> candidates(Path requested) {
    if (requested.isAbsolute()) {
      return List.of(requested);
    }
    List<Path> all = new ArrayList<>();
    for (Path root : roots) {
      all.add(root.resolve(requested));
    }
    return all;
  }

  private Optional<Path> inside(Path real) {
    return roots.stream()
        .flatMap(root -> real(root).stream())
        .filter(real::startsWith)
        .findFirst()
        .map(root -> real);
  }

  /** A missing path behind a link that leads out must not look different from one that is there. */
  private void refuseLinkOut(Path candidate, Path requested) {
    Optional<Path> root = roots.stream().filter(candidate::startsWith).findFirst();
    if (root.isEmpty()) {
      return;
    }
    Path walked = root.get();
    for (Path part : root.get().relativize(candidate)) {
      walked = walked.resolve(part);
      if (!Files.exists(walked, LinkOption.NOFOLLOW_LINKS)) {
        return;
      }
      if (real(walked).flatMap(this::inside).isEmpty()) {
        throw forbidden(requested);
      }
    }
  }

  private static Optional<Path> real(Path path) {
    try {
      return Optional.of(path.toRealPath());
    } catch (IOException e) {
      return Optional.empty(); // not there, or not ours to read: the same to a client
    }
  }

  private static AdapterException forbidden(Path requested) {
    return new AdapterException(
        PATH_FORBIDDEN,
        "'"
            + requested
            + "' is not inside an adapter root; start the server with --adapter-root for its folder");
  }
}
