package io.chorale.kernel;

/**
 * One projection of the model: {@code y = W x + bias}.
 *
 * @param bias {@code [rows]} as a matrix of one row; null if none
 * @param module its index in the {@link LoraTable}
 */
public record Linear(Weight weight, Matrix bias, int module) {}
