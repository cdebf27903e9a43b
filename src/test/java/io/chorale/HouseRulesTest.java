package io.chorale;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import com.sun.source.tree.MethodTree;
import com.sun.source.tree.ModifiersTree;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiConsumer;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Caps on sizes and rules on names, read off the sources. An exception carries its reason. */
class HouseRulesTest {
  private static final int FILE_LINES = 400;
  private static final int METHOD_LINES = 60;
  private static final int KERNEL_METHOD_LINES = 90;
  private static final int TYPES_PER_PACKAGE = 15;
  private static final int PARAMETERS = 7;

  private static final Pattern FORBIDDEN_TYPE =
      Pattern.compile(".*(Manager|Helper|Helpers|Util|Utils|Base|Impl)|Abstract[A-Z].*");
  private static final Pattern GETTER = Pattern.compile("get[A-Z].*");

  /**
   * What may break a cap: {@code path below src} for a file, {@code path#method} for a method,
   * {@code package} for a count of types; the value is the reason.
   */
  private static final Map<String, String> ALLOWED =
      Map.of("io.chorale.kernel", "Ops is sealed, so its implementations live in its package");

  private static final List<JavaSource> SOURCES = JavaSource.all();

  @Test
  void noFileIsLongerThanItsCap() {
    check(
        (source, problems) -> {
          if (source.lines() > FILE_LINES) {
            problems.put(
                source.path(), "%d lines, at most %d".formatted(source.lines(), FILE_LINES));
          }
        });
  }

  @Test
  void noMethodIsLongerThanItsCap() {
    check(
        (source, problems) ->
            source
                .methods()
                .forEach(
                    method -> {
                      int cap =
                          source.packageName().startsWith("io.chorale.kernel")
                              ? KERNEL_METHOD_LINES
                              : METHOD_LINES;
                      if (source.lines(method) > cap) {
                        problems.put(
                            at(source, method),
                            "%d lines, at most %d".formatted(source.lines(method), cap));
                      }
                    }));
  }

  @Test
  void noMethodTakesMoreThanSevenParametersUnlessItIsARecordsConstructor() {
    check(
        (source, problems) ->
            source.methods().stream()
                .filter(m -> m.getParameters().size() > PARAMETERS)
                .filter(m -> !(m.getReturnType() == null && source.isRecord(m)))
                .forEach(
                    m ->
                        problems.put(
                            at(source, m),
                            "%d parameters, at most %d, else a record"
                                .formatted(m.getParameters().size(), PARAMETERS))));
  }

  @Test
  void noPackageHoldsMoreThanFifteenTypes() {
    Map<String, String> problems = new TreeMap<>();
    main().stream()
        .collect(
            Collectors.groupingBy(
                JavaSource::packageName, Collectors.summingInt(s -> s.topLevel().size())))
        .forEach(
            (name, types) -> {
              if (types > TYPES_PER_PACKAGE) {
                problems.put(name, "%d types, at most %d".formatted(types, TYPES_PER_PACKAGE));
              }
            });
    assertNone(problems);
  }

  @Test
  void everyPackageIsDescribed() {
    TreeSet<String> packages = new TreeSet<>();
    main().forEach(s -> packages.add(s.packageName()));
    main().stream()
        .filter(s -> s.path().endsWith("/package-info.java") && s.text().contains("/**"))
        .forEach(s -> packages.remove(s.packageName()));
    assertEquals(new TreeSet<>(), packages, "packages without a documented package-info.java");
  }

  @Test
  void noTypeHasANameThatSaysNothing() {
    check(
        (source, problems) ->
            source.types().stream()
                .map(type -> type.getSimpleName().toString())
                .filter(name -> FORBIDDEN_TYPE.matcher(name).matches())
                .forEach(name -> problems.put(source.path() + "#" + name, "forbidden name")));
  }

  @Test
  void noMethodOfOursStartsWithGetUnlessSomeoneElseNamedIt() {
    check(
        (source, problems) ->
            source.methods().stream()
                .filter(m -> GETTER.matcher(m.getName()).matches())
                .filter(m -> !hasAnnotation(m.getModifiers(), "Override"))
                .forEach(m -> problems.put(at(source, m), "get prefix")));
  }

  @Test
  void noTestIsSwitchedOff() {
    List<String> off = new ArrayList<>();
    for (JavaSource source : SOURCES) {
      source.methods().forEach(m -> addIfDisabled(off, at(source, m), m.getModifiers()));
      source.types().forEach(t -> addIfDisabled(off, source.path(), t.getModifiers()));
    }
    assertEquals(List.of(), off, "tests that are switched off");
  }

  @Test
  void everySourceIsLookedAt() {
    assertFalse(main().isEmpty(), "no source below src/main/java was found");
  }

  private static void addIfDisabled(List<String> off, String where, ModifiersTree modifiers) {
    if (hasAnnotation(modifiers, "Disabled")) {
      off.add(where);
    }
  }

  private static boolean hasAnnotation(ModifiersTree modifiers, String name) {
    return modifiers.getAnnotations().stream()
        .anyMatch(a -> a.getAnnotationType().toString().equals(name));
  }

  private static List<JavaSource> main() {
    return SOURCES.stream().filter(s -> s.path().startsWith("main/")).toList();
  }

  private static String at(JavaSource source, MethodTree method) {
    return source.path() + "#" + method.getName();
  }

  private static void check(BiConsumer<JavaSource, Map<String, String>> rule) {
    Map<String, String> problems = new TreeMap<>();
    SOURCES.forEach(source -> rule.accept(source, problems));
    assertNone(problems);
  }

  private static void assertNone(Map<String, String> problems) {
    problems.keySet().removeAll(ALLOWED.keySet());
    assertEquals(new TreeMap<>(), problems);
  }
}
