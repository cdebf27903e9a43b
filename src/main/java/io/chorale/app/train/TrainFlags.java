package io.chorale.app.train;

import io.chorale.app.UsageException;
import io.chorale.train.config.ConfigYaml;
import io.chorale.train.config.Flag;
import io.chorale.train.config.FlagValues;
import java.io.IOException;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/** Adds every {@link Flag} and {@code --config} to a command, and reads what was given. */
final class TrainFlags implements IModelTransformer {
  private static final String CONFIG = "--config";

  @Override
  public CommandSpec transform(CommandSpec command) {
    command.addOption(
        OptionSpec.builder(CONFIG)
            .type(Path.class)
            .paramLabel("FILE.yaml")
            .description("Flags by their names, without --; what is given here wins.")
            .build());
    for (Flag flag : Flag.values()) {
      command.addOption(option(flag));
    }
    return command;
  }

  private static OptionSpec option(Flag flag) {
    String usual = flag.usual().map(u -> " Default: " + u).orElse("");
    OptionSpec.Builder option =
        OptionSpec.builder(flag.option())
            .paramLabel(flag.type().label())
            .description((flag.description() + usual).replace("%", "%%"))
            .type(List.class)
            .auxiliaryTypes(String.class);
    if (flag.type().isSwitch()) {
      option.arity("0..1").fallbackValue("true");
    } else if (flag == Flag.RESUME) {
      option.arity("0..1").fallbackValue("auto");
    } else {
      option.arity("1");
    }
    return option.build();
  }

  /** What the command line says. */
  static Map<Flag, List<String>> given(ParseResult parsed) {
    Map<Flag, List<String>> given = new EnumMap<>(Flag.class);
    for (Flag flag : Flag.values()) {
      if (parsed.hasMatchedOption(flag.option())) {
        List<String> values = parsed.matchedOptionValue(flag.option(), List.of());
        given.put(flag, values);
      }
    }
    return given;
  }

  /**
   * Command line over YAML over defaults.
   *
   * @throws UsageException naming the flag, what it has and what was wanted
   */
  static FlagValues values(ParseResult parsed) throws IOException {
    Path config = parsed.matchedOptionValue(CONFIG, null);
    try {
      return FlagValues.of(given(parsed), config == null ? Map.of() : ConfigYaml.read(config));
    } catch (IllegalArgumentException e) {
      throw new UsageException(e.getMessage());
    }
  }
}
