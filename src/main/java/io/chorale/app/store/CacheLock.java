package io.chorale.app.store;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Holds a cache folder against other processes and threads while files are brought into it. The
 * operating system drops the lock when its holder dies, so none is ever left behind.
 */
final class CacheLock implements AutoCloseable {
  private static final long POLL_MS = 100;

  private final FileChannel channel;

  private CacheLock(FileChannel channel) {
    this.channel = channel;
  }

  /** Waits as long as it takes; says once that it waits. */
  static CacheLock acquire(Path lockFile, Progress progress) throws IOException {
    FileChannel channel =
        FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    try {
      boolean said = false;
      while (tryLock(channel) == null) {
        if (!said) {
          progress.say("Another start is bringing a model into this cache folder; waiting for it");
          said = true;
        }
        Thread.sleep(POLL_MS);
      }
      return new CacheLock(channel);
    } catch (IOException e) {
      channel.close();
      throw e;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      channel.close();
      throw new IOException("interrupted while waiting for " + lockFile, e);
    }
  }

  private static FileLock tryLock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException heldByAnotherThread) {
      return null;
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
