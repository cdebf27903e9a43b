package io.chorale.train.data.read;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A JSON array of objects, streamed. After a syntax error the next element cannot be found, so the
 * rest is unread and the finding says so.
 */
public final class JsonArrayRows implements RowSource {
  private final Path file;
  private final DecodedFile decoded;
  private final JsonParser parser;
  private boolean done;
  private boolean first = true;

  public JsonArrayRows(Path file) throws IOException {
    this.file = file;
    this.decoded = new DecodedFile(file);
    this.parser = JsonRecords.STREAM.getFactory().createParser(decoded.reader());
    parser.nextToken(); // the array's start, seen by DataFile
  }

  @Override
  public RawRow next() throws IOException {
    if (done) {
      return null;
    }
    long line = parser.currentLocation().getLineNr();
    List<Finding> findings = new ArrayList<>();
    Map<String, Object> fields = null;
    try {
      JsonToken token = parser.nextToken();
      line = parser.currentTokenLocation().getLineNr();
      if (token == JsonToken.END_ARRAY) {
        done = true;
        return null;
      }
      if (token == null) {
        findings.add(broken(line, "the file ends inside the array"));
      } else if (token == JsonToken.START_OBJECT) {
        fields = parser.readValueAs(JsonRecords.OBJECT);
      } else {
        findings.add(JsonRecords.notAnObject(file, line, parser.readValueAs(Object.class)));
      }
    } catch (JsonProcessingException e) {
      fields = null;
      findings.add(broken(line, JsonRecords.reason(e)));
    }
    JsonLocation end = parser.currentLocation();
    List<Finding> bytes = decoded.findingsUpTo(end.getLineNr(), first);
    first = false;
    if (bytes.stream().anyMatch(f -> f.kind().error())) {
      fields = null;
    }
    findings.addAll(0, bytes);
    return new RawRow(line, Optional.ofNullable(fields), findings);
  }

  private Finding broken(long line, String reason) {
    done = true;
    return new Finding(
        file,
        line,
        Finding.Kind.UNREADABLE,
        "",
        reason + "; everything after it in the file is unread",
        "mend the JSON there, or write one object a line (.jsonl), where damage costs one row");
  }

  @Override
  public long bytesRead() {
    return decoded.bytesRead();
  }

  @Override
  public void close() throws IOException {
    parser.close();
    decoded.close();
  }
}
