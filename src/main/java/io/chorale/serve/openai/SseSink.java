package io.chorale.serve.openai;

import io.vertx.core.Context;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerResponse;

/**
 * Server-sent events on one Vert.x response, in exactly OpenAI's bytes: {@code data: {..}} and a
 * blank line. Any thread emits; the event loop writes everything pending in one piece. A client
 * that does not read makes at most {@code capBytes} wait here, then the connection is reset.
 */
final class SseSink {
  private static final byte[] DATA = {'d', 'a', 't', 'a', ':', ' '};
  private static final byte[] BLANK_LINE = {'\n', '\n'};

  private final HttpServerResponse response;
  private final Context context;
  private final int capBytes;
  private final Runnable ended;

  private Buffer pending = Buffer.buffer();
  private boolean scheduled;
  private boolean ending;
  private boolean dead;

  /**
   * @param response head already filled in, chunked
   * @param ended called once on the context, when the last byte is handed to the socket or the
   *     connection is reset
   */
  SseSink(HttpServerResponse response, Context context, int capBytes, Runnable ended) {
    this.response = response;
    this.context = context;
    this.capBytes = capBytes;
    this.ended = ended;
  }

  /** Queues one event. */
  synchronized void event(byte[] json) {
    if (dead || ending) {
      return;
    }
    pending.appendBytes(DATA).appendBytes(json).appendBytes(BLANK_LINE);
    schedule();
  }

  /** Ends the response after everything queued. */
  synchronized void end() {
    ending = true;
    schedule();
  }

  /** The client is gone: nothing is written any more. */
  synchronized void drop() {
    dead = true;
    pending = Buffer.buffer();
  }

  private void schedule() {
    if (!scheduled) {
      scheduled = true;
      context.runOnContext(nothing -> drain());
    }
  }

  private void drain() {
    Buffer batch;
    boolean last;
    synchronized (this) {
      scheduled = false;
      if (dead || response.ended() || response.closed()) {
        dead = true;
        return;
      }
      if (pending.length() > capBytes) {
        dead = true;
        batch = null;
        last = false;
      } else if (response.writeQueueFull()) {
        response.drainHandler(nothing -> drain());
        return;
      } else {
        batch = pending;
        pending = Buffer.buffer();
        last = ending;
      }
    }
    if (batch == null) {
      response.reset();
      ended.run();
    } else if (last) {
      response.end(batch);
      ended.run();
    } else if (batch.length() > 0) {
      response.write(batch);
    }
  }
}
