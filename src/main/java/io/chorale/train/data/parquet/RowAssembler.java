package io.chorale.train.data.parquet;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Puts the columns' entries together again to rows (Melnik et al. 2010, Dremel): an entry's
 * repetition level says which list it continues, its definition level how much of its path is
 * there. A field that is null is left out, as in JSON. Lists and maps come out as List and Map in
 * any of the layouts that writers use.
 */
final class RowAssembler {
  private final Column root;
  private final List<ColumnValues> leaves;

  /** A text's bytes are no UTF-8; the row was read to its end all the same. */
  private String badText;

  RowAssembler(Column root, List<ColumnValues> leaves) {
    this.root = root;
    this.leaves = leaves;
  }

  boolean more() {
    return leaves.get(0).more();
  }

  /** The name of a column of the last row whose text is no UTF-8; null if there is none. */
  String badText() {
    return badText;
  }

  Map<String, Object> next() {
    badText = null;
    return group(root);
  }

  private Map<String, Object> group(Column column) {
    Map<String, Object> fields = new LinkedHashMap<>();
    for (Column child : column.children()) {
      Object value = field(child);
      if (value != null) {
        fields.put(child.name(), value);
      }
    }
    return fields;
  }

  private Object field(Column column) {
    ColumnValues first = leaves.get(column.firstLeaf().leaf());
    boolean there = first.definition() >= column.maxDefinition();
    return switch (column.repetition()) {
      case REQUIRED -> there(column);
      case OPTIONAL -> there ? there(column) : absent(column);
      case REPEATED -> {
        List<Object> list = new ArrayList<>();
        if (!there) {
          absent(column);
        } else {
          do {
            list.add(there(column));
          } while (first.repetition() == column.maxRepetition());
        }
        yield list;
      }
    };
  }

  /** One entry of every column below is about what is not there. */
  private Object absent(Column column) {
    column.leaves().forEach(leaf -> leaves.get(leaf.leaf()).take());
    return null;
  }

  private Object there(Column column) {
    if (column.isLeaf()) {
      return text(column, leaves.get(column.leaf()).take());
    }
    boolean wrapped =
        column.children().size() == 1
            && column.children().get(0).repetition() == Column.Repetition.REPEATED;
    if (column.meaning() == Column.Meaning.LIST && wrapped) {
      return list(column, column.children().get(0));
    }
    if (column.meaning() == Column.Meaning.MAP
        && wrapped
        && column.children().get(0).children().size() == 2) {
      return map(column.children().get(0));
    }
    return group(column);
  }

  /** Three layers (list, element) as the format wants them, or two as older writers did. */
  private Object list(Column column, Column repeated) {
    List<?> items = (List<?>) field(repeated);
    boolean threeLayers =
        repeated.children().size() == 1
            && !repeated.name().equals("array")
            && !repeated.name().equals(column.name() + "_tuple");
    if (!threeLayers) {
      return items;
    }
    String element = repeated.children().get(0).name();
    List<Object> out = new ArrayList<>(items.size());
    items.forEach(item -> out.add(((Map<?, ?>) item).get(element)));
    return out;
  }

  private Object map(Column entries) {
    Map<String, Object> out = new LinkedHashMap<>();
    String key = entries.children().get(0).name();
    String value = entries.children().get(1).name();
    for (Object entry : (List<?>) field(entries)) {
      out.put(String.valueOf(((Map<?, ?>) entry).get(key)), ((Map<?, ?>) entry).get(value));
    }
    return out;
  }

  private Object text(Column column, Object value) {
    if (!(value instanceof ByteBuffer bytes)) {
      return value;
    }
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes.duplicate()).toString();
    } catch (CharacterCodingException e) {
      badText = column.name();
      return null;
    }
  }
}
