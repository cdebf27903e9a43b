package io.chorale.train.model.math;

import io.chorale.kernel.train.TrainKernels;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** {@code silu(gate) * up}, Shazeer 2020, arXiv:2002.05202; all [rows, width]. */
public final class SiluGate {
  private SiluGate() {}

  public static void forward(Tensor gate, Tensor up, Tensor out) {
    forward(TrainKernels.on(gate), gate, up, out);
  }

  /**
   * @param kernels null for libtorch
   */
  static void forward(TrainKernels kernels, Tensor gate, Tensor up, Tensor out) {
    if (kernels != null) {
      kernels.silu(gate, up, out);
      return;
    }
    RowChunks.run(
        gate.size(0),
        gate.size(1),
        (from, count) -> {
          Tensor y = out.narrow(0, from, count);
          torch.silu_out(y, gate.narrow(0, from, count));
          y.mul_(up.narrow(0, from, count));
        });
  }

  /** Overwrites gate and up with their gradients. */
  public static void backward(Tensor dOut, Tensor gate, Tensor up) {
    backward(TrainKernels.on(gate), dOut, gate, up);
  }

  static void backward(TrainKernels kernels, Tensor dOut, Tensor gate, Tensor up) {
    if (kernels != null) {
      kernels.siluBackward(dOut, gate, up);
      return;
    }
    RowChunks.run(
        gate.size(0),
        gate.size(1),
        (from, count) -> {
          Tensor d = dOut.narrow(0, from, count);
          Tensor g = gate.narrow(0, from, count);
          Tensor u = up.narrow(0, from, count);
          Tensor dSilu = d.mul(u);
          torch.mul_out(u, torch.silu(g), d);
          torch.silu_backward_out(g, dSilu, g);
        });
  }
}
