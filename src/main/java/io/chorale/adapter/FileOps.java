package io.chorale.adapter;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/**
 * The four steps of a durable file replacement, apart so that a test can stop the world between any
 * two of them.
 */
interface FileOps {
  /** Creates or truncates the file and writes all bytes; they may still be in the page cache. */
  void write(Path file, byte[] bytes) throws IOException;

  /** Returns when the file's bytes are on the disk. */
  void syncFile(Path file) throws IOException;

  /** Renames over the target; readers see the old or the new file, never a part. */
  void replace(Path from, Path to) throws IOException;

  /** Returns when the directory's entries are on the disk. */
  void syncDirectory(Path directory) throws IOException;

  /** The real ones. */
  FileOps DISK =
      new FileOps() {
        @Override
        public void write(Path file, byte[] bytes) throws IOException {
          Files.write(file, bytes);
        }

        @Override
        public void syncFile(Path file) throws IOException {
          try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            channel.force(true);
          }
        }

        @Override
        public void replace(Path from, Path to) throws IOException {
          Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        }

        @Override
        public void syncDirectory(Path directory) throws IOException {
          // Windows has no handle on a directory; NTFS journals the rename itself.
          if (!System.getProperty("os.name").startsWith("Windows")) {
            try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
              channel.force(true);
            }
          }
        }
      };
}
