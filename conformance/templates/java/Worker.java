import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A conformance worker in Java. It speaks the worker protocol (JSON lines on standard input and output) and calls the
 * class Sdk. Only Sdk.java is yours to write; its comments say what belongs there.
 *
 * <pre>
 * javac -d classes *.java
 * java -cp classes Worker
 * </pre>
 */
public final class Worker {
    /** The SDK has nothing like the call, or cannot be given its argument. The case is then not counted. */
    static final class Unsupported extends RuntimeException {
        Unsupported(String reason) {
            super(reason);
        }
    }

    /** The SDK refused the call. */
    static final class Refused extends RuntimeException {
        final String status;

        Refused(String message, String status) {
            super(message);
            this.status = status;
        }
    }

    private interface Call {
        void make() throws Exception;
    }

    private Sdk sdk;
    private long captured;
    private long lostBefore;
    private final List<Thread> flushes = new ArrayList<>();

    public static void main(String[] arguments) throws IOException {
        // What the SDK prints must not be taken for a response.
        PrintStream responses = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Worker worker = new Worker();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            responses.println(Json.write(worker.respond(line)));
        }
        Runtime.getRuntime().halt(0);
    }

    private Map<String, Object> respond(String line) {
        try {
            Map<String, Object> request = members(Json.read(line));
            String call = (String) request.get("do");
            Map<String, Object> response = new LinkedHashMap<>();
            if (!call.equals("hello")) {
                response.put("status", "ok");
            }
            response.putAll(make(call, request.get("with")));
            return response;
        } catch (Unsupported | StackOverflowError reason) {
            String text = reason instanceof Unsupported ? reason.getMessage() : "nested too deep";
            return Map.of("unsupported", text);
        } catch (Refused refused) {
            return Map.of("status", refused.status, "message", readable(refused.getMessage()));
        } catch (Exception error) {
            // The SDK's own: to its user, the call has failed.
            return Map.of("status", "refused", "message", readable(error.toString()));
        }
    }

    /** With U+FFFD for lone surrogates, which the runner refuses. */
    private static String readable(String message) {
        return message.replaceAll("\\p{Cs}", "\ufffd");
    }

    private Map<String, Object> make(String call, Object with) throws Exception {
        Map<String, Object> argument = with instanceof Map ? members(with) : Map.of();
        switch (call) {
            case "hello":
                return Map.of("sdk_name", Sdk.NAME, "sdk_version", Sdk.VERSION, "forms", List.of("arguments"));
            case "init":
                return init(argument);
            case "capture":
                return captures(sdk.capture(argument));
            case "capture_text":
                return captures(sdk.capture(event((String) with)));
            case "identify":
                return captures(sdk.identify(argument));
            case "alias":
                return captures(sdk.alias(argument));
            case "group_identify":
                return captures(sdk.groupIdentify(argument));
            case "register":
                sdk.register((String) argument.get("key"), argument.get("value"));
                return Map.of();
            case "unregister":
                sdk.unregister((String) with);
                return Map.of();
            case "opt_out":
                sdk.optOut();
                return Map.of();
            case "opt_in":
                sdk.optIn();
                return Map.of();
            case "flush":
                return settled(begin(sdk::flush), argument);
            case "flush_begin":
                flushes.add(begin(sdk::flush));
                return Map.of("result", Map.of("flush", flushes.size() - 1));
            case "flush_wait":
                return settled(flushes.get(((Long) argument.get("flush")).intValue()), argument);
            case "close":
                return settled(begin(sdk::close), argument);
            case "stats":
                return Map.of("result", Map.of("captured", captured, "lost", sdk.lost()));
            case "reset":
                sdk.reset();
                return Map.of();
            default:
                throw new Unsupported("the worker has no call " + call);
        }
    }

    private Map<String, Object> init(Map<String, Object> argument) throws Exception {
        List<?> optional = (List<?>) argument.get("optional");
        Map<String, String> settings = new LinkedHashMap<>();
        for (Map.Entry<String, Object> setting : members(argument.get("settings")).entrySet()) {
            if (Sdk.SETTINGS.contains(setting.getKey())) {
                settings.put(setting.getKey(), (String) setting.getValue());
            } else if (!optional.contains(setting.getKey())) {
                throw new Unsupported("there is no setting " + setting.getKey());
            }
        }
        captured = 0;
        lostBefore = 0;
        flushes.clear();
        sdk = new Sdk((String) argument.get("api_key"), settings);
        return Map.of();
    }

    private Map<String, Object> event(String text) {
        try {
            return members(Json.read(text));
        } catch (IllegalArgumentException | ClassCastException error) {
            throw new Unsupported("events are values, not JSON text");
        }
    }

    private Map<String, Object> captures(String uuid) {
        captured++;
        return uuid == null ? Map.of() : Map.of("uuid", uuid);
    }

    private static Thread begin(Call call) {
        Thread thread = new Thread(() -> {
            try {
                call.make();
            } catch (Exception error) {
                System.err.println(error);
            }
        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    private Map<String, Object> settled(Thread call, Map<String, Object> argument) throws InterruptedException {
        // join(0) would wait for ever.
        call.join(Math.max(1, (Long) argument.get("timeout_ms")));
        if (call.isAlive()) {
            return Map.of("status", "timeout", "message", "events are still pending");
        }
        long lost = 0;
        try {
            lost = sdk.lost().values().stream().mapToLong(Long::longValue).sum();
        } catch (Unsupported reason) {
            return Map.of();
        }
        boolean isMore = lost > lostBefore;
        lostBefore = lost;
        return isMore ? Map.of("status", "lost_events", "message", "events were lost") : Map.of();
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> members(Object value) {
        return (Map<String, Object>) value;
    }
}
