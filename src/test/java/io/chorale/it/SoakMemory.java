package io.chorale.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A process's resident memory over time, and what its Java heap holds. Linux. */
final class SoakMemory {
  private static final Pattern RSS = Pattern.compile("VmRSS:\\s*(\\d+) kB");
  private static final Pattern USED = Pattern.compile("total \\d+K, used (\\d+)K");
  private final long pid;
  private final List<Double> mib = new ArrayList<>();

  SoakMemory(long pid) {
    this.pid = pid;
  }

  void sample() throws IOException {
    Matcher rss = RSS.matcher(Files.readString(Path.of("/proc/" + pid + "/status")));
    assertTrue(rss.find(), "no VmRSS");
    mib.add(Double.parseDouble(rss.group(1)) / 1024);
  }

  /** The largest sample of a third: 0, 1 or 2. */
  double maximum(int third) {
    int from = mib.size() * third / 3;
    int to = mib.size() * (third + 1) / 3;
    return mib.subList(from, to).stream().mapToDouble(Double::doubleValue).max().orElseThrow();
  }

  double first() {
    return mib.get(0);
  }

  double last() {
    return mib.get(mib.size() - 1);
  }

  /** MiB of the heap that are in use after a full collection. */
  double liveHeap() throws Exception {
    jcmd("GC.run");
    Matcher used = USED.matcher(jcmd("GC.heap_info"));
    double kib = 0;
    while (used.find()) { // young and tenured generation
      kib += Double.parseDouble(used.group(1));
    }
    assertTrue(kib > 0, "no heap");
    return kib / 1024;
  }

  private String jcmd(String command) throws Exception {
    Process process =
        new ProcessBuilder(ServerProcess.jdk("jcmd"), Long.toString(pid), command)
            .redirectErrorStream(true)
            .start();
    String said = new String(process.getInputStream().readAllBytes());
    assertEquals(0, process.waitFor(), said);
    return said.replaceAll("(?s)Metaspace.*", "");
  }
}
