package io.chorale.train.data;

import io.chorale.text.ChatPrompt;
import io.chorale.text.TemplateException;
import io.chorale.text.Tokenizer;
import io.chorale.train.data.read.Finding.Kind;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Conversation to ids and labels. Only answers are trained on, each with its end-of-turn token;
 * plain text is trained on whole, with an end token after it.
 *
 * <p>Chat template: answer {@code i} is what {@code render(0..i)} has beyond {@code render(0..i-1,
 * add_generation_prompt)}, up to its last end token. Both renderings must be beginnings of the
 * whole conversation's; a template for which they are not (one that rewrites earlier turns) would
 * train on a prompt that the server never makes, and is refused for that row, naming the turn. A
 * token that begins in the prompt and ends in the answer is trained on, as in transformers.
 *
 * <p>Instruction form: prompt and answer are encoded apart, as a server that completes the prompt
 * sees them, and every answer is followed by an end token.
 *
 * <p>Spellings of control tokens in the data stay text. Cost: two renderings an answer. Any thread.
 */
public final class SftEncoder {
  private final Source source;
  private final PromptForm form;
  private final int maxTokens;

  /**
   * What the base model says about text.
   *
   * @param chatPrompt null if the model has no chat template
   * @param endTokenIds tokens that end an answer, at least one
   * @param addBos texts outside the chat template start with {@code bosTokenId}
   */
  public record Source(
      Tokenizer tokenizer,
      ChatPrompt chatPrompt,
      Set<Integer> endTokenIds,
      boolean addBos,
      int bosTokenId) {
    public Source {
      if (endTokenIds.isEmpty()) {
        throw new IllegalArgumentException(
            "the model names no end token, wanted at least one; without it no answer ever ends");
      }
      endTokenIds = Set.copyOf(endTokenIds);
    }

    private int end() {
      return endTokenIds.stream().mapToInt(Integer::intValue).min().orElseThrow();
    }
  }

  /**
   * @param maxTokens longest example, in tokens; what is longer is cut at the end and says so
   * @throws IllegalArgumentException if the chat template is asked for and there is none
   */
  public SftEncoder(Source source, PromptForm form, int maxTokens) {
    if (form == PromptForm.CHAT_TEMPLATE && source.chatPrompt() == null) {
      throw new IllegalArgumentException(
          "the model has no chat template; --prompt-form instruction needs none");
    }
    if (maxTokens < 2) {
      throw new IllegalArgumentException("max-seq-length is " + maxTokens + ", wanted at least 2");
    }
    this.source = source;
    this.form = form;
    this.maxTokens = maxTokens;
  }

  /**
   * @throws UntrainableException if the template refuses the conversation, or answers cannot be
   *     told apart, or a text has half a character in it
   */
  public SftExample encode(Conversation conversation) throws UntrainableException {
    try {
      if (conversation.text() != null) {
        return plain(conversation.text());
      }
      return form == PromptForm.CHAT_TEMPLATE ? chat(conversation) : instruction(conversation);
    } catch (IllegalArgumentException e) { // Tokenizer's, for lone surrogates
      throw new UntrainableException(
          Kind.LONE_SURROGATE, "", e.getMessage(), "write the whole character, or remove it");
    }
  }

  private SftExample plain(String text) {
    Growing example = new Growing();
    begin(example);
    example.add(source.tokenizer().encode(text, false), true);
    example.add(new int[] {source.end()}, true);
    return example.cut(maxTokens);
  }

  private SftExample instruction(Conversation conversation) {
    Growing example = new Growing();
    begin(example);
    for (int i = 0; i < conversation.messages().size(); i++) {
      if (conversation.isAnswer(i)) {
        String prompt = PromptForm.instructionText(conversation, i);
        example.add(source.tokenizer().encode(prompt, false), false);
        String answer = String.valueOf(conversation.messages().get(i).get("content"));
        example.add(source.tokenizer().encode(answer, false), true);
        example.add(new int[] {source.end()}, true);
      }
    }
    return example.cut(maxTokens);
  }

  private void begin(Growing example) {
    if (source.addBos()) {
      example.add(new int[] {source.bosTokenId()}, false);
    }
  }

  private SftExample chat(Conversation conversation) throws UntrainableException {
    int turns = conversation.messages().size();
    int[] all = render(conversation, turns, false);
    int[] labels = new int[all.length];
    Arrays.fill(labels, SftExample.IGNORE_INDEX);
    int unended = -1;
    for (int i = 0; i < turns; i++) {
      if (conversation.isAnswer(i)) {
        int start = shared(all, render(conversation, i, true), i, "before");
        int[] through = i == turns - 1 ? all : render(conversation, i + 1, false);
        int end = shared(all, through, i, "with");
        int ended = afterEndToken(all, start, end);
        unended = ended < 0 && unended < 0 ? i : unended;
        end = ended < 0 ? end : ended;
        System.arraycopy(all, start, labels, start, end - start);
      }
    }
    int kept = Math.min(all.length, maxTokens);
    return new SftExample(
        Arrays.copyOf(all, kept), Arrays.copyOf(labels, kept), all.length, unended);
  }

  private int[] render(Conversation conversation, int turns, boolean addGenerationPrompt)
      throws UntrainableException {
    List<Map<String, Object>> messages = conversation.messages().subList(0, turns);
    try {
      return source
          .chatPrompt()
          .encode(messages, conversation.tools(), addGenerationPrompt, Map.of());
    } catch (TemplateException e) {
      throw new UntrainableException(
          Kind.TEMPLATE,
          "messages[" + (turns - 1) + "]",
          "the chat template fails: " + e.getMessage(),
          "change the conversation, or use --prompt-form instruction");
    }
  }

  /** How many tokens of the whole are those of one of its beginnings. */
  private int shared(int[] all, int[] beginning, int turn, String side)
      throws UntrainableException {
    int same = Arrays.mismatch(all, beginning);
    if (same < 0 || same == beginning.length) {
      return beginning.length;
    }
    Tokenizer tokenizer = source.tokenizer();
    boolean textHolds =
        tokenizer
            .decode(Arrays.copyOfRange(all, same, all.length), false)
            .startsWith(
                tokenizer.decode(Arrays.copyOfRange(beginning, same, beginning.length), false));
    if (textHolds) { // a token reaches over the border
      return same;
    }
    throw new UntrainableException(
        Kind.TEMPLATE,
        "messages[" + turn + "]",
        "the chat template writes what stands %s this turn otherwise once more turns follow, at token %d"
            .formatted(side, same),
        "make one row of each answer, with the turns before it, or use --prompt-form instruction");
  }

  /** Index after the last end token in [start, end), if only blanks follow it; else -1. */
  private int afterEndToken(int[] ids, int start, int end) {
    for (int i = end - 1; i >= start; i--) {
      if (source.endTokenIds().contains(ids[i])) {
        String rest = source.tokenizer().decode(Arrays.copyOfRange(ids, i + 1, end), false);
        return rest.isBlank() ? i + 1 : -1;
      }
    }
    return -1;
  }

  /** Ids and labels that grow by pieces. */
  private static final class Growing {
    private int[] ids = new int[256];
    private int[] labels = new int[256];
    private int size;

    void add(int[] piece, boolean trained) {
      if (size + piece.length > ids.length) {
        int wanted = Math.max(2 * ids.length, size + piece.length);
        ids = Arrays.copyOf(ids, wanted);
        labels = Arrays.copyOf(labels, wanted);
      }
      System.arraycopy(piece, 0, ids, size, piece.length);
      if (trained) {
        System.arraycopy(piece, 0, labels, size, piece.length);
      } else {
        Arrays.fill(labels, size, size + piece.length, SftExample.IGNORE_INDEX);
      }
      size += piece.length;
    }

    SftExample cut(int maxTokens) {
      int kept = Math.min(size, maxTokens);
      return new SftExample(Arrays.copyOf(ids, kept), Arrays.copyOf(labels, kept), size, -1);
    }
  }
}
