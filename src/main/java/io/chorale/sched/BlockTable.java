package io.chorale.sched;

import java.util.Arrays;

/**
 * The KV blocks of one sequence in order of position. The first {@link #indexed} of them are full,
 * in the prefix index and possibly shared; the rest belong to this sequence alone.
 */
final class BlockTable {
  private int[] ids = new int[64];
  private int count;
  private int indexed;

  int count() {
    return count;
  }

  int indexed() {
    return indexed;
  }

  int id(int index) {
    return ids[index];
  }

  /** The live array, valid up to {@link #count}. */
  int[] ids() {
    return ids;
  }

  void append(int block) {
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, count * 2);
    }
    ids[count++] = block;
  }

  /** Marks the first block that is not indexed as indexed, under {@code block}. */
  void index(int block) {
    ids[indexed++] = block;
  }

  /** Gives all blocks back, the last first: a cached block is then older than its parent. */
  void release(BlockAllocator allocator) {
    while (count > 0) {
      allocator.release(ids[--count]);
    }
    indexed = 0;
  }
}
