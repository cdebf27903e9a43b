package io.chorale.app;

import io.quarkus.runtime.configuration.ConfigUtils;
import io.smallrye.config.ConfigValidationException;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;

/**
 * Reads {@link ChoraleConfig} before Quarkus boots, from the same sources that Quarkus will read
 * (system properties, environment, .env, config/application.properties), so that a wrong setting is
 * one message at once.
 */
final class SettingsReader {
  private SettingsReader() {}

  static ServeSettings read() {
    SmallRyeConfigBuilder builder =
        ConfigUtils.configBuilder()
            .addDefaultSources()
            .addDefaultInterceptors()
            .withMapping(ChoraleConfig.class);
    try {
      SmallRyeConfig config = builder.build();
      return ServeSettings.of(config.getConfigMapping(ChoraleConfig.class));
    } catch (ConfigValidationException e) {
      throw new UsageException(problems(e));
    }
  }

  /** All problems in one message, without SmallRye's codes and class names. */
  private static String problems(ConfigValidationException e) {
    StringBuilder text = new StringBuilder("wrong settings:");
    for (int i = 0; i < e.getProblemCount(); i++) {
      String problem =
          e.getProblem(i)
              .getMessage()
              .replaceAll("(?:[a-z]+\\.)+[A-Z]\\w*Exception: ", "")
              .replaceAll("SRCFG\\d+: ", "")
              .replace("The config property ", "")
              .replace("with the config value", "is")
              .replace(" threw an Exception whilst being converted", ":");
      text.append(e.getProblemCount() == 1 ? " " : "\n  ").append(problem);
    }
    return text.toString();
  }
}
