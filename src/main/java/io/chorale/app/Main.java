package io.chorale.app;

import io.chorale.app.adapter.ConvertCommand;
import io.chorale.app.adapter.PushCommand;
import io.chorale.app.eval.EvalCommand;
import io.chorale.app.train.PlanCommand;
import io.chorale.app.train.TrainCommand;
import io.quarkus.runtime.annotations.QuarkusMain;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/**
 * The {@code chorale} command. Plain picocli, so that {@code --help} needs neither Quarkus nor
 * libtorch; only {@code serve} boots them. Exit codes: 0 done, 1 failed, 2 wrong usage; a failure
 * is one message on standard error, with its stack trace only after {@code --verbose}.
 */
@QuarkusMain
@Command(
    name = "chorale",
    description = "One 4-bit base model, many LoRA adapters in one batch, OpenAI-compatible.",
    mixinStandardHelpOptions = true,
    versionProvider = Main.Version.class,
    scope = ScopeType.LOCAL,
    subcommands = {
      ServeCommand.class,
      DataCommand.class,
      PlanCommand.class,
      TrainCommand.class,
      EvalCommand.class,
      MergeCommand.class,
      ConvertCommand.class,
      PushCommand.class
    },
    footer = {
      "",
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 data check --strict found errors, 130 stopped.",
      "CHORALE_HEAP sets the Java heap (default 1g), JAVA_HOME the Java (17 or newer)."
    })
public final class Main implements Runnable {

  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "Show stack traces of failures.")
  boolean verbose;

  @CommandLine.Spec CommandLine.Model.CommandSpec spec;

  public static void main(String... args) {
    int code = execute(new PrintWriter(System.out, true), new PrintWriter(System.err, true), args);
    if (code != ServeCommand.SERVED) { // once Quarkus has run, its exit handler ends the process
      System.exit(code);
    }
  }

  /** Runs one command without ending the process. */
  static int execute(PrintWriter out, PrintWriter err, String... args) {
    Main main = new Main();
    CommandLine line = new CommandLine(main).setOut(out).setErr(err);
    line.setUsageHelpWidth(100);
    line.setParameterExceptionHandler(Main::refuse);
    line.setExecutionExceptionHandler(
        (failure, at, parsed) ->
            Failures.report(failure, main.verbose, new PrintWriter(at.getErr(), true)));
    return line.execute(args);
  }

  /** Without a command there is nothing to do. */
  @Override
  public void run() {
    throw new CommandLine.ParameterException(spec.commandLine(), "no command given");
  }

  private static int refuse(CommandLine.ParameterException failure, String[] args) {
    CommandLine at = failure.getCommandLine();
    at.getErr()
        .printf(
            "chorale: %s; %s --help shows what there is%n",
            failure.getMessage(), at.getCommandSpec().qualifiedName());
    at.getErr().flush();
    return CommandLine.ExitCode.USAGE;
  }

  /** The version that the build wrote into the jar's manifest. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Main.class.getPackage().getImplementationVersion();
      return new String[] {"chorale " + (version == null ? "(not built as a jar)" : version)};
    }
  }
}
