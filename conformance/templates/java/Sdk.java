import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * What the worker calls. Replace the body of each method by calls of your SDK; where your SDK has nothing like it, leave
 * what is there: its cases then count as unsupported.
 *
 * <p>As it stands this drives Client below, a small client that delivers events and does little else, so that you
 * can see the worker and the suite at work before you begin.
 */
final class Sdk {
    /** As in the User-Agent. */
    static final String NAME = "example-sdk";

    static final String VERSION = "0.1.0";

    /** The settings of docs/settings.md that your SDK has. */
    static final Set<String> SETTINGS = Set.of("host", "flush_at", "max_retries", "retry_initial_ms");

    private final Client client;

    Sdk(String apiKey, Map<String, String> settings) {
        // If the SDK cannot be created with these settings: throw new Worker.Refused("why", "invalid_setting").
        client = new Client(apiKey, settings);
    }

    /**
     * The event has the members event, distinct_id and properties, and perhaps timestamp, uuid, $set and others.
     *
     * @return the uuid of the event, or null if the SDK does not say it
     */
    String capture(Map<String, Object> event) throws Exception {
        for (String key : event.keySet()) {
            if (!Set.of("event", "distinct_id", "properties", "uuid", "timestamp").contains(key)) {
                throw new Worker.Unsupported("capture has no " + key);
            }
        }
        if (!(event.get("distinct_id") instanceof String)) {
            throw new Worker.Refused("the distinct id must be text", "invalid_distinct_id");
        }
        return client.capture(event);
    }

    /** Returns once every event is settled. The worker adds the time limits of the cases. */
    void flush() throws Exception {
        client.flush();
    }

    void close() throws Exception {
        client.flush();
    }

    /**
     * How many events the SDK says were lost, by reason, since it was created. A reason that all SDKs share is `dropped`,
     * for events that the server dropped. If the SDK does not say it, throw Unsupported: the suite then sees only what
     * arrives.
     */
    Map<String, Long> lost() {
        return client.lost;
    }

    /** distinct_id, set, set_once */
    String identify(Map<String, Object> argument) {
        throw new Worker.Unsupported("the SDK has no identify");
    }

    /** distinct_id, alias */
    String alias(Map<String, Object> argument) {
        throw new Worker.Unsupported("the SDK has no alias");
    }

    /** group_type, group_key, set, distinct_id */
    String groupIdentify(Map<String, Object> argument) {
        throw new Worker.Unsupported("the SDK has no group_identify");
    }

    void register(String key, Object value) {
        throw new Worker.Unsupported("the SDK has no register");
    }

    void unregister(String key) {
        throw new Worker.Unsupported("the SDK has no unregister");
    }

    void optOut() {
        throw new Worker.Unsupported("the SDK has no opt_out");
    }

    void optIn() {
        throw new Worker.Unsupported("the SDK has no opt_in");
    }

    /** Ends the client at once, so that nothing more is sent. */
    void reset() {
        throw new Worker.Unsupported("the SDK has no reset");
    }

    /** Delete this. */
    private static final class Client {
        private static final Set<Integer> RETRYABLE = Set.of(408, 500, 502, 503, 504);
        private static final HttpClient HTTP = HttpClient.newHttpClient();

        final Map<String, Long> lost = new LinkedHashMap<>();
        private final String apiKey;
        private final URI url;
        private final int flushAt;
        private final int attempts;
        private final int waitMs;
        private List<Map<String, Object>> pending = new ArrayList<>();

        Client(String apiKey, Map<String, String> settings) {
            this.apiKey = apiKey;
            url = URI.create(settings.get("host").replaceAll("/+$", "") + "/i/v1/analytics/events");
            flushAt = Integer.parseInt(settings.getOrDefault("flush_at", "100"));
            attempts = Integer.parseInt(settings.getOrDefault("max_retries", "3")) + 1;
            waitMs = Integer.parseInt(settings.getOrDefault("retry_initial_ms", "200"));
        }

        String capture(Map<String, Object> given) throws Exception {
            Map<String, Object> event = new LinkedHashMap<>();
            event.put("timestamp", now());
            event.put("uuid", UUID.randomUUID().toString());
            event.put("options", Map.of());
            event.put("properties", Map.of());
            given.forEach((key, value) -> event.merge(key, value == null ? event.getOrDefault(key, "") : value, (a, b) -> b));
            pending.add(event);
            if (pending.size() >= flushAt) {
                flush();
            }
            return event.get("uuid").toString();
        }

        void flush() throws Exception {
            List<Map<String, Object>> batch = pending;
            pending = new ArrayList<>();
            String requestId = UUID.randomUUID().toString();
            String createdAt = now();
            for (int attempt = 1; attempt <= attempts && !batch.isEmpty(); attempt++) {
                String body = Json.write(Map.of("created_at", createdAt, "batch", batch));
                HttpRequest request = HttpRequest.newBuilder(url)
                        .timeout(Duration.ofSeconds(10))
                        .header("Authorization", "Bearer " + apiKey)
                        .header("Content-Type", "application/json")
                        .header("User-Agent", NAME + "/" + VERSION)
                        .header("PostHog-Sdk-Info", NAME + "/" + VERSION)
                        .header("PostHog-Request-Id", requestId)
                        .header("PostHog-Attempt", "" + attempt)
                        .header("PostHog-Request-Timestamp", now())
                        .POST(HttpRequest.BodyPublishers.ofString(body))
                        .build();
                try {
                    HttpResponse<String> response = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
                    if (response.statusCode() / 100 == 2) {
                        batch = retried(batch, response.body());
                    } else if (!RETRYABLE.contains(response.statusCode())) {
                        break;
                    }
                } catch (java.io.IOException | RuntimeException error) {
                    // A connection that fails is retried like a 503.
                }
                if (!batch.isEmpty()) {
                    Thread.sleep((long) waitMs << (attempt - 1));
                }
            }
            lose("undelivered", batch.size());
        }

        private List<Map<String, Object>> retried(List<Map<String, Object>> batch, String body) {
            Map<?, ?> results = (Map<?, ?>) ((Map<?, ?>) Json.read(body)).get("results");
            List<Map<String, Object>> again = new ArrayList<>();
            for (Map<String, Object> event : batch) {
                Object result = results.get(event.get("uuid")) instanceof Map<?, ?> one ? one.get("result") : null;
                if ("retry".equals(result)) {
                    again.add(event);
                } else if ("drop".equals(result)) {
                    lose("dropped", 1);
                }
            }
            return again;
        }

        private void lose(String reason, long count) {
            if (count > 0) {
                lost.merge(reason, count, Long::sum);
            }
        }

        private static String now() {
            String text = Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
            return text.length() == 20 ? text.replace("Z", ".000Z") : text;
        }
    }
}
