package io.chorale.eval;

import java.util.Map;

/**
 * What one candidate did with one document, for the per-document file.
 *
 * @param task the test's name
 * @param document its id, or its place in the file
 * @param candidate base, an adapter or another model
 * @param promptSha256 of what the model was given, as UTF-8 text or as token ids
 * @param fields what the kind of test keeps: the answer, scores, ...
 */
public record DocumentRecord(
    String task,
    String document,
    String candidate,
    String promptSha256,
    Map<String, Object> fields) {}
