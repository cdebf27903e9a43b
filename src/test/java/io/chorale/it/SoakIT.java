package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Full load for a minute, or for as long as {@code -Dchorale.soak.seconds} says: see {@link
 * SoakPlan}. More clients than may run, fewer slots than adapters, too little KV cache for all, so
 * that sequences are preempted and adapters take turns.
 */
class SoakIT {
  private static final int CLIENTS = 40;
  private static final int SECONDS_TO_END = 180;

  /** How much larger than in the middle third the memory may become in the last one. */
  private static final double GROWTH = 1.05;

  /** A full collection keeps what a request under way refers to. */
  private static final double HEAP_MIB = 8;

  @TempDir static Path temp;
  private static SoakPlan plan;
  private static ServerProcess server;

  private final AtomicBoolean done = new AtomicBoolean();

  @BeforeAll
  static void start() throws IOException {
    Path other = Path.of(System.getProperty("chorale.soak.adapters", "adapters"));
    plan = SoakPlan.ofProperties(SoakPlan.TINY_SOURCES, foldersWithAdapters(other));
    AdapterRoot root = new AdapterRoot(temp);
    boolean tiny = plan.sources().equals(SoakPlan.TINY_SOURCES);
    for (String source : plan.sources()) {
      if (tiny) {
        root.copy(source, "kept/" + source);
      } else {
        root.copy(other.resolve(source), "kept/" + source);
      }
    }
    List<String> options = new ArrayList<>(root.place());
    options.addAll(List.of("--model", plan.model().toString(), "--max-loras", "4"));
    options.addAll(List.of("--max-running", "24", "--max-queued", "24"));
    // 4,096 positions of the tiny model, 2,900 of SmolLM2-135M; 24 sequences want more at times.
    options.addAll(List.of("--kv-memory", tiny ? "1MiB" : "64MiB", "--threads", tiny ? "1" : "2"));
    // The heap is resident from the start, so that what grows is not its committed part.
    List<String> jvm = List.of("-Xms192m", "-Xmx192m", "-XX:+AlwaysPreTouch");
    server = ServerProcess.start("soak", jvm, options);
  }

  private static List<String> foldersWithAdapters(Path folder) throws IOException {
    try (Stream<Path> folders = Files.list(folder)) {
      return folders
          .filter(path -> Files.exists(path.resolve("adapter_config.json")))
          .map(path -> path.getFileName().toString())
          .sorted()
          .toList();
    }
  }

  @AfterAll
  static void stop() {
    server.close();
  }

  @Test
  void adaptersThatComeAndGoUnderLoadChangeNoAnswerAndLeaveNothingBehind() throws Exception {
    // Given
    SoakClients clients = new SoakClients(server, plan);
    clients.learn();
    SoakMemory memory = new SoakMemory(server.pid());
    ExecutorService pool = Executors.newFixedThreadPool(CLIENTS + 1);
    List<Future<Void>> running = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) {
      Random random = new Random(i);
      running.add(pool.submit(untilDone(() -> clients.ask(random))));
    }
    Random random = new Random(-1);
    running.add(
        pool.submit(
            untilDone(
                () -> {
                  clients.swap(random);
                  Thread.sleep(50 + random.nextInt(300));
                })));
    // When
    double heapEarly = watch(memory, running);
    for (Future<Void> one : running) {
      one.get(SECONDS_TO_END, TimeUnit.SECONDS);
    }
    pool.shutdown();
    // Then
    String figures = figures(clients, memory);
    server.assertIdleAndWhole();
    assertAllLeft(clients, figures);
    clients.assertBaseAnswersAsAtFirst();
    double heapLate = memory.liveHeap();
    figures += ", live heap MiB " + whole(heapEarly) + " and " + whole(heapLate);
    System.out.println(figures);
    Files.writeString(Path.of("target/it/soak.txt"), figures + "\n");
    assertTrue(heapLate <= heapEarly + HEAP_MIB, figures);
    assertTrue(memory.maximum(2) <= GROWTH * memory.maximum(1), figures);
  }

  private interface Action {
    void run() throws Exception;
  }

  private Callable<Void> untilDone(Action action) {
    return () -> {
      try {
        while (!done.get()) {
          action.run();
        }
      } finally {
        done.set(true); // one failure ends the soak
      }
      return null;
    };
  }

  /** Samples memory for the plan's time; the live heap after the first third. */
  private double watch(SoakMemory memory, List<Future<Void>> running) throws Exception {
    long begin = System.nanoTime();
    long said = 0;
    double heap = 0;
    while (!done.get()) {
      memory.sample();
      long seconds = (System.nanoTime() - begin) / 1_000_000_000;
      if (heap == 0 && seconds >= plan.seconds() / 3) {
        heap = memory.liveHeap();
      }
      if (seconds >= said + 60) {
        said = seconds;
        System.out.println("soak: " + seconds + " s, RSS " + whole(memory.last()) + " MiB");
      }
      if (seconds >= plan.seconds()) {
        done.set(true);
      }
      Thread.sleep(500);
    }
    return heap;
  }

  private static void assertAllLeft(SoakClients clients, String figures) {
    Map<String, Double> before = server.metrics();
    assertEquals(0, sum(before, "chorale_adapter_leases"), figures);
    clients.removeAll();
    server.assertIdleAndWhole();
    Map<String, Double> now = server.metrics();
    assertEquals(0, now.get("chorale_adapters_registered"), figures);
    assertEquals(0, now.get("chorale_adapters_resident"), figures);
    assertEquals(0, sumOf(now, "chorale_requests_total", "error"), figures);
    double whole = sumOf(now, "chorale_requests_total", "length");
    double aborted = sumOf(now, "chorale_requests_total", "abort");
    double answered = clients.answeredSequences.get();
    double hungUp = clients.hungUp.get();
    assertEquals(whole + aborted, sum(now, "chorale_requests_total"), figures);
    assertTrue(whole >= answered && whole + aborted <= answered + hungUp, figures + " " + now);
    assertTrue(aborted > 0 && aborted <= hungUp, figures + ": " + aborted + " aborted");
    double generated = sum(now, "chorale_generated_tokens_total");
    assertTrue(generated >= clients.answeredTokens.get(), figures + ": " + generated);
    assertTrue(clients.swaps.get() > 10 && clients.removals.get() > 0, figures);
  }

  private static double sum(Map<String, Double> metrics, String name) {
    return sumOf(metrics, name, "");
  }

  private static double sumOf(Map<String, Double> metrics, String name, String part) {
    return metrics.entrySet().stream()
        .filter(one -> one.getKey().startsWith(name + "{") && one.getKey().contains(part))
        .mapToDouble(Map.Entry::getValue)
        .sum();
  }

  private static String figures(SoakClients clients, SoakMemory memory) {
    Map<String, Double> now = server.metrics();
    return ("%d s: %d requests answered, %.0f tokens, %d hung up, %d refused (429), %d gone (404),"
            + " %d adapter versions, %d removals, %.0f preemptions, %.0f steps;"
            + " RSS MiB first %s, largest of each third %s %s %s, last %s")
        .formatted(
            plan.seconds(),
            clients.answered.get(),
            sum(now, "chorale_generated_tokens_total"),
            clients.hungUp.get(),
            clients.refused.get(),
            clients.gone.get(),
            clients.swaps.get(),
            clients.removals.get(),
            now.get("chorale_preemptions_total"),
            now.get("chorale_engine_steps_total"),
            whole(memory.first()),
            whole(memory.maximum(0)),
            whole(memory.maximum(1)),
            whole(memory.maximum(2)),
            whole(memory.last()));
  }

  private static String whole(double mib) {
    return Long.toString(Math.round(mib));
  }
}
