package io.chorale.engine;

import java.util.List;

/**
 * Counters and gauges of the engine; counters grow from start-up.
 *
 * @param alive the engine thread runs
 * @param waitingSequences not yet admitted, or preempted
 * @param runningSequences holding KV blocks
 * @param freeBlocks KV blocks that hold nothing
 * @param cachedBlocks KV blocks kept only for the prefix cache (free for the taking)
 * @param usedBlocks KV blocks held by running sequences; free + cached + used = total
 * @param totalBlocks all KV blocks
 * @param blockTokens positions per block
 * @param maxLoras adapters that fit in the batch's loraSlots
 * @param residentAdapterKeys adapters in a loraSlot now
 * @param runningAdapterKeys adapters of running sequences
 * @param waitingAdapterKeys adapters of waiting sequences
 * @param steps engine iterations
 * @param promptTokens computed prompt tokens
 * @param cachedPromptTokens prompt tokens taken from the prefix cache
 * @param generatedTokens sampled tokens
 * @param draftedTokens guessed next tokens that a step computed
 * @param acceptedDraftTokens those of them that were sampled
 * @param preemptions sequences sent back to waiting
 * @param failedSteps steps that ended in an error
 * @param lastStepMs duration of the last step
 */
public record EngineStats(
    boolean alive,
    int waitingSequences,
    int runningSequences,
    int freeBlocks,
    int cachedBlocks,
    int usedBlocks,
    int totalBlocks,
    int blockTokens,
    int maxLoras,
    List<Integer> residentAdapterKeys,
    List<Integer> runningAdapterKeys,
    List<Integer> waitingAdapterKeys,
    long steps,
    long promptTokens,
    long cachedPromptTokens,
    long generatedTokens,
    long draftedTokens,
    long acceptedDraftTokens,
    long preemptions,
    long failedSteps,
    double lastStepMs) {}
