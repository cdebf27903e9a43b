package io.chorale;

import io.chorale.app.store.BaseModelStore;
import io.chorale.app.store.ModelUnavailableException;
import io.chorale.app.store.Progress;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** The base model of {@link RealModel} tests, brought once per JVM. */
public final class RealModelFile implements ExecutionCondition {
  private static Path path;
  private static ModelUnavailableException failure;

  /**
   * A GGUF file or a Hugging Face folder.
   *
   * @throws ModelUnavailableException at every call, if it cannot be had
   */
  public static synchronized Path path() {
    if (path == null && failure == null) {
      String property = System.getProperty("chorale.model", "");
      String named = property.isBlank() ? System.getenv("CHORALE_MODEL") : property;
      try {
        path =
            BaseModelStore.ofUser(Optional.empty(), System.getenv(), Progress.onStandardError())
                .bring(Optional.ofNullable(named).filter(s -> !s.isBlank()));
      } catch (ModelUnavailableException e) {
        failure = e;
        System.err.println("REAL-MODEL TESTS ARE SKIPPED: " + e.getMessage().replace('\n', ' '));
      }
    }
    if (failure != null) {
      throw failure;
    }
    return path;
  }

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    try {
      return ConditionEvaluationResult.enabled("base model at " + path());
    } catch (ModelUnavailableException e) {
      return ConditionEvaluationResult.disabled(e.getMessage());
    }
  }
}
