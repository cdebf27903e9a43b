package io.chorale.tensor;

import java.util.Locale;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Device;
import org.bytedeco.pytorch.DeviceOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Where libtorch keeps tensors, and how host arrays get there and back. Tensors made here belong to
 * the open {@link Scope}. Any thread.
 */
public enum TorchDevice {
  CPU,
  CUDA;

  /**
   * @throws IllegalArgumentException if the name is unknown or this process has no such device
   */
  public static TorchDevice parse(String name) {
    TorchDevice device;
    try {
      device = valueOf(name.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("device is '%s', wanted cpu or cuda".formatted(name), e);
    }
    if (device == CUDA && !torch.cuda_is_available()) {
      throw new IllegalArgumentException(
          "device is 'cuda', but libtorch sees no CUDA device: build with -Pcuda (./chorale serve"
              + " --device cuda does), check the NVIDIA driver, or use --device cpu");
    }
    return device;
  }

  /** Sets libtorch's threads within one operation. Process-wide. */
  public static void threads(int intraOp) {
    torch.set_num_threads(intraOp);
  }

  /** A zeroed tensor. */
  public Tensor zeros(ScalarType type, long... shape) {
    return torch.zeros(shape, options(type));
  }

  /** Row-major float32. */
  public Tensor floats(float[] values, long... shape) {
    Tensor host = torch.zeros(shape, new TensorOptions(ScalarType.Float));
    host.data_ptr_float().put(values, 0, values.length);
    return here(host);
  }

  /** One dimension of int64. */
  public Tensor longs(long[] values) {
    Tensor host = torch.zeros(new long[] {values.length}, new TensorOptions(ScalarType.Long));
    if (values.length > 0) { // an empty tensor has no address
      new LongPointer(host.data_ptr()).put(values, 0, values.length);
    }
    return here(host);
  }

  /** Row-major uint8. */
  public Tensor bytes(byte[] values, long... shape) {
    Tensor host = torch.zeros(shape, new TensorOptions(ScalarType.Byte));
    new BytePointer(host.data_ptr()).put(values, 0, values.length);
    return here(host);
  }

  /** The tensor on this device, itself if it is there already. */
  public Tensor here(Tensor tensor) {
    return this == CPU ? tensor : tensor.to(new Device("cuda"), tensor.scalar_type());
  }

  /** Copies a contiguous float32 tensor to the host. */
  public void read(Tensor tensor, float[] out, int offset, int count) {
    Tensor host = this == CPU ? tensor : tensor.cpu();
    host.data_ptr_float().get(out, offset, count);
  }

  private TensorOptions options(ScalarType type) {
    TensorOptions options = new TensorOptions(type);
    return this == CPU ? options : options.device(new DeviceOptional(new Device("cuda")));
  }
}
