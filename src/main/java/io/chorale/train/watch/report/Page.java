package io.chorale.train.watch.report;

/** The frame around the report's contents, and how they look in light and dark. */
final class Page {
  private static final String STYLE =
      """
      :root { color-scheme: light dark; --ground: #f6f7f9; --card: #ffffff; --ink: #1c2430; --soft: #5d6878;
        --line: #dde2e9; --train: #2563eb; --faint: #a9c3f5; --eval: #d9480f; --limit: #94a0b0; --good: #157f3b;
        --warn: #a15c00; --bad: #c0232c; --tint: #eef2f7; }
      @media (prefers-color-scheme: dark) {
        :root { --ground: #12161c; --card: #1b212a; --ink: #e6eaf0; --soft: #9aa6b6; --line: #313a47; --train: #6ea0ff;
          --faint: #3b5584; --eval: #ff9a5c; --limit: #7d8998; --good: #5cc98a; --warn: #e7b04b; --bad: #ff7b81;
          --tint: #252d38; }
      }
      * { box-sizing: border-box; }
      body { margin: 0 auto; max-width: 1360px; padding: 28px 24px 60px; background: var(--ground); color: var(--ink);
        font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
      h1 { font-size: 25px; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 34px 0 12px; }
      .lead { color: var(--soft); margin: 2px 0 18px; }
      .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; }
      .tile, figure, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
      .tile { padding: 11px 15px; } .tile b { display: block; font-size: 21px; line-height: 1.3; }
      .tile span { color: var(--soft); font-size: 13px; }
      .bar { height: 8px; border-radius: 4px; background: var(--line); margin: 0 0 18px; overflow: hidden; }
      .bar div { height: 100%; background: var(--train); }
      .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 560px), 1fr)); gap: 14px; }
      @media (min-width: 1200px) { .plots figure:first-child { grid-column: 1 / -1; } }
      figure { margin: 0; padding: 12px 14px 6px; overflow-x: auto; min-width: 0; } figcaption { font-size: 13px; display: flex; flex-wrap: wrap; gap: 3px 13px; align-items: baseline; }
      figcaption b { font-size: 15px; } .unit { color: var(--soft); }
      .key::before { content: ""; display: inline-block; width: 15px; border-top: 3px solid; vertical-align: middle; margin-right: 5px; }
      .key.raw::before { border-color: var(--faint); } .key.smooth::before { border-color: var(--train); }
      .key.eval::before { border-color: var(--eval); } .key.limit::before { border-top-style: dashed; border-color: var(--limit); }
      .key.bound::before { border-color: var(--bad); }
      svg { display: block; width: 100%; min-width: 540px; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
      path { fill: none; stroke-linejoin: round; } path.raw { stroke: var(--faint); stroke-width: 1; }
      path.smooth { stroke: var(--train); stroke-width: 2; } path.eval { stroke: var(--eval); stroke-width: 2; }
      path.limit { stroke: var(--limit); stroke-width: 1.5; stroke-dasharray: 6 4; } path.bound { stroke: var(--bad); stroke-width: 1.5; }
      circle.eval { fill: var(--eval); } circle.smooth { fill: var(--train); } circle.raw { fill: var(--faint); }
      .grid { stroke: var(--line); } .axis, .tick { stroke: var(--limit); } .mark { stroke: var(--bad); stroke-dasharray: 2 3; }
      .hover { fill: transparent; } .hover:hover { fill: var(--ink); fill-opacity: .08; }
      .card { padding: 13px 17px; margin: 0 0 12px; border-left-width: 5px; }
      .card.fatal { border-left-color: var(--bad); } .card.warning { border-left-color: var(--warn); } .card.over { border-left-color: var(--good); }
      .card h3 { margin: 0; font-size: 15px; } .card h3::first-letter { text-transform: uppercase; } .card p { margin: 3px 0; } .card ul { margin: 5px 0 0; padding-left: 20px; }
      .samples { display: grid; gap: 14px; }
      .sample { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
      .sample .prompt { background: var(--tint); padding: 10px 15px; }
      .sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr)); }
      .sides > div { padding: 10px 15px 14px; border-top: 1px solid var(--line); }
      .label { color: var(--soft); font-size: 12px; text-transform: uppercase; letter-spacing: .05em; }
      .text { white-space: pre-wrap; overflow-wrap: anywhere; }
      .tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 14px; align-items: start; }
      table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line); }
      th, td { text-align: left; padding: 5px 12px; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; font-weight: normal; }
      th { color: var(--soft); white-space: nowrap; width: 1%; }
      pre { background: var(--tint); border: 1px solid var(--line); border-radius: 8px; padding: 12px 15px; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; }
      """;

  private Page() {}

  /**
   * @param title is escaped here
   * @param refresh the browser loads it again every half minute
   * @param body HTML
   */
  static String of(String title, boolean refresh, String body) {
    return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        + "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        + (refresh ? "<meta http-equiv=\"refresh\" content=\"30\">\n" : "")
        + "<title>"
        + Html.escape(title)
        + "</title>\n<style>\n"
        + STYLE
        + "</style>\n</head>\n<body>\n"
        + body
        + "</body>\n</html>\n";
  }
}
