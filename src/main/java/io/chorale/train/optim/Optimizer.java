package io.chorale.train.optim;

import io.chorale.quant.TensorType;
import io.chorale.tensor.GradMode;
import io.chorale.tensor.Scope;
import io.chorale.train.model.Parameter;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.pytorch.Tensor;

/**
 * Changes every parameter's value by its gradient and by what it remembers of earlier ones. Works
 * on the host: values and gradients on another device are copied there and back. Parameters are
 * worked on in parallel, elements independently, so the bits do not depend on threads.
 *
 * <p>The trainer's thread. Closing frees the state.
 */
public abstract sealed class Optimizer implements AutoCloseable permits AdamW, AdamW8bit {
  /** Elements worked on at once; whole blocks of the 8-bit state. */
  static final int RUN = 1 << 14;

  private final List<Parameter> parameters;
  private final AdamSettings settings;
  private final StateMemory memory;
  private final List<StateTensor> state = new ArrayList<>();
  private int steps;

  /**
   * A part of the state, in the order that it was made.
   *
   * @param name the parameter's key and what it is, such as {@code exp_avg}
   * @param type F32 or U8
   * @param pages all bytes, little-endian; absolute access only
   */
  public record StateTensor(String name, TensorType type, long elements, List<ByteBuffer> pages) {
    public StateTensor {
      pages = List.copyOf(pages);
    }
  }

  /** One step's numbers for one parameter. */
  record Rates(double lr, double decay, float gradFactor, int step) {}

  Optimizer(List<Parameter> parameters, AdamSettings settings, StateMemory memory) {
    this.parameters = List.copyOf(parameters);
    this.settings = settings;
    this.memory = memory;
  }

  /** Makes a zeroed part of the state. */
  final StateArray allocate(int parameter, String what, TensorType type, long elements) {
    StateArray array = memory.allocate(type.bytes(elements));
    String name = parameters.get(parameter).key() + "." + what;
    state.add(new StateTensor(name, type, elements, array.pages()));
    return array;
  }

  final List<Parameter> parameters() {
    return parameters;
  }

  final AdamSettings settings() {
    return settings;
  }

  /**
   * One step.
   *
   * @param lr learning rate
   * @param gradFactor multiplied into every gradient first, for clipping
   */
  public final void step(double lr, float gradFactor) {
    steps++;
    IntStream.range(0, parameters.size())
        .parallel()
        .forEach(
            i -> {
              Parameter parameter = parameters.get(i);
              Rates rates =
                  new Rates(
                      settings.rateOf(parameter, lr),
                      settings.decayOf(parameter),
                      gradFactor,
                      steps);
              step(i, parameter, rates);
            });
  }

  private void step(int index, Parameter parameter, Rates rates) {
    try (Scope scope = Scope.open();
        GradMode noGrad = GradMode.off()) {
      boolean elsewhere = !parameter.value().device().is_cpu();
      Tensor value = elsewhere ? parameter.value().cpu() : parameter.value();
      Tensor grad = elsewhere ? parameter.grad().cpu() : parameter.grad();
      FloatPointer values = value.data_ptr_float();
      FloatPointer grads = grad.data_ptr_float();
      float[] p = new float[RUN];
      float[] g = new float[RUN];
      for (long at = 0; at < parameter.elements(); at += RUN) {
        int count = (int) Math.min(RUN, parameter.elements() - at);
        values.position(at).get(p, 0, count);
        grads.position(at).get(g, 0, count);
        for (int i = 0; i < count; i++) {
          g[i] *= rates.gradFactor();
        }
        update(index, new Run(at, count, p, g), rates);
        values.position(at).put(p, 0, count);
      }
      if (elsewhere) {
        parameter.value().copy_(value);
      }
    }
  }

  /**
   * Some elements of a parameter.
   *
   * @param at index of the first
   * @param values changed in place
   * @param grads already scaled; may be overwritten
   */
  record Run(long at, int count, float[] values, float[] grads) {}

  /** Changes the values of one run and its state. Runs start at multiples of {@link #RUN}. */
  abstract void update(int parameter, Run run, Rates rates);

  /** How many steps were made, those before a restart included. */
  public final int steps() {
    return steps;
  }

  /** Goes on after so many steps; the state's pages must hold what they held then. */
  public final void resumeAt(int stepsDone) {
    steps = stepsDone;
  }

  public final List<StateTensor> state() {
    return List.copyOf(state);
  }

  @Override
  public final void close() {
    memory.close();
  }
}
