package io.chorale.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.chorale.text.jinja.Template.Limits;
import java.math.BigInteger;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ChatTemplateTest {
  /** Small enough that what exceeds them does so at once, with time to spare. */
  private static final Limits SMALL = new Limits(60_000, 10_000, 300, 1_000);

  private static String render(String template, Map<String, Object> context)
      throws TemplateException {
    return ChatTemplate.parse(template, Clock.systemUTC(), SMALL).render(context);
  }

  private static TemplateException failure(String template) {
    return assertThrows(TemplateException.class, () -> render(template, Map.of()), template);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      quoteCharacter = '~',
      value = {
        "ab{{ x.y }}; at 1:8; 'x' is undefined",
        "a@@  {{ 1 + 'b' }}; at 3:8; between int and str",
        "😀{{ 1 // 0 }}; at 1:7; division by zero",
        "a@{% for x in y %}; at 2:4; 'for' is never closed",
        "{% if %}; at 1:7; wanted an expression",
        "@{{ 'a' | nosuch }}; at 2:10; no filter named 'nosuch'",
        "{{ a is nosuch }}; at 1:9; no test named 'nosuch'",
        "{% frob %}; at 1:4; unknown tag 'frob'",
        "{% set a, b = [1] %}; at 1:8; cannot unpack 1 values into 2 names",
        "{{ [1].append(2) }}; at 1:14; 'append' of a list is refused",
        "{{ 'a'.encode() }}; at 1:14; encode() is refused",
        "{% include 'x' %}; at 1:4; 'include' is refused",
        "{% import 'x' as y %}; at 1:4; 'import' is refused",
        "{% extends 'x' %}; at 1:4; 'extends' is refused",
        "{% from 'x' import y %}; at 1:4; 'from' is refused",
        "{{ ''.__class__.x }}; at 1:17; '__class__' of a str is refused",
        "{% break %}; at 1:4; 'break' outside of a loop",
      })
  void failureSaysWhereAndWhat(String template, String place, String words) {
    // Given
    String source = template.replace('@', '\n');
    // When
    String message = failure(source).getMessage();
    // Then
    assertTrue(message.endsWith(place), message + " | wanted " + place);
    assertTrue(message.contains(words), message + " | wanted " + words);
  }

  @Test
  void templatesOwnWordsArriveUnchanged() {
    // Given
    String template = "{{ raise_exception('Roles must alternate at 3:4') }}";
    // When
    TemplateException failure = failure(template);
    // Then
    assertEquals(TemplateRaisedException.class, failure.getClass());
    assertEquals("Roles must alternate at 3:4", failure.getMessage());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ 'x' * 10**9 }}",
        "{{ 'x' * 9223372036854775807 }}",
        "{{ [0] * 10**9 }}",
        "{{ range(10**9) | list }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'x'.center(999999999) }}",
        "{{ 'x'.zfill(999999999) }}",
        "{{ '\t'.expandtabs(999999999) }}",
        "{{ {'a': [1]} | tojson(indent=999999999) }}",
        "{{ 'a\nb' | indent(999999999) }}",
        "{{ ('x' * 9000).replace('', 'yyyyyyyyyy') }}",
        "{{ ('y' * 9000).join('xxxx') }}",
        "{{ range(1000) | join('y' * 9000) }}",
        "{{ 2 ** 99999999 }}",
        "{{ (10 ** 1000) ** 1000 }}",
        "{{ [1] | batch(999999999, 0) | list }}",
        "{{ [1] | slice(999999999) | list }}",
        "{% for i in range(999) %}0123456789abcdef{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{% call m() %}{{ caller }}{% endcall %}{% endmacro %}{{ m() }}",
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
      })
  void hostileTemplateMeetsALimitInsteadOfEatingTheMachine(String template) {
    // When
    TemplateException failure = failure(template);
    // Then
    assertTrue(
        failure.getMessage().matches("(?s).*(wanted <= |nested deeper|more than).*"),
        failure.getMessage());
  }

  @Test
  void loopThatNeverWritesEndsAtItsDeadline() {
    // Given
    Limits limits = new Limits(50, 4_000_000, 300, 100_000);
    String forever =
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    // When
    TemplateException failure =
        assertThrows(
            TemplateException.class,
            () -> ChatTemplate.parse(forever, Clock.systemUTC(), limits).render(Map.of()));
    // Then
    assertTrue(failure.getMessage().contains("longer than 50 ms"), failure.getMessage());
  }

  @Test
  void comparingSharedListsEndsAtTheDeadlineThoughTheyAreExponentiallyLarge() {
    // Given
    Limits limits = new Limits(50, 4_000_000, 800, 100_000);
    String template =
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}"
            + "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}";
    // When
    TemplateException failure =
        assertThrows(
            TemplateException.class,
            () -> ChatTemplate.parse(template, Clock.systemUTC(), limits).render(Map.of()));
    // Then
    assertTrue(failure.getMessage().contains("longer than 50 ms"), failure.getMessage());
  }

  @ParameterizedTest
  @CsvSource(
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "{{ ,(,x,),}}",
        "{{ ,[,x,],}}",
        "{{ ,not ,x,, }}",
        "{{ ,-,x,, }}",
        "{{ ,x if y else ,x,, }}",
        ",{% if x %},x,{% endif %},",
        ",{% for x in y %},x,{% endfor %},",
      })
  void nestingInTheSourceIsBounded(
      String head, String opener, String inner, String closer, String tail) {
    // Given
    int levels = 20_000;
    String close = closer == null ? "" : closer.repeat(levels);
    String template =
        (head == null ? "" : head)
            + opener.repeat(levels)
            + inner
            + close
            + (tail == null ? "" : tail);
    // When
    TemplateException failure = failure(template);
    // Then
    assertTrue(failure.getMessage().contains("nested deeper than"), failure.getMessage());
  }

  @Test
  void longConversationStaysWithinTheDefaultLimits() throws TemplateException {
    // Given
    List<Object> messages = new ArrayList<>();
    for (int i = 0; i < 4_000; i++) {
      messages.add(Map.of("role", i % 2 == 0 ? "user" : "assistant", "content", "x".repeat(500)));
    }
    String template =
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
            + "<|{{ m.role }}|>{{ m['content'] | trim }}{% endfor %}{{ ns.n }}";
    // When
    String prompt = ChatTemplate.parse(template).render(Map.of("messages", messages));
    // Then
    assertTrue(prompt.endsWith("x4000"), prompt.substring(prompt.length() - 20));
  }

  @Test
  void callersDataIsNeverChanged() throws TemplateException {
    // Given
    Map<String, Object> context = new HashMap<>(Map.of("messages", new ArrayList<>(List.of(1, 2))));
    // When
    render("{% set messages = messages + [3] %}{% set x = 1 %}{{ messages }}", context);
    // Then
    assertEquals(Map.of("messages", List.of(1, 2)), context);
  }

  @Test
  void numbersOfAnyJavaTypePrintAsPythonPrintsThem() throws TemplateException {
    // Given
    Map<String, Object> context =
        Map.of("a", 1, "b", (short) 2, "c", 1.5f, "d", new BigInteger("18446744073709551615"));
    // When
    String text = render("{{ a }} {{ b }} {{ c }} {{ d }} {{ d - 1 }} {{ [d] | tojson }}", context);
    // Then
    assertEquals("1 2 1.5 18446744073709551615 18446744073709551614 [18446744073709551615]", text);
  }

  @Test
  void valueOfAForeignClassIsRefused() {
    // When
    TemplateException failure =
        assertThrows(TemplateException.class, () -> render("x", Map.of("o", new Object())));
    // Then
    assertTrue(failure.getMessage().contains("o holds a java.lang.Object; wanted Map"));
  }

  @Test
  void strftimeReadsTheInjectedClockInItsZone() throws TemplateException {
    // Given
    Clock clock = Clock.fixed(Instant.parse("2026-01-01T23:30:00Z"), ZoneId.of("Asia/Tokyo"));
    String template = "{{ strftime_now('%d %b %Y %H:%M %U %W %V %u %w %e %C %s') }}";
    // When
    String text = ChatTemplate.parse(template, clock, SMALL).render(Map.of());
    // Then
    assertEquals("02 Jan 2026 08:30 00 00 01 5 5  2 20 1767310200", text);
  }

  @Test
  void oneTemplateServesManyThreadsAtOnce() throws Exception {
    // Given
    ChatTemplate template =
        ChatTemplate.parse(
            "{% set ns = namespace(s='') %}{% macro m(x) %}{{ x }},{% endmacro %}"
                + "{% for i in range(n) %}{% set ns.s = ns.s ~ m(i) %}{% endfor %}{{ ns.s }}");
    List<Callable<Boolean>> tasks = new ArrayList<>();
    for (int n = 0; n < 64; n++) {
      int count = n;
      StringBuilder expected = new StringBuilder();
      for (int i = 0; i < n; i++) {
        expected.append(i).append(',');
      }
      tasks.add(() -> template.render(Map.of("n", count)).equals(expected.toString()));
    }
    ExecutorService threads = Executors.newFixedThreadPool(4);
    // When
    List<Future<Boolean>> results = threads.invokeAll(tasks);
    threads.shutdown();
    // Then
    for (Future<Boolean> result : results) {
      assertTrue(result.get());
    }
  }

  @Test
  void limitsBelowOneAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new Limits(1, 0, 1, 1));
    assertFalse(Limits.DEFAULT.toString().isEmpty());
  }
}
