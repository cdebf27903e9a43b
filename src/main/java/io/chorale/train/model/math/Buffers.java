package io.chorale.train.model.math;

import io.chorale.tensor.Scope;
import io.chorale.tensor.TorchDevice;
import java.util.HashMap;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Named tensors of one element type that are made once, grow when a larger shape is wanted and are
 * reused ever after: fresh memory would be zeroed by the operating system on each use. A name's
 * contents last until the name is taken again. One thread.
 */
public final class Buffers implements AutoCloseable {
  private final TorchDevice device;
  private final ScalarType type;
  private final Map<String, Tensor> flat = new HashMap<>();

  public Buffers(TorchDevice device, ScalarType type) {
    this.device = device;
    this.type = type;
  }

  public TorchDevice device() {
    return device;
  }

  public ScalarType type() {
    return type;
  }

  /** Contiguous, contents undefined; the view belongs to the caller's scope. */
  public Tensor take(String name, long... shape) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    Tensor held = flat.get(name);
    if (held == null || held.size(0) < elements) {
      if (held != null) {
        held.close();
      }
      try (Scope scope = Scope.open()) {
        held = scope.escape(device.zeros(type, elements));
      }
      flat.put(name, held);
    }
    return held.narrow(0, 0, elements).view(shape);
  }

  /** Bytes held now. */
  public long bytes() {
    return flat.values().stream().mapToLong(t -> t.numel() * t.element_size()).sum();
  }

  /** Gives one name's memory back. */
  public void release(String name) {
    Tensor held = flat.remove(name);
    if (held != null) {
      held.close();
    }
  }

  @Override
  public void close() {
    flat.values().forEach(Tensor::close);
    flat.clear();
  }
}
