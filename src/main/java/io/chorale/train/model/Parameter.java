package io.chorale.train.model;

import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.Arrays;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * One trained tensor and its gradient, both float32, contiguous, on the model's device, and valid
 * until the model closes. The optimizer writes {@link #value} in place between two calls of the
 * model; gradients accumulate in {@link #grad}. The trainer's thread.
 */
public final class Parameter implements AutoCloseable {
  /** What a parameter is; optimizers decay and scale by it. */
  public enum Kind {
    /** lora_A [rank, in], or lora_embedding_A [rank, vocab]. */
    LORA_A,
    /** lora_B [out, rank], or lora_embedding_B [hidden, rank]. */
    LORA_B,
    /** DoRA's m [out]. */
    MAGNITUDE,
    /** A whole weight [out, in] or bias [out]. */
    DENSE,
    /** An RMSNorm's weight. */
    NORM
  }

  private final String key;
  private final Kind kind;
  private final long[] shape;
  private final Tensor value;
  private final Tensor grad;

  /** A zeroed parameter with a zeroed gradient; close it. */
  Parameter(String key, Kind kind, TorchDevice device, long... shape) {
    this.key = key;
    this.kind = kind;
    this.shape = shape.clone();
    try (Scope scope = Scope.open()) {
      this.value = scope.escape(device.zeros(ScalarType.Float, shape));
      this.grad = scope.escape(device.zeros(ScalarType.Float, shape));
    }
  }

  /**
   * Its name in {@code adapter_model.safetensors}, such as {@code
   * base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight}; in full fine-tuning its name
   * in transformers.
   */
  public String key() {
    return key;
  }

  public Kind kind() {
    return kind;
  }

  public long[] shape() {
    return shape.clone();
  }

  public long elements() {
    return Arrays.stream(shape).reduce(1, (a, b) -> a * b);
  }

  public Tensor value() {
    return value;
  }

  public Tensor grad() {
    return grad;
  }

  @Override
  public void close() {
    value.close();
    grad.close();
  }
}
