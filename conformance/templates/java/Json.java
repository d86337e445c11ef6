import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads and writes JSON as maps, lists, texts, numbers, booleans and null. */
final class Json {
    private final String text;
    private int place;

    private Json(String text) {
        this.text = text;
    }

    /** Refuses what Java cannot pass on unchanged with {@link Worker.Unsupported}. */
    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.blank();
        if (json.place < text.length()) {
            throw json.wrong();
        }
        return value;
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("not JSON at " + place);
    }

    private void blank() {
        while (place < text.length() && " \t\r\n".indexOf(text.charAt(place)) >= 0) {
            place++;
        }
    }

    private boolean take(char c) {
        blank();
        boolean found = place < text.length() && text.charAt(place) == c;
        if (found) {
            place++;
        }
        return found;
    }

    private void need(char c) {
        if (!take(c)) {
            throw wrong();
        }
    }

    private Object value() {
        blank();
        if (take('{')) {
            return object();
        }
        if (take('[')) {
            return list();
        }
        if (take('"')) {
            return string();
        }
        for (String word : List.of("true", "false", "null")) {
            if (text.startsWith(word, place)) {
                place += word.length();
                return word.equals("null") ? null : (Object) word.equals("true");
            }
        }
        return number();
    }

    private Map<String, Object> object() {
        Map<String, Object> members = new LinkedHashMap<>();
        if (take('}')) {
            return members;
        }
        do {
            need('"');
            String key = string();
            need(':');
            if (members.containsKey(key)) {
                throw new Worker.Unsupported("a map has no key twice");
            }
            members.put(key, value());
        } while (take(','));
        need('}');
        return members;
    }

    private List<Object> list() {
        List<Object> elements = new ArrayList<>();
        if (take(']')) {
            return elements;
        }
        do {
            elements.add(value());
        } while (take(','));
        need(']');
        return elements;
    }

    private String string() {
        StringBuilder out = new StringBuilder();
        while (place < text.length()) {
            char c = text.charAt(place++);
            if (c == '"') {
                return out.toString();
            }
            if (c < ' ') {
                throw wrong();
            }
            out.append(c == '\\' ? escaped() : c);
        }
        throw wrong();
    }

    private char escaped() {
        char c = place < text.length() ? text.charAt(place++) : ' ';
        if (c == 'u' && place + 4 <= text.length()) {
            place += 4;
            return (char) Integer.parseInt(text.substring(place - 4, place), 16);
        }
        int known = "\"\\/bfnrt".indexOf(c);
        if (known < 0) {
            throw wrong();
        }
        return "\"\\/\b\f\n\r\t".charAt(known);
    }

    private Number number() {
        int from = place;
        while (place < text.length() && "+-.eE0123456789".indexOf(text.charAt(place)) >= 0) {
            place++;
        }
        String number = text.substring(from, place);
        if (!number.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?")) {
            throw wrong();
        }
        if (number.matches("-?\\d+") && !number.equals("-0")) {
            BigInteger whole = new BigInteger(number);
            return whole.bitLength() < 64 ? (Number) whole.longValue() : whole;
        }
        double value = Double.parseDouble(number);
        boolean isNegativeZero = value == 0 && number.startsWith("-");
        boolean isExact = Double.isInfinite(value) || new BigDecimal(number).compareTo(new BigDecimal("" + value)) == 0;
        if (isNegativeZero || !isExact) {
            throw new Worker.Unsupported("a double does not hold " + number);
        }
        return value;
    }

    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof Map<?, ?> members) {
            String before = "{";
            for (Map.Entry<?, ?> member : members.entrySet()) {
                out.append(before);
                write(member.getKey().toString(), out);
                out.append(':');
                write(member.getValue(), out);
                before = ",";
            }
            out.append(members.isEmpty() ? "{}" : "}");
        } else if (value instanceof List<?> elements) {
            String before = "[";
            for (Object element : elements) {
                out.append(before);
                write(element, out);
                before = ",";
            }
            out.append(elements.isEmpty() ? "[]" : "]");
        } else if (value instanceof String string) {
            out.append('"');
            for (char c : string.toCharArray()) {
                if (c == '"' || c == '\\') {
                    out.append('\\').append(c);
                } else if (c < ' ' || Character.isSurrogate(c)) {
                    out.append(String.format("\\u%04x", (int) c));
                } else {
                    out.append(c);
                }
            }
            out.append('"');
        } else {
            out.append(value);
        }
    }
}
