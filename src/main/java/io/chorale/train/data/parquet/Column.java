package io.chorale.train.data.parquet;

import java.util.ArrayList;
import java.util.List;

/**
 * A node of a file's schema.
 *
 * @param meaning of a group, or of a leaf's bytes
 * @param maxRepetition repeated nodes from the root to here, itself included
 * @param maxDefinition optional or repeated nodes from the root to here, itself included
 * @param leaf its index among the leaves; -1 for a group
 * @param type Parquet's physical type of a leaf
 * @param typeLength bytes of a FIXED_LEN_BYTE_ARRAY
 */
record Column(
    String name,
    Repetition repetition,
    Meaning meaning,
    int maxRepetition,
    int maxDefinition,
    int leaf,
    int type,
    int typeLength,
    List<Column> children) {

  static final int BOOLEAN = 0;
  static final int INT32 = 1;
  static final int INT64 = 2;
  static final int INT96 = 3;
  static final int FLOAT = 4;
  static final int DOUBLE = 5;
  static final int BYTE_ARRAY = 6;
  static final int FIXED_LEN_BYTE_ARRAY = 7;

  enum Repetition {
    REQUIRED,
    OPTIONAL,
    REPEATED
  }

  enum Meaning {
    PLAIN,
    TEXT,
    LIST,
    MAP
  }

  boolean isLeaf() {
    return leaf >= 0;
  }

  /** The first leaf below, or itself. */
  Column firstLeaf() {
    return isLeaf() ? this : children.get(0).firstLeaf();
  }

  /** All leaves below, in the file's order. */
  List<Column> leaves() {
    if (isLeaf()) {
      return List.of(this);
    }
    return children.stream().flatMap(child -> child.leaves().stream()).toList();
  }

  /**
   * The tree of a flat list of SchemaElements, depth first.
   *
   * @throws IllegalArgumentException if the list is no tree
   */
  static Column tree(List<ThriftStruct> elements) {
    Builder builder = new Builder(elements);
    Column root = builder.next(0, 0, true);
    if (builder.at != elements.size()) {
      throw new IllegalArgumentException("the schema's elements make no tree");
    }
    return root;
  }

  private static final class Builder {
    private final List<ThriftStruct> elements;
    private int at;
    private int leaves;

    private Builder(List<ThriftStruct> elements) {
      this.elements = elements;
    }

    private Column next(int repetitions, int definitions, boolean root) {
      if (at == elements.size()) {
        throw new IllegalArgumentException("the schema's elements make no tree");
      }
      ThriftStruct element = elements.get(at++);
      Repetition repetition =
          root ? Repetition.REQUIRED : Repetition.values()[(int) element.number(3, 0)];
      int reps = repetitions + (repetition == Repetition.REPEATED ? 1 : 0);
      int defs = definitions + (repetition == Repetition.REQUIRED ? 0 : 1);
      int count = (int) element.number(5, 0);
      boolean group = root || !element.has(1);
      List<Column> children = new ArrayList<>();
      int leaf = group ? -1 : leaves++;
      for (int i = 0; i < count; i++) {
        children.add(next(reps, defs, false));
      }
      if (group && children.isEmpty()) {
        throw new IllegalArgumentException("group " + element.text(4) + " has no columns");
      }
      return new Column(
          element.text(4),
          repetition,
          meaning(element, group),
          reps,
          defs,
          leaf,
          (int) element.number(1, -1),
          (int) element.number(2, 0),
          List.copyOf(children));
    }

    /** From the older ConvertedType or the newer LogicalType. */
    private static Meaning meaning(ThriftStruct element, boolean group) {
      long converted = element.number(6, -1);
      ThriftStruct logical = element.struct(10).orElse(new ThriftStruct(java.util.Map.of()));
      if (group) {
        return converted == 3 || logical.has(3)
            ? Meaning.LIST
            : converted == 1 || converted == 2 || logical.has(2) ? Meaning.MAP : Meaning.PLAIN;
      }
      boolean text =
          converted == 0
              || converted == 4
              || converted == 19
              || logical.has(1)
              || logical.has(4)
              || logical.has(12);
      return text ? Meaning.TEXT : Meaning.PLAIN;
    }
  }
}
