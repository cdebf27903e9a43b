package io.chorale.train.data.parquet;

import io.chorale.train.data.read.Finding;
import io.chorale.train.data.read.RawRow;
import io.chorale.train.data.read.RowSource;
import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The rows of a Parquet file; a row's line is its number from 1. A damaged file is an IOException
 * naming it: pages are compressed, so nothing after the damage can be told from noise.
 */
public final class ParquetRows implements RowSource {
  private static final int MAGIC = 0x31524150; // "PAR1"
  private static final int ENCRYPTED = 0x45524150; // "PARE"
  private static final int MAX_FOOTER = 1 << 28;

  private final Path file;
  private final FileChannel channel;
  private final Column root;
  private final List<ThriftStruct> groups;
  private int group;
  private long row;
  private long bytesRead;
  private RowAssembler rows;

  /**
   * Reads the footer.
   *
   * @throws IOException if the file is no Parquet file, or encrypted
   */
  public ParquetRows(Path file) throws IOException {
    this.file = file;
    this.channel = FileChannel.open(file, StandardOpenOption.READ);
    try {
      ThriftStruct footer = footer();
      this.root = Column.tree(footer.structs(2));
      this.groups = footer.structs(4);
    } catch (IOException e) {
      channel.close();
      throw e;
    } catch (RuntimeException e) {
      channel.close();
      throw damaged(e);
    }
  }

  private ThriftStruct footer() throws IOException {
    long size = channel.size();
    ByteBuffer tail = size < 12 ? ByteBuffer.allocate(8) : bytes(size - 8, 8);
    int length = tail.getInt();
    int magic = tail.getInt();
    if (magic == ENCRYPTED) {
      throw new IOException(file + ": is encrypted; decrypt it first");
    }
    if (magic != MAGIC || length < 1 || length > Math.min(size - 12, MAX_FOOTER)) {
      throw new IOException(
          file + ": is no whole Parquet file: it does not end with a footer and PAR1");
    }
    return ThriftStruct.read(bytes(size - 8 - length, length));
  }

  private ByteBuffer bytes(long from, int length) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (channel.read(buffer, from + buffer.position()) < 0) {
        throw new IOException(file + ": ends inside a column");
      }
    }
    return buffer.flip();
  }

  @Override
  public RawRow next() throws IOException {
    try {
      while (rows == null || !rows.more()) {
        if (group == groups.size()) {
          return null;
        }
        rows = open(groups.get(group++));
      }
      row++;
      Map<String, Object> fields = rows.next();
      if (rows.badText() == null) {
        return new RawRow(row, Optional.of(fields), List.of());
      }
      Finding bad =
          new Finding(
              file,
              row,
              Finding.Kind.BAD_UTF8,
              rows.badText(),
              "holds bytes that are no UTF-8",
              "write the column as text, or remove the row");
      return new RawRow(row, Optional.empty(), List.of(bad));
    } catch (RuntimeException e) {
      throw damaged(e);
    }
  }

  private RowAssembler open(ThriftStruct rowGroup) throws IOException {
    List<Column> leaves = root.leaves();
    List<ThriftStruct> chunks = rowGroup.structs(1);
    if (chunks.size() != leaves.size()) {
      throw new IOException(
          "%s: a row group has %d columns, the schema %d"
              .formatted(file, chunks.size(), leaves.size()));
    }
    List<ColumnValues> values = new ArrayList<>();
    for (int i = 0; i < chunks.size(); i++) {
      ThriftStruct meta =
          chunks
              .get(i)
              .struct(3)
              .orElseThrow(() -> new IOException(file + ": its columns are in other files"));
      long data = meta.number(9, -1);
      long dictionary = meta.number(11, -1);
      long from = dictionary > 0 ? Math.min(dictionary, data) : data;
      long length = meta.number(7, -1);
      if (from < 0 || length < 0 || from + length > channel.size() || length > Integer.MAX_VALUE) {
        throw new IOException(
            "%s: column %s lies at %d, %d bytes, the file has %d"
                .formatted(file, leaves.get(i).name(), from, length, channel.size()));
      }
      Codec codec = codec(leaves.get(i), (int) meta.number(4, 0));
      values.add(
          ColumnValues.read(
              leaves.get(i),
              codec,
              bytes(from, (int) length),
              meta.number(5, 0),
              meta.number(6, 0)));
      bytesRead += length;
    }
    return new RowAssembler(root, values);
  }

  private Codec codec(Column column, int id) throws IOException {
    try {
      return new Codec(id);
    } catch (IllegalArgumentException e) {
      throw new IOException("%s: column %s %s".formatted(file, column.name(), e.getMessage()), e);
    }
  }

  private IOException damaged(RuntimeException e) {
    String what =
        e instanceof BufferUnderflowException || e instanceof IndexOutOfBoundsException
            ? "it ends inside a value"
            : e.getMessage();
    return new IOException(
        "%s: is damaged, or no Parquet that is read, after row %d: %s".formatted(file, row, what),
        e);
  }

  @Override
  public long bytesRead() {
    return bytesRead;
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
