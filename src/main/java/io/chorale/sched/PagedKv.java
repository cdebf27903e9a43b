package io.chorale.sched;

import java.util.ArrayList;
import java.util.List;

/**
 * The KV blocks of sequences: which they hold, which they share and what still fits. Ties {@link
 * BlockAllocator}, {@link PrefixIndex} and each sequence's {@link BlockTable} together.
 *
 * <p>Shared blocks are full and never written: a sequence writes only at and after its computed
 * tokens, and those positions lie in blocks of its own.
 */
final class PagedKv {
  private final int blockTokens;
  private final boolean prefixCache;
  private final int blocks;
  private final PrefixIndex index;
  private final BlockAllocator allocator;

  PagedKv(SchedulerOptions options) {
    blockTokens = options.blockTokens();
    prefixCache = options.prefixCache();
    blocks = options.blocks();
    index = new PrefixIndex(blocks, blockTokens);
    allocator = new BlockAllocator(blocks, index);
  }

  BlockAllocator.Counts counts() {
    return allocator.counts();
  }

  /** Indexed blocks of the sequence's prefix; at least its last token is left to compute. */
  List<PrefixIndex.Entry> cachedPrefix(Sequence sequence) {
    List<PrefixIndex.Entry> hits = new ArrayList<>();
    if (prefixCache) {
      int most = computedFrom(sequence) / blockTokens;
      PrefixIndex.Entry last = null;
      while (hits.size() < most) {
        int from = hits.size() * blockTokens;
        last = index.find(sequence.adapterKey(), last, sequence.rawTokens(), from);
        if (last == null) {
          break;
        }
        hits.add(last);
      }
    }
    return hits;
  }

  /** The first position whose logits the sequence asks for. */
  private static int computedFrom(Sequence sequence) {
    int last = sequence.length() - 1;
    return sequence.params().promptLogprobs()
        ? Math.min(last, Math.max(0, sequence.params().promptLogprobsFrom() - 1))
        : last;
  }

  int tokensOf(List<PrefixIndex.Entry> hits) {
    return hits.size() * blockTokens;
  }

  /** Positions 0 .. end-1 can be held, the first of them in {@code hits}. */
  boolean canHold(int end, List<PrefixIndex.Entry> hits) {
    int available = allocator.available();
    for (PrefixIndex.Entry hit : hits) {
      available -= allocator.isCached(hit.block()) ? 1 : 0;
    }
    return blocksFor(end) - hits.size() <= available;
  }

  /** Makes the hits the first blocks of a sequence that holds none. */
  void share(Sequence sequence, List<PrefixIndex.Entry> hits) {
    for (PrefixIndex.Entry hit : hits) {
      allocator.share(hit.block());
      sequence.blocks().append(hit.block());
      sequence.blocks().index(hit.block());
    }
  }

  /** Rows that the sequence's own blocks and all but {@code reserved} available ones can hold. */
  int rowsThatFit(Sequence sequence, int reserved) {
    int spare = Math.max(0, allocator.available() - reserved);
    return (sequence.blocks().count() + spare) * blockTokens - sequence.computedTokens();
  }

  /** The sequence's own blocks are full: its next row needs another. */
  boolean isFull(Sequence sequence) {
    return sequence.blocks().count() * blockTokens == sequence.computedTokens();
  }

  /** Takes the blocks that positions 0 .. end-1 still need. */
  void cover(Sequence sequence, int end) {
    int wanted = blocksFor(end);
    while (sequence.blocks().count() < wanted) {
      sequence.blocks().append(allocator.allocate());
    }
  }

  /**
   * Makes the full computed blocks shareable. A block whose content another sequence has indexed
   * before is given back in favour of that one.
   */
  void indexFullBlocks(Sequence sequence) {
    if (!prefixCache) {
      return;
    }
    BlockTable table = sequence.blocks();
    int full = sequence.computedTokens() / blockTokens;
    while (table.indexed() < full) {
      int at = table.indexed();
      PrefixIndex.Entry parent = at == 0 ? null : index.entry(table.id(at - 1));
      int own = table.id(at);
      int[] tokens = sequence.rawTokens();
      int key = sequence.adapterKey();
      int block = index.register(key, parent, tokens, at * blockTokens, own).block();
      table.index(block);
      if (block != own) {
        allocator.share(block);
        allocator.release(own);
      }
    }
  }

  void release(Sequence sequence) {
    sequence.blocks().release(allocator);
  }

  /** Drops the cached blocks of an adapter that no sequence uses. */
  void forget(int adapterKey) {
    allocator.forget(adapterKey);
  }

  /**
   * Checks blocks, tables and index against each other.
   *
   * @param running all sequences that may hold blocks
   * @throws IllegalStateException naming what is off
   */
  void check(List<Sequence> running) {
    int[] holders = new int[blocks];
    for (Sequence sequence : running) {
      BlockTable table = sequence.blocks();
      for (int i = 0; i < table.count(); i++) {
        holders[table.id(i)]++;
      }
    }
    allocator.check(holders);
    for (Sequence sequence : running) {
      checkTable(sequence, holders);
    }
  }

  /** Indexed blocks hold this sequence's tokens; all others are its own. */
  private void checkTable(Sequence sequence, int[] holders) {
    BlockTable table = sequence.blocks();
    if (table.count() < blocksFor(sequence.computedTokens())) {
      throw new IllegalStateException(
          "sequence %d has %d KV blocks for %d computed tokens"
              .formatted(sequence.id(), table.count(), sequence.computedTokens()));
    }
    PrefixIndex.Entry parent = null;
    for (int i = 0; i < table.count(); i++) {
      PrefixIndex.Entry entry = index.entry(table.id(i));
      boolean right =
          i < table.indexed()
              ? entry != null
                  && entry.parent() == parent
                  && entry.adapterKey() == sequence.adapterKey()
                  && entry.holds(sequence.rawTokens(), i * blockTokens)
              : entry == null && holders[table.id(i)] == 1;
      if (!right) {
        throw new IllegalStateException(
            "sequence %d takes KV block %d (index %d) for %s, which it is not"
                .formatted(
                    sequence.id(),
                    table.id(i),
                    i,
                    i < table.indexed() ? "its indexed prefix" : "its own"));
      }
      parent = entry;
    }
  }

  private int blocksFor(int tokens) {
    return (int) (((long) tokens + blockTokens - 1) / blockTokens);
  }
}
