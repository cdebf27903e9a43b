package io.chorale.kernel;

/** One step's {@link ForwardInputs} on the device; closed at the end of the step. */
public interface StepRows extends AutoCloseable {
  ForwardInputs inputs();

  /** Slots of all rows. */
  RowSlots all();

  /** Slots of rows {@code from .. from+count-1} of the gathered logit rows. */
  RowSlots logitRows(int from, int count);

  @Override
  void close();
}
