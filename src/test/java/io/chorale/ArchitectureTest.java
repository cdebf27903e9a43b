package io.chorale;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

/** The dependency drawing of docs/architecture.md, as rules. */
class ArchitectureTest {
  private static final String ROOT = "io.chorale.";

  /** From the ground up: a package may see those of lower floors only; the ground floor nobody. */
  private static final List<List<String>> FLOORS =
      List.of(
          List.of("quant", "format", "text", "sched", "tensor"),
          List.of("kernel"),
          List.of("lora"),
          List.of("model"),
          List.of("engine"),
          List.of("adapter"),
          List.of("serve", "train", "eval"),
          List.of("app"));

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.chorale");

  @Test
  void packagesAreFreeOfCycles() {
    slices().matching("io.chorale.(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void everyPackageStandsOnAFloor() {
    List<String> known = FLOORS.stream().flatMap(List::stream).toList();
    List<String> homeless =
        CLASSES.stream()
            .map(c -> c.getPackageName())
            .filter(p -> !known.contains(p.substring(ROOT.length()).split("\\.")[0]))
            .distinct()
            .toList();
    assertTrue(homeless.isEmpty(), "packages without a floor in ArchitectureTest: " + homeless);
  }

  @TestFactory
  Stream<DynamicTest> noPackageSeesItsOwnFloorsNeighboursOrHigherFloors() {
    List<DynamicTest> tests = new ArrayList<>();
    for (int floor = 0; floor < FLOORS.size(); floor++) {
      for (String seer : FLOORS.get(floor)) {
        List<String> forbidden = new ArrayList<>();
        // TensorType of quant is format's element type, so the ground floor is held by the cycle
        // rule.
        if (floor > 0) {
          FLOORS.get(floor).stream().filter(p -> !p.equals(seer)).forEach(forbidden::add);
        }
        FLOORS.stream().skip(floor + 1L).forEach(forbidden::addAll);
        tests.add(rule(seer, forbidden));
      }
    }
    return tests.stream();
  }

  @TestFactory
  Stream<DynamicTest> roomsThatStayBlindToEachOther() {
    return Stream.of(
        rule("serve", List.of("tensor", "kernel", "lora", "model", "org.bytedeco")),
        rule("sched", List.of("org.bytedeco", "io.quarkus", "io.vertx")),
        rule("text", List.of("org.bytedeco", "io.quarkus", "io.vertx")),
        rule("format", List.of("org.bytedeco", "io.quarkus", "io.vertx")),
        rule("quant", List.of("org.bytedeco", "io.quarkus", "io.vertx")),
        rule("engine", List.of("io.quarkus", "io.vertx", "jakarta")),
        rule("train", List.of("engine", "adapter", "serve")));
  }

  @Test
  void nobodySeesTheRoof() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.chorale.app..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("io.chorale.app..")
        .allowEmptyShould(true)
        .check(CLASSES);
  }

  @Test
  void onlyTensorAndKernelTouchPointerScopesAndLoaders() {
    noClasses()
        .that(
            DescribedPredicate.not(
                resideInAnyPackage("io.chorale.tensor..", "io.chorale.kernel..")))
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("org.bytedeco.javacpp.PointerScope")
        .orShould()
        .dependOnClassesThat()
        .haveFullyQualifiedName("org.bytedeco.javacpp.Loader")
        .allowEmptyShould(true)
        .check(CLASSES);
  }

  private static DynamicTest rule(String seer, List<String> forbidden) {
    String[] packages =
        forbidden.stream()
            .map(p -> (p.contains(".") || p.equals("jakarta") ? p : ROOT + p) + "..")
            .toArray(String[]::new);
    ArchRule rule =
        noClasses()
            .that()
            .resideInAPackage(ROOT + seer + "..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(packages)
            .allowEmptyShould(true); // a package that is not written yet
    return DynamicTest.dynamicTest(seer + " never sees " + forbidden, () -> rule.check(CLASSES));
  }
}
