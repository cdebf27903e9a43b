package io.chorale.sched;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Finds full KV blocks by content: a block's key is (adapterKey, its token ids, its parent's
 * entry). KV depends on the adapter and on every earlier token, so a key names one content exactly;
 * hashes only choose the bucket, tokens and parents are compared.
 *
 * <p>An entry's parent is always indexed too: who holds a block holds its ancestors, and {@link
 * BlockAllocator} takes cached blocks leaf first.
 */
final class PrefixIndex {

  /** An indexed block. Equality is that of the key; the parent is compared by identity. */
  static final class Entry {
    private final int adapterKey;
    private final Entry parent;
    private final int[] tokens;
    private final int block;
    private final int hash;

    private Entry(int adapterKey, Entry parent, int[] tokens, int block) {
      this.adapterKey = adapterKey;
      this.parent = parent;
      this.tokens = tokens;
      this.block = block;
      int chained = parent == null ? adapterKey : parent.hash;
      this.hash = 0x9E3779B9 * (31 * chained + Arrays.hashCode(tokens));
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
      return other instanceof Entry entry
          && hash == entry.hash
          && adapterKey == entry.adapterKey
          && parent == entry.parent
          && Arrays.equals(tokens, entry.tokens);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }

  private final int blockTokens;
  private final Map<Entry, Entry> entries = new HashMap<>();
  private final Entry[] byBlock;

  PrefixIndex(int blocks, int blockTokens) {
    this.blockTokens = blockTokens;
    this.byBlock = new Entry[blocks];
  }

  /** The indexed block that continues {@code parent} with these tokens, or null. */
  Entry find(int adapterKey, Entry parent, int[] ids, int from) {
    return entries.get(key(adapterKey, parent, ids, from, -1));
  }

  /** Indexes a full block under its content, or returns the entry that already has it. */
  Entry register(int adapterKey, Entry parent, int[] ids, int from, int block) {
    Entry entry = key(adapterKey, parent, ids, from, block);
    Entry existing = entries.putIfAbsent(entry, entry);
    if (existing != null) {
      return existing;
    }
    byBlock[block] = entry;
    return entry;
  }

  /** The entry of a block, or null if it is not indexed. */
  Entry entry(int block) {
    return byBlock[block];
  }

  void remove(int block) {
    entries.remove(byBlock[block]);
    byBlock[block] = null;
  }

  /** Blocks indexed for this adapter. */
  List<Integer> blocksOf(int adapterKey) {
    List<Integer> blocks = new ArrayList<>();
    for (Entry entry : byBlock) {
      if (entry != null && entry.adapterKey == adapterKey) {
        blocks.add(entry.block);
      }
    }
    return blocks;
  }

  int size() {
    return entries.size();
  }

  private Entry key(int adapterKey, Entry parent, int[] ids, int from, int block) {
    return new Entry(adapterKey, parent, Arrays.copyOfRange(ids, from, from + blockTokens), block);
  }
}
