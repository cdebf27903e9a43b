package io.chorale.train.data.parquet;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * One column of one row group: for every entry its repetition and definition level, and the value
 * where the definition level is the column's largest. Read front to back; one thread.
 */
final class ColumnValues {
  private static final int DATA_PAGE = 0;
  private static final int DICTIONARY_PAGE = 2;
  private static final int DATA_PAGE_V2 = 3;

  private final Column column;
  private final Codec codec;
  private final List<int[]> repetitions = new ArrayList<>();
  private final List<int[]> definitions = new ArrayList<>();
  private final List<Object[]> values = new ArrayList<>();
  private Object[] dictionary;

  private int page;
  private int entry;
  private int value;

  private ColumnValues(Column column, Codec codec) {
    this.column = column;
    this.codec = codec;
  }

  /**
   * @param bytes the whole column chunk: its dictionary page, if any, and its data pages
   * @param entries of all pages
   * @param expanded bytes of all pages without compression, as the footer says
   */
  static ColumnValues read(
      Column column, Codec codec, ByteBuffer bytes, long entries, long expanded) {
    ColumnValues all = new ColumnValues(column, codec);
    long read = 0;
    while (read < entries) {
      ThriftStruct header = ThriftStruct.read(bytes);
      int packed = (int) header.number(3, -1);
      int whole = (int) header.number(2, -1);
      require(packed >= 0 && packed <= bytes.remaining(), column, packed, "bytes, packed");
      require(whole >= 0 && whole <= expanded, column, whole, "bytes");
      ByteBuffer page = bytes.slice(bytes.position(), packed);
      bytes.position(bytes.position() + packed);
      read += all.add(header, page, whole, entries - read);
    }
    return all;
  }

  private static void require(boolean sane, Column column, long had, String what) {
    if (!sane) {
      throw new IllegalArgumentException(
          "column %s has a page of %d %s".formatted(column.name(), had, what));
    }
  }

  private long add(ThriftStruct header, ByteBuffer page, int whole, long left) {
    switch ((int) header.number(1, -1)) {
      case DICTIONARY_PAGE -> {
        ThriftStruct dict = header.struct(7).orElseThrow();
        ByteBuffer in = codec.expand(page, whole);
        int count = (int) dict.number(1, 0);
        require(count >= 0 && count <= whole, column, count, "dictionary values");
        dictionary = new Values(column).read(in, 0, count, null);
        return 0;
      }
      case DATA_PAGE -> {
        ThriftStruct data = header.struct(5).orElseThrow();
        int count = (int) data.number(1, 0);
        require(count >= 0 && count <= left, column, count, "entries");
        ByteBuffer in = codec.expand(page, whole);
        int[] reps = levels(in, column.maxRepetition(), count);
        int[] defs = levels(in, column.maxDefinition(), count);
        return keep(reps, defs, in, (int) data.number(2, 0));
      }
      case DATA_PAGE_V2 -> {
        ThriftStruct data = header.struct(8).orElseThrow();
        int count = (int) data.number(1, 0);
        require(count >= 0 && count <= left, column, count, "entries");
        int defBytes = (int) data.number(5, 0);
        int repBytes = (int) data.number(6, 0);
        int[] reps = raw(page.slice(0, repBytes), column.maxRepetition(), count);
        int[] defs = raw(page.slice(repBytes, defBytes), column.maxDefinition(), count);
        ByteBuffer rest = page.position(repBytes + defBytes).slice();
        ByteBuffer in =
            data.flag(7, true) && rest.hasRemaining()
                ? codec.expand(rest, whole - repBytes - defBytes)
                : rest.order(ByteOrder.LITTLE_ENDIAN);
        return keep(reps, defs, in, (int) data.number(4, 0));
      }
      default -> {
        return 0; // an index page
      }
    }
  }

  private long keep(int[] reps, int[] defs, ByteBuffer in, int encoding) {
    int there = 0;
    for (int def : defs) {
      there += def == column.maxDefinition() ? 1 : 0;
    }
    repetitions.add(reps);
    definitions.add(defs);
    values.add(new Values(column).read(in, encoding, there, dictionary));
    return defs.length;
  }

  /** Levels of a first-version page: four bytes of length before them. */
  private static int[] levels(ByteBuffer in, int max, int count) {
    if (max == 0) {
      return new int[count];
    }
    int bytes = in.getInt();
    ByteBuffer levels = in.slice(in.position(), bytes);
    in.position(in.position() + bytes);
    return raw(levels, max, count);
  }

  private static int[] raw(ByteBuffer in, int max, int count) {
    return Hybrid.read(in, 32 - Integer.numberOfLeadingZeros(max), count);
  }

  /** Whether another entry is there. */
  boolean more() {
    while (page < definitions.size() && entry == definitions.get(page).length) {
      page++;
      entry = 0;
      value = 0;
    }
    return page < definitions.size();
  }

  /** The current entry's repetition level; -1 after the last. */
  int repetition() {
    return more() ? repetitions.get(page)[entry] : -1;
  }

  int definition() {
    return more() ? definitions.get(page)[entry] : -1;
  }

  /** The current entry's value, null if it has none; the next entry becomes the current one. */
  Object take() {
    if (!more()) {
      throw new IllegalArgumentException("column " + column.name() + " ends before its rows do");
    }
    boolean there = definitions.get(page)[entry] == column.maxDefinition();
    entry++;
    return there ? values.get(page)[value++] : null;
  }
}
