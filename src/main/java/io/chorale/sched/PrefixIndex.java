package io.chorale.sched;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Finds full KV blocks by content: a block's key is (adapterKey, its token ids, its parent's
 * entry). KV depends on the adapter and on every earlier token, so a key names one content exactly;
 * hashes only choose the bucket, tokens and parents are compared.
 *
 * <p>An entry's parent is always indexed too: who holds a block holds its ancestors, and {@link
 * BlockAllocator} takes cached blocks leaf first. So a block's entry can serve its next content.
 */
final class PrefixIndex {

  /** What a block holds while it is indexed; each block has one entry, made when first needed. */
  static final class Entry {
    private final int block;
    private final int[] tokens;
    private int adapterKey;
    private Entry parent;
    private int hash;
    private Entry next; // in its bucket

    private Entry(int block, int blockTokens) {
      this.block = block;
      this.tokens = new int[blockTokens];
    }

    int block() {
      return block;
    }

    int adapterKey() {
      return adapterKey;
    }

    /** The entry of the block before, or null for a sequence's first block. */
    Entry parent() {
      return parent;
    }

    boolean holds(int[] ids, int from) {
      return Arrays.equals(tokens, 0, tokens.length, ids, from, from + tokens.length);
    }

    @Override
    public boolean equals(Object other) {
      return this == other;
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }

  private final int blockTokens;
  private final Entry[] buckets;
  private final int shift;
  private final Entry[] made;
  private final boolean[] indexed;
  private int size;

  PrefixIndex(int blocks, int blockTokens) {
    this.blockTokens = blockTokens;
    int bits = Integer.SIZE - Integer.numberOfLeadingZeros(Math.max(2, blocks) - 1);
    this.buckets = new Entry[1 << bits];
    this.shift = Integer.SIZE - bits;
    this.made = new Entry[blocks];
    this.indexed = new boolean[blocks];
  }

  /** The indexed block that continues {@code parent} with these tokens, or null. */
  Entry find(int adapterKey, Entry parent, int[] ids, int from) {
    return find(hash(adapterKey, parent, ids, from), adapterKey, parent, ids, from);
  }

  private Entry find(int hash, int adapterKey, Entry parent, int[] ids, int from) {
    Entry entry = buckets[hash >>> shift];
    while (entry != null
        && !(entry.hash == hash
            && entry.adapterKey == adapterKey
            && entry.parent == parent
            && entry.holds(ids, from))) {
      entry = entry.next;
    }
    return entry;
  }

  /** Indexes a full block under its content, or returns the entry that already has it. */
  Entry register(int adapterKey, Entry parent, int[] ids, int from, int block) {
    int hash = hash(adapterKey, parent, ids, from);
    Entry existing = find(hash, adapterKey, parent, ids, from);
    if (existing != null) {
      return existing;
    }
    if (made[block] == null) {
      made[block] = new Entry(block, blockTokens);
    }
    Entry entry = made[block];
    entry.adapterKey = adapterKey;
    entry.parent = parent;
    entry.hash = hash;
    System.arraycopy(ids, from, entry.tokens, 0, blockTokens);
    entry.next = buckets[hash >>> shift];
    buckets[hash >>> shift] = entry;
    indexed[block] = true;
    size++;
    return entry;
  }

  /** The entry of a block, or null if it is not indexed. */
  Entry entry(int block) {
    return indexed[block] ? made[block] : null;
  }

  void remove(int block) {
    Entry entry = made[block];
    int bucket = entry.hash >>> shift;
    if (buckets[bucket] == entry) {
      buckets[bucket] = entry.next;
    } else {
      Entry before = buckets[bucket];
      while (before.next != entry) {
        before = before.next;
      }
      before.next = entry.next;
    }
    entry.next = null;
    entry.parent = null;
    indexed[block] = false;
    size--;
  }

  /** Blocks indexed for this adapter. */
  List<Integer> blocksOf(int adapterKey) {
    List<Integer> blocks = new ArrayList<>();
    for (int block = 0; block < made.length; block++) {
      if (indexed[block] && made[block].adapterKey == adapterKey) {
        blocks.add(block);
      }
    }
    return blocks;
  }

  int size() {
    return size;
  }

  private int hash(int adapterKey, Entry parent, int[] ids, int from) {
    int content = 1;
    for (int i = from; i < from + blockTokens; i++) {
      content = 31 * content + ids[i];
    }
    int chained = parent == null ? adapterKey : parent.hash;
    return 0x9E3779B9 * (31 * chained + content);
  }
}
