package io.chorale.train.model;

import io.chorale.model.BaseModelFiles;
import io.chorale.model.Quantization;
import io.chorale.tensor.TorchDevice;
import io.chorale.train.data.SftExample;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Not a test: times forward and backward of a model and says where the time goes, by sampling the
 * stack. With one thread the times are the thread's own, fit for a busy machine. {@code TrainTimes
 * MODEL f32|bf16 METHOD equal|ragged|random ITERATIONS [dropout [threads [quantization]]]}, four
 * sequences, rank 16 on all linear layers, every token trained. {@code random} takes other lengths
 * each time and says what memory is resident.
 */
final class TrainTimes {
  private static final int SEQUENCES = Integer.getInteger("sequences", 4);
  private static final int LONGEST = Integer.getInteger("longest", 512);
  private static final ThreadMXBean CPU = ManagementFactory.getThreadMXBean();

  private TrainTimes() {}

  public static void main(String[] args) throws Exception {
    ComputeType type = ComputeType.parse(args[1]);
    TrainMethod method = TrainMethod.parse(args[2]);
    int iterations = Integer.parseInt(args[4]);
    float dropout = args.length > 5 ? Float.parseFloat(args[5]) : 0;
    int threads = args.length > 6 ? Integer.parseInt(args[6]) : 2;
    Quantization quantization = args.length > 7 ? Quantization.parse(args[7]) : Quantization.NONE;
    boolean checkpointing = args.length > 8 && Boolean.parseBoolean(args[8]);
    AdapterSpec spec =
        new AdapterSpec(
            method, 16, 32, dropout, List.of("all-linear"), Map.of(), Map.of(), List.of());
    Compute compute = new Compute(TorchDevice.CPU, type, checkpointing, 256, threads);
    PackedBatch batch = batch(args[3].equals("equal"), 11);
    long opened = System.nanoTime();
    try (BaseModelFiles files = BaseModelFiles.open(Path.of(args[0]), quantization);
        TrainableCausalLm model = TrainableCausalLm.open(files, spec, compute, 1)) {
      System.out.printf(
          "opened in %d ms, base holds %d MiB%n", since(opened), model.baseBytes() >> 20);
      memory("opened");
      double best = Double.MAX_VALUE;
      double sum = 0;
      long total = 0;
      Map<String, Long> samples = new TreeMap<>();
      for (int i = 0; i < iterations; i++) {
        model.zeroGrads();
        if (args[3].equals("random")) {
          batch = batch(false, i);
          total += batch.rows();
        }
        AtomicBoolean done = new AtomicBoolean();
        Thread sampler = i == 0 ? null : sampler(Thread.currentThread(), samples, done);
        long start = System.nanoTime();
        long cpuStart = CPU.getCurrentThreadCpuTime();
        double loss = model.lossAndGradients(batch, 1.0 / batch.trainedTokens(), 7);
        double wall = (System.nanoTime() - start) / 1e6;
        double ms = threads == 1 ? (CPU.getCurrentThreadCpuTime() - cpuStart) / 1e6 : wall;
        done.set(true);
        if (sampler != null) {
          sampler.join();
        }
        best = Math.min(best, ms);
        sum += ms;
        if (args[3].equals("random") && i % 10 == 9) {
          System.out.printf("last 10 steps: %.1f tokens/s%n", total / sum * 1000);
          memory("step " + (i + 1));
          sum = 0;
          total = 0;
        }
        System.out.printf(
            "%8.0f ms (wall %.0f)  loss %.5f  %6.1f tokens/s%n",
            ms, wall, loss / batch.trainedTokens(), batch.rows() / ms * 1000);
      }
      result(args, batch.rows(), best, model);
      memory("end");
      report(samples);
    }
  }

  private static void report(Map<String, Long> samples) {
    long all = samples.values().stream().mapToLong(Long::longValue).sum();
    samples.entrySet().stream()
        .sorted((a, b) -> Long.compare(b.getValue(), a.getValue()))
        .limit(Integer.getInteger("places", 28))
        .forEach(e -> System.out.printf("%5.1f %%  %s%n", 100.0 * e.getValue() / all, e.getKey()));
  }

  private static void result(String[] args, int rows, double best, TrainableCausalLm model) {
    System.out.printf(
        "RESULT %s %s %s %s rows %d best %.0f ms %.1f tokens/s buffers %d MiB%n",
        Path.of(args[0]).getFileName(),
        args[1],
        args[2],
        args[3],
        rows,
        best,
        rows / best * 1000,
        model.bufferBytes() >> 20);
  }

  private static long since(long start) {
    return (System.nanoTime() - start) / 1_000_000;
  }

  private static PackedBatch batch(boolean equal, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] starts = new int[SEQUENCES + 1];
    for (int s = 0; s < SEQUENCES; s++) {
      double log = Math.log(32) + random.nextDouble() * Math.log(LONGEST / 32.0);
      starts[s + 1] = starts[s] + (equal ? LONGEST : (int) Math.round(Math.exp(log)));
    }
    int rows = starts[SEQUENCES];
    int[] ids = random.ints(rows, 17, 49000).toArray();
    int[] targets = new int[rows];
    for (int s = 0; s < SEQUENCES; s++) {
      for (int row = starts[s]; row < starts[s + 1]; row++) {
        targets[row] = row + 1 < starts[s + 1] ? ids[row + 1] : SftExample.IGNORE_INDEX;
      }
    }
    return new PackedBatch(ids, targets, starts, new int[SEQUENCES]);
  }

  private static Thread sampler(Thread who, Map<String, Long> into, AtomicBoolean done) {
    Thread thread =
        new Thread(
            () -> {
              long before = CPU.getThreadCpuTime(who.getId());
              while (!done.get()) {
                long now = CPU.getThreadCpuTime(who.getId());
                into.merge(place(who.getStackTrace()), now - before, Long::sum);
                before = now;
                try {
                  Thread.sleep(3);
                } catch (InterruptedException e) {
                  return;
                }
              }
            });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  /** The innermost call into libtorch and the two innermost methods of ours around it. */
  private static String place(StackTraceElement[] stack) {
    StringBuilder out = new StringBuilder();
    int own = 0;
    if (stack.length > 0) {
      out.append(stack[0].getMethodName());
    }
    for (StackTraceElement element : stack) {
      if (element.getClassName().startsWith("io.chorale")
          && !element.getMethodName().contains("RowChunks")
          && own < 2) {
        String name = element.getClassName();
        out.append(" < ")
            .append(name.substring(name.lastIndexOf('.') + 1))
            .append('.')
            .append(element.getMethodName())
            .append(':')
            .append(element.getLineNumber());
        own++;
      }
    }
    return out.toString();
  }

  private static void memory(String when) throws IOException {
    List<String> wanted = List.of("VmHWM", "VmRSS", "RssAnon", "RssFile");
    StringBuilder out = new StringBuilder(when).append(':');
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (wanted.contains(line.split(":")[0])) {
        out.append(' ').append(String.join(" ", Arrays.asList(line.trim().split("\\s+"))));
      }
    }
    System.out.println(out);
  }
}
