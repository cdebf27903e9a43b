package io.chorale;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.SourcePositions;
import com.sun.source.util.TreeScanner;
import com.sun.source.util.Trees;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** One source file of the repository, parsed by the JDK's own compiler but not resolved. */
final class JavaSource {
  private final String path;
  private final CompilationUnitTree unit;
  private final SourcePositions positions;
  private final String text;
  private final List<ClassTree> types = new ArrayList<>();
  private final List<MethodTree> methods = new ArrayList<>();
  private final Set<MethodTree> ofRecords = new HashSet<>();

  private JavaSource(Path root, CompilationUnitTree unit, SourcePositions positions) {
    Path file = Path.of(unit.getSourceFile().toUri());
    this.path = root.relativize(file).toString().replace('\\', '/');
    this.unit = unit;
    this.positions = positions;
    try {
      this.text = Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    new TreeScanner<Void, ClassTree>() {
      @Override
      public Void visitClass(ClassTree type, ClassTree outer) {
        types.add(type);
        return super.visitClass(type, type);
      }

      @Override
      public Void visitMethod(MethodTree method, ClassTree owner) {
        methods.add(method);
        if (owner.getKind() == Tree.Kind.RECORD) {
          ofRecords.add(method);
        }
        return super.visitMethod(method, owner);
      }
    }.scan(unit, null);
  }

  /** All files below src/main/java and src/test/java. */
  static List<JavaSource> all() {
    Path root = Path.of("src").toAbsolutePath();
    JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
    try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
        Stream<Path> found = Files.walk(root)) {
      List<Path> paths = found.filter(p -> p.toString().endsWith(".java")).sorted().toList();
      var task =
          (JavacTask)
              compiler.getTask(
                  null, files, null, List.of(), null, files.getJavaFileObjectsFromPaths(paths));
      SourcePositions positions = Trees.instance(task).getSourcePositions();
      List<JavaSource> sources = new ArrayList<>();
      for (CompilationUnitTree unit : task.parse()) {
        sources.add(new JavaSource(root, unit, positions));
      }
      return sources;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Below {@code src}, with forward slashes. */
  String path() {
    return path;
  }

  String packageName() {
    return unit.getPackageName() == null ? "" : unit.getPackageName().toString();
  }

  String text() {
    return text;
  }

  int lines() {
    return (int) text.lines().count();
  }

  /** With annotations, without the doc comment. */
  int lines(MethodTree method) {
    long start = positions.getStartPosition(unit, method);
    long end = positions.getEndPosition(unit, method);
    return end < 0 // a record's implicit parts have no place in the text
        ? 0
        : (int) (unit.getLineMap().getLineNumber(end) - unit.getLineMap().getLineNumber(start) + 1);
  }

  /** Nested ones too, in the order of the text. */
  List<ClassTree> types() {
    return types;
  }

  List<ClassTree> topLevel() {
    return types.stream().filter(unit.getTypeDecls()::contains).toList();
  }

  List<MethodTree> methods() {
    return methods;
  }

  boolean isRecord(MethodTree method) {
    return ofRecords.contains(method);
  }
}
