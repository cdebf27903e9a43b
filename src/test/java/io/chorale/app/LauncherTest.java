package io.chorale.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher script in a bare repository, with a Java and a Maven of a few shell lines. */
class LauncherTest {
  @TempDir Path temp;
  private Path repository;
  private Path bin;

  /** What a run printed, on both streams, and its exit code. */
  private record Run(int code, String output) {}

  @BeforeEach
  void lay() throws IOException {
    repository = Files.createDirectories(temp.resolve("repository"));
    bin = Files.createDirectories(temp.resolve("jdk/bin"));
    Files.createDirectories(repository.resolve("src/main/java"));
    Files.writeString(repository.resolve("pom.xml"), "<project/>");
    Files.copy(Path.of("chorale"), repository.resolve("chorale"));
    fakeJava("17");
    script("javac", "");
    script(
        "mvn",
        """
        echo "$@" >> '%1$s/maven.txt'
        folder=quarkus-app
        for a; do case $a in -Dquarkus.package.output-directory=*) folder=${a#*=};; esac; done
        mkdir -p '%1$s/target/'$folder; : > '%1$s/target/'$folder/quarkus-run.jar
        """
            .formatted(repository));
  }

  private void fakeJava(String version) throws IOException {
    script(
        "java",
        """
        if [ "$1" = -XshowSettings:properties ]; then
          echo "    java.home = %1$s" >&2
          echo "    java.specification.version = %2$s" >&2
          echo "    java.runtime.version = %2$s.0.1+2" >&2
          exit 0
        fi
        echo "java $*"
        """
            .formatted(bin.getParent(), version));
  }

  private void script(String name, String body) throws IOException {
    Path file = bin.resolve(name);
    Files.writeString(file, "#!/bin/sh\n" + body);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private Run launch(String... args) throws Exception {
    List<String> command = new ArrayList<>(List.of("sh", repository.resolve("chorale").toString()));
    command.addAll(List.of(args));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.directory(temp.toFile());
    builder.environment().clear();
    builder.environment().put("PATH", bin + ":/bin:/usr/bin");
    builder.environment().put("JAVA_HOME", bin.getParent().toString());
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes());
    return new Run(process.waitFor(), output);
  }

  private List<String> builds() throws IOException {
    Path file = repository.resolve("maven.txt");
    return Files.exists(file) ? Files.readAllLines(file) : List.of();
  }

  @Test
  void firstUseBuildsAndLaterOnesDoNot() throws Exception {
    // When
    Run first = launch("serve");
    Run second = launch("serve");
    // Then
    assertEquals(0, first.code(), first.output());
    assertTrue(first.output().contains("chorale: building"), first.output());
    assertFalse(second.output().contains("chorale: building"), second.output());
    assertEquals(1, builds().size());
    assertTrue(builds().get(0).endsWith("-DskipTests -DskipITs package"), builds().get(0));
  }

  @Test
  void newerSourceIsBuiltAgain() throws Exception {
    // Given
    launch("serve");
    Path source = repository.resolve("src/main/java/A.java");
    Files.writeString(source, "class A {}");
    Files.setLastModifiedTime(source, FileTime.from(Instant.now().plusSeconds(5)));
    // When
    launch("serve");
    // Then
    assertEquals(2, builds().size());
  }

  @Test
  void javaGetsTheFlagsThatJavaCppNeedsAndTheArgumentsAsTheyWere() throws Exception {
    // When
    Run run = launch("serve", "--model", "a b");
    // Then
    String java = run.output().lines().filter(l -> l.startsWith("java ")).findFirst().orElseThrow();
    assertTrue(java.contains(" -Dorg.bytedeco.javacpp.maxPhysicalBytes=0 "), java);
    assertTrue(java.contains(" -Dorg.bytedeco.javacpp.maxBytes=0 "), java);
    assertTrue(java.contains(" -Xmx1g "), java);
    assertTrue(java.endsWith("quarkus-run.jar serve --model a b"), java);
  }

  @Test
  void firstServerLeavesItsClassesForLaterStartsOfTheSameJavaAndBuild() throws Exception {
    // Given
    Path app = repository.resolve("target/quarkus-app");
    Path archive = app.resolve("classes-17.0.1+2.jsa");
    Run train = launch("train");
    Run first = launch("serve");
    // When
    Files.write(archive, new byte[7 << 20]);
    Run afterFailure = launch("serve");
    Files.write(archive, new byte[17 << 20]);
    Run second = launch("train");
    fakeJava("25");
    Run other = launch("serve");
    Files.setLastModifiedTime(
        repository.resolve("pom.xml"), FileTime.from(Instant.now().plusSeconds(5)));
    launch("train");
    // Then
    assertFalse(train.output().contains(".jsa"), train.output());
    assertTrue(first.output().contains("-XX:ArchiveClassesAtExit=" + archive), first.output());
    assertTrue(afterFailure.output().contains("AtExit=" + archive), afterFailure.output());
    assertTrue(second.output().contains("-XX:SharedArchiveFile=" + archive), second.output());
    assertTrue(other.output().contains("AtExit=" + app + "/classes-25.0.1+2.jsa"), other.output());
    assertFalse(Files.exists(archive), "an archive of the build before");
  }

  @Test
  void cudaIsBuiltWithItsProfileIntoAFolderOfItsOwn() throws Exception {
    // Given
    launch("serve");
    // When
    Run run = launch("serve", "--device", "cuda");
    // Then
    assertTrue(builds().get(1).startsWith("-Pcuda "), builds().toString());
    assertTrue(run.output().contains("/target/cuda/quarkus-run.jar"), run.output());
  }

  @Test
  void olderJavaIsRefusedWithItsVersion() throws Exception {
    // Given
    fakeJava("11");
    // When
    Run run = launch("serve");
    // Then
    assertEquals(1, run.code());
    assertTrue(run.output().contains("is Java 11, wanted 17 or newer"), run.output());
  }

  @Test
  void failedBuildShowsTheEndOfItsLog() throws Exception {
    // Given
    script("mvn", "echo '[ERROR] no such thing'; exit 1");
    // When
    Run run = launch("serve");
    // Then
    assertEquals(1, run.code());
    assertTrue(run.output().contains("[ERROR] no such thing"), run.output());
    assertTrue(run.output().contains("launcher-build.log"), run.output());
  }

  @Test
  void lockOfABuildThatDiedIsTakenOver() throws Exception {
    // Given
    Process dead = new ProcessBuilder("true").start();
    dead.waitFor();
    Files.createDirectories(repository.resolve("target/launcher.lock"));
    Files.writeString(repository.resolve("target/launcher.lock/pid"), dead.pid() + "\n");
    // When
    Run run = launch("serve");
    // Then
    assertEquals(0, run.code(), run.output());
    assertEquals(1, builds().size());
  }
}
