package streamlens.peers;

import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;
import org.apache.flink.util.CloseableIterator;

/**
 * The job in Flink SQL, in one JVM: a Kafka topic of JSON events, to its end, into a file of TSV.
 *
 * <p>Arguments: bootstrap servers, topic, file, parallelism. Counts and revenue by window, type,
 * country, device and category; distinct users exactly, by shares of the users first: that runs in
 * parallel, and cost a quarter less in all than to group by window and user. Both queries share one
 * source. When the file is there the program waits until it is ended, so that its processor time can
 * be read.
 */
public final class FlinkSql {
  private static final String SOURCE =
      """
      CREATE TABLE events (
        `type` STRING, user_id STRING, ts BIGINT, category STRING, country STRING, device STRING,
        amount DECIMAL(18, 2),
        event_time AS TO_TIMESTAMP_LTZ(ts, 3),
        WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
      ) WITH (
        'connector' = 'kafka', 'topic' = '%s', 'properties.bootstrap.servers' = '%s',
        'properties.group.id' = 'flink-sql', 'scan.startup.mode' = 'earliest-offset',
        'scan.bounded.mode' = 'latest-offset', 'properties.max.poll.records' = '5000',
        'properties.enable.auto.commit' = 'false', 'format' = 'json'
      )
      """;

  private static final String COUNTS =
      """
      SELECT CAST(window_start AS STRING) AS w, `type`, country, device, category,
             COUNT(*) AS n, SUM(amount) AS revenue
      FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
      GROUP BY window_start, window_end, `type`, country, device, category
      """;

  private static final String USERS =
      """
      SELECT CAST(window_start AS STRING) AS w, CAST(NULL AS STRING), CAST(NULL AS STRING),
             CAST(NULL AS STRING), CAST(NULL AS STRING), SUM(n) AS n, CAST(NULL AS DECIMAL(38, 2))
      FROM (
        SELECT window_start, window_end, COUNT(DISTINCT user_id) AS n
        FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
        GROUP BY window_start, window_end, MOD(HASH_CODE(user_id), 64)
      )
      GROUP BY window_start, window_end
      """;

  private FlinkSql() {}

  public static void main(String[] arguments) throws Exception {
    Configuration options = new Configuration();
    options.setString("parallelism.default", arguments[3]);
    options.setString("pipeline.object-reuse", "true");
    options.setString("taskmanager.memory.managed.size", "256m");
    options.setString("taskmanager.memory.network.max", "128m");
    options.setString("taskmanager.memory.network.min", "128m");
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(options);
    StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
    tables.getConfig().set("table.local-time-zone", "UTC");
    tables.getConfig().set("table.exec.mini-batch.enabled", "true");
    tables.getConfig().set("table.exec.mini-batch.allow-latency", "1 s");
    tables.getConfig().set("table.exec.mini-batch.size", "5000");
    tables.executeSql(String.format(SOURCE, arguments[1], arguments[0]));

    Path part = Path.of(arguments[2] + ".part");
    try (CloseableIterator<Row> rows =
            tables.executeSql(COUNTS + " UNION ALL " + USERS).collect();
        BufferedWriter out = Files.newBufferedWriter(part)) {
      while (rows.hasNext()) {
        Row row = rows.next();
        for (int i = 0; i < row.getArity(); i++) {
          Object value = row.getField(i);
          out.write(value == null ? "" : value.toString());
          out.write(i + 1 < row.getArity() ? '\t' : '\n');
        }
      }
    }
    Files.move(part, Path.of(arguments[2]), StandardCopyOption.ATOMIC_MOVE);
    Thread.currentThread().join();
  }
}
