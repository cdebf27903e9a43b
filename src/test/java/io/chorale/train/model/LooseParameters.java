package io.chorale.train.model;

import io.chorale.tensor.TorchDevice;

/** Parameters without a model, for tests of what changes them. */
public final class LooseParameters {
  private LooseParameters() {}

  public static Parameter of(String key, Parameter.Kind kind, float[] values, long... shape) {
    Parameter parameter = new Parameter(key, kind, TorchDevice.CPU, shape);
    parameter.value().data_ptr_float().put(values, 0, values.length);
    return parameter;
  }

  public static void grad(Parameter parameter, float[] values) {
    parameter.grad().data_ptr_float().put(values, 0, values.length);
  }

  public static float[] values(Parameter parameter) {
    float[] values = new float[(int) parameter.elements()];
    parameter.value().data_ptr_float().get(values, 0, values.length);
    return values;
  }
}
