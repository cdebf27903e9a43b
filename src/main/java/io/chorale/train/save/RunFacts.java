package io.chorale.train.save;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * {@code chorale.json}: what a program may want to know of an adapter.
 *
 * @param format 1
 * @param base what it was trained over
 * @param data what it was trained on
 * @param result how it came out
 * @param canary to check a server with
 * @param mergeAware what merge it was trained for; null for none, and not written
 * @param configuration every flag by its key
 */
public record RunFacts(
    int format,
    String name,
    String method,
    BaseFacts base,
    Data data,
    Result result,
    Canary canary,
    @JsonProperty("merge_aware") @JsonInclude(JsonInclude.Include.NON_NULL) MergeAware mergeAware,
    Map<String, String> configuration) {
  public static final int FORMAT = 1;

  /**
   * @param quantization of the linear layers in memory, such as Q4_1, NF4 or F32
   * @param chatTemplateSha256 empty without one
   */
  public record BaseFacts(
      String name,
      String fingerprint,
      String quantization,
      @JsonProperty("chat_template_sha256") String chatTemplateSha256,
      @JsonProperty("prompt_form") String promptForm) {}

  /**
   * @param sha256 of each file, by its name
   */
  public record Data(
      Map<String, String> sha256,
      int rows,
      int dropped,
      int truncated,
      long tokens,
      @JsonProperty("trained_tokens") long trainedTokens,
      @JsonProperty("eval_rows") int evalRows) {}

  /**
   * @param step of the values that were kept
   * @param steps that were made
   * @param evalLoss of the kept values, null without held-out data
   */
  public record Result(
      int step,
      int steps,
      @JsonProperty("train_loss") double trainLoss,
      @JsonProperty("eval_loss") Double evalLoss,
      @JsonProperty("eval_loss_before") Double evalLossBefore,
      @JsonProperty("trainable_parameters") long trainableParameters,
      @JsonProperty("all_parameters") long allParameters,
      double seconds,
      @JsonProperty("peak_resident_bytes") long peakResidentBytes) {}

  /**
   * Losses of the result are those of the merged model.
   *
   * @param format nf4, q4_0 or q4_1
   * @param rounding refit, keep or dither
   * @param evalLossUnmerged of the kept values over the base as it is; null without held-out data
   */
  public record MergeAware(
      String format, String rounding, @JsonProperty("eval_loss_unmerged") Double evalLossUnmerged) {

    /**
     * What an adapter's folder says; empty without {@code chorale.json}, or if it was not trained
     * for a merge.
     *
     * @throws IOException if the file is there and is no such JSON
     */
    public static Optional<MergeAware> of(Path adapter) throws IOException {
      Path facts = adapter.resolve(AdapterFolder.FACTS);
      if (!Files.isRegularFile(facts)) {
        return Optional.empty();
      }
      JsonNode stated = new ObjectMapper().readTree(facts.toFile()).path("merge_aware");
      if (!stated.isObject()) {
        return Optional.empty();
      }
      JsonNode loss = stated.path("eval_loss_unmerged");
      return Optional.of(
          new MergeAware(
              stated.path("format").asText(),
              stated.path("rounding").asText(),
              loss.isNumber() ? loss.asDouble() : null));
    }
  }
}
