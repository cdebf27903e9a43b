package io.chorale.adapter;

import static io.chorale.adapter.AdapterException.Code.NO_SUCH_PATH;
import static io.chorale.adapter.AdapterException.Code.PATH_FORBIDDEN;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PathJailTest {
  @TempDir private Path temp;
  private Path root;
  private Path outside;
  private PathJail jail;

  @BeforeEach
  void rootWithOneAdapterAndASecretBesideIt() throws IOException {
    temp = temp.toRealPath();
    root = Files.createDirectories(temp.resolve("root"));
    outside = Files.createDirectories(temp.resolve("outside"));
    Files.createDirectories(root.resolve("legal"));
    Files.createDirectories(outside.resolve("secret"));
    jail = new PathJail(List.of(temp.resolve("missing-root"), root));
  }

  private AdapterException refusal(Path path) {
    return assertThrows(AdapterException.class, () -> jail.resolve(path));
  }

  @Test
  void relativePathIsFoundInTheRootThatHasIt() {
    assertEquals(root.resolve("legal"), jail.resolve(Path.of("legal")));
  }

  @Test
  void absolutePathInsideARootIsTaken() {
    assertEquals(root.resolve("legal"), jail.resolve(root.resolve("legal")));
  }

  @Test
  void missingPathInsideARootIsSaidToBeMissing() {
    assertEquals(NO_SUCH_PATH, refusal(Path.of("medical")).code());
    assertEquals(NO_SUCH_PATH, refusal(root.resolve("medical")).code());
  }

  @Test
  void dotsAreForbiddenEvenWhereTheyStayInside() {
    assertEquals(PATH_FORBIDDEN, refusal(Path.of("../outside/secret")).code());
    assertEquals(PATH_FORBIDDEN, refusal(Path.of("legal/../legal")).code());
  }

  @Test
  void answerForAnOutsidePathIsTheSameWhetherItExistsOrNot() {
    // Given
    Path there = outside.resolve("secret");
    Path notThere = outside.resolve("nothing");
    // When
    AdapterException first = refusal(there);
    AdapterException second = refusal(notThere);
    // Then
    assertEquals(PATH_FORBIDDEN, first.code());
    assertEquals(PATH_FORBIDDEN, second.code());
    assertEquals(
        first.getMessage().replace("secret", "X"), second.getMessage().replace("nothing", "X"));
  }

  @Test
  void linkThatLeadsOutIsForbiddenWhetherItsEndExistsOrNot() throws IOException {
    // Given
    Files.createSymbolicLink(root.resolve("link"), outside.resolve("secret"));
    Files.createSymbolicLink(root.resolve("dangling"), outside.resolve("nothing"));
    // When, Then
    assertEquals(PATH_FORBIDDEN, refusal(Path.of("link")).code());
    assertEquals(PATH_FORBIDDEN, refusal(Path.of("dangling")).code());
    assertEquals(PATH_FORBIDDEN, refusal(Path.of("link/nothing")).code());
    assertEquals(PATH_FORBIDDEN, refusal(root.resolve("link/nothing")).code());
  }

  @Test
  void linkThatStaysInsideIsFollowed() throws IOException {
    // Given
    Files.createSymbolicLink(root.resolve("alias"), root.resolve("legal"));
    // When
    Path real = jail.resolve(Path.of("alias"));
    // Then
    assertEquals(root.resolve("legal"), real);
  }

  @Test
  void rootThatIsItselfALinkWorks() throws IOException {
    // Given
    Path link = Files.createSymbolicLink(temp.resolve("root-link"), root);
    var linked = new PathJail(List.of(link));
    // When
    Path real = linked.resolve(link.resolve("legal"));
    // Then
    assertEquals(root.resolve("legal"), real);
    assertEquals("legal", linked.remember(real));
  }

  @Test
  void fileThatLinksOutIsForbidden() throws IOException {
    // Given
    Path secret = Files.writeString(outside.resolve("config"), "{}");
    Path link = Files.createSymbolicLink(root.resolve("legal/adapter_config.json"), secret);
    // When
    var refused = assertThrows(AdapterException.class, () -> jail.requireInside(link));
    // Then
    assertEquals(PATH_FORBIDDEN, refused.code());
  }

  @Test
  void siblingWhoseNameStartsLikeTheRootIsOutside() throws IOException {
    // Given
    Files.createDirectories(temp.resolve("root-2/legal"));
    // When
    AdapterException refused = refusal(temp.resolve("root-2/legal"));
    // Then
    assertEquals(PATH_FORBIDDEN, refused.code());
  }

  @Test
  void pathIsRememberedRelativeOnlyWhereThatLeadsBack() throws IOException {
    // Given
    Path first = Files.createDirectories(temp.resolve("first"));
    Files.createDirectories(first.resolve("legal"));
    Files.createDirectories(root.resolve("code"));
    var two = new PathJail(List.of(first, root));
    // When, Then
    assertEquals("code", two.remember(root.resolve("code")));
    assertEquals(root.resolve("legal").toString(), two.remember(root.resolve("legal")));
  }
}
