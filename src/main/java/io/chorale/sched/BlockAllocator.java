package io.chorale.sched;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;

/**
 * Hands out KV block ids and counts their holders. A block is in one of three places: free (holds
 * nothing), cached (no holder, kept by the {@link PrefixIndex}; free for the taking) or used (one
 * holder or more).
 *
 * <p>Cached blocks are taken least recently used first. Holders release a sequence's last block
 * first and hold every ancestor of what they hold, so a parent always becomes cached after its
 * children and the oldest cached block is always a leaf.
 */
public final class BlockAllocator {

  /** Numbers of blocks; free + cached + used = total. */
  public record Counts(int free, int cached, int used, int total) {}

  /** KV blocks in the order in which they came, each at most once; made of links between ids. */
  private static final class BlockList {
    static final int NONE = -1;

    private final int[] before;
    private final int[] after;
    private final boolean[] in;
    private int first = NONE;
    private int last = NONE;
    private int size;

    BlockList(int blocks) {
      before = new int[blocks];
      after = new int[blocks];
      in = new boolean[blocks];
      Arrays.fill(before, NONE);
      Arrays.fill(after, NONE);
    }

    int size() {
      return size;
    }

    /** The oldest, or {@link #NONE}. */
    int first() {
      return first;
    }

    /** The one that came next, or {@link #NONE}. */
    int after(int block) {
      return after[block];
    }

    void add(int block) {
      in[block] = true;
      before[block] = last;
      after[block] = NONE;
      if (last == NONE) {
        first = block;
      } else {
        after[last] = block;
      }
      last = block;
      size++;
    }

    /** False if it is not in the list. */
    boolean remove(int block) {
      if (!in[block]) {
        return false;
      }
      in[block] = false;
      int left = before[block];
      int right = after[block];
      if (left == NONE) {
        first = right;
      } else {
        after[left] = right;
      }
      if (right == NONE) {
        last = left;
      } else {
        before[right] = left;
      }
      size--;
      return true;
    }
  }

  private final PrefixIndex index;
  private final int[] holders;
  private final int[] free;
  private int freeCount;
  private final BlockList cached; // least recently used first

  BlockAllocator(int blocks, PrefixIndex index) {
    this.index = index;
    this.holders = new int[blocks];
    this.free = new int[blocks];
    this.cached = new BlockList(blocks);
    for (int block = blocks - 1; block >= 0; block--) {
      free[freeCount++] = block; // block 0 is handed out first
    }
  }

  /** Blocks that {@link #allocate} can give now. */
  int available() {
    return freeCount + cached.size();
  }

  /** A block with one holder and no content; evicts a cached one if none is free. */
  int allocate() {
    int block;
    if (freeCount > 0) {
      block = free[--freeCount];
    } else {
      block = cached.first();
      if (block == BlockList.NONE) {
        throw new IllegalStateException(
            "all %d KV blocks are used, wanted one more".formatted(holders.length));
      }
      cached.remove(block);
      index.remove(block);
    }
    holders[block] = 1;
    return block;
  }

  /** Adds a holder to an indexed block, cached or used. */
  void share(int block) {
    if (holders[block]++ == 0) {
      cached.remove(block);
    }
  }

  /** Takes a holder away; the last one's block becomes cached if it is indexed, else free. */
  void release(int block) {
    if (holders[block] == 0) {
      throw new IllegalStateException("KV block %d is released but has no holder".formatted(block));
    }
    if (--holders[block] == 0) {
      if (index.entry(block) != null) {
        cached.add(block);
      } else {
        free[freeCount++] = block;
      }
    }
  }

  /** Drops all cached blocks of an adapter, none of which may be used. */
  void forget(int adapterKey) {
    for (int block : index.blocksOf(adapterKey)) {
      if (!cached.remove(block)) {
        throw new IllegalStateException(
            "adapter %d: KV block %d has %d holders, wanted 0"
                .formatted(adapterKey, block, holders[block]));
      }
      index.remove(block);
      free[freeCount++] = block;
    }
  }

  boolean isCached(int block) {
    return holders[block] == 0 && index.entry(block) != null;
  }

  Counts counts() {
    int used = 0;
    for (int count : holders) {
      used += count > 0 ? 1 : 0;
    }
    return new Counts(freeCount, cached.size(), used, holders.length);
  }

  /**
   * Checks every block against the holders that the tables imply.
   *
   * @param expected holders per block, counted by the caller
   * @throws IllegalStateException naming the first block that is off
   */
  void check(int[] expected) {
    int[] places = new int[holders.length];
    for (int i = 0; i < freeCount; i++) {
      places[free[i]]++;
      verify(index.entry(free[i]) == null, free[i], "is free but indexed");
    }
    Set<PrefixIndex.Entry> older = new HashSet<>();
    for (int block = cached.first(); block != BlockList.NONE; block = cached.after(block)) {
      places[block]++;
      PrefixIndex.Entry entry = index.entry(block);
      verify(entry != null, block, "is cached but not indexed");
      verify(!older.contains(entry.parent()), block, "would be evicted after its parent");
      older.add(entry);
    }
    int indexed = 0;
    for (int block = 0; block < holders.length; block++) {
      if (holders[block] != expected[block]) {
        throw new IllegalStateException(
            "KV block %d has %d holders, tables hold it %d times"
                .formatted(block, holders[block], expected[block]));
      }
      places[block] += holders[block] > 0 ? 1 : 0;
      verify(places[block] == 1, block, "is in no place or in two of free, cached and used");
      indexed += checkEntry(block);
    }
    if (indexed != index.size()) {
      throw new IllegalStateException(
          "prefix index has %d keys for %d blocks".formatted(index.size(), indexed));
    }
  }

  private int checkEntry(int block) {
    PrefixIndex.Entry entry = index.entry(block);
    if (entry == null) {
      return 0;
    }
    PrefixIndex.Entry parent = entry.parent();
    if (parent != null) {
      verify(index.entry(parent.block()) == parent, block, "is indexed under an evicted parent");
      verify(parent.adapterKey() == entry.adapterKey(), block, "is under another adapter's block");
      verify(holders[parent.block()] >= holders[block], block, "has more holders than its parent");
    }
    return 1;
  }

  private static void verify(boolean holds, int block, String what) {
    if (!holds) {
      throw new IllegalStateException("KV block %d %s".formatted(block, what));
    }
  }
}
