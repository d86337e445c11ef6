use super::generators::Maker;
use super::reference::Reference;
use crate::json::cursor::{Cursor, SyntaxError};
use crate::random::Random;

/// Reads one value; returns where it ends and whether it has a lone surrogate.
fn read(text: &[u8]) -> Result<(usize, bool), SyntaxError> {
    let mut cursor = Cursor::new(text);
    let end = cursor.value(0, 0);
    match end.and_then(|end| cursor.end(end)) {
        Some(()) => Ok((end.unwrap(), cursor.saw_lone_surrogate())),
        None => Err(cursor.error()),
    }
}

#[test]
fn accepts_and_refuses_what_rfc_8259_says() {
    let good = [
        "{}",
        "[]",
        " [ ] ",
        "0",
        "-0",
        "1.5e+3",
        "\"\"",
        "null",
        "true",
        "false",
        r#"{"a":[1,{"b":null}],"c":"\n\u00e9\ud83d\ude00"}"#,
        "123456789012345678901234567890",
        "1e308",
        "1e-999",
        "[[],{}]",
    ];
    for text in good {
        assert_eq!(read(text.as_bytes()), Ok((text.trim_end().len(), false)), "{text}");
    }
    let bad = [
        "",
        " ",
        "{",
        "[",
        "[1,]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "nul",
        "nulll",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "[1}",
        "{]",
        "1 2",
        "'a'",
        "NaN",
        "Infinity",
        "-",
        "--1",
        "\"\\u+123\"",
        "\u{feff}{}",
        "\0",
        "{}\0",
    ];
    for text in bad {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn agrees_with_serde_json_on_mutated_text() {
    let seed = br#"{"a":[1,-2.5e3,"x\u0041\n",{"$b":null}],"c":true,"d":"\ud83d\ude00"}"#;
    let alphabet = b"{}[]:,\"\\ue0-+.9 tfn\n";
    let mut checked = 0;
    for position in 0..seed.len() {
        for &byte in alphabet {
            let mut text = seed.to_vec();
            text[position] = byte;
            let theirs = serde_json::from_slice::<serde_json::Value>(&text).is_ok();
            let ours = matches!(read(&text), Ok((_, false)));
            assert_eq!(ours, theirs, "{}", text.escape_ascii());
            checked += 1;
        }
    }
    assert!(checked > 1000);
}

#[test]
fn bounds_depth() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(read(nested(100).as_bytes()).is_ok());
    let error = read(nested(101).as_bytes()).unwrap_err();
    assert_eq!((error.at, error.what), (100, "nesting deeper than 100 containers is refused"));
    let objects = |n: usize| "{\"a\":".repeat(n) + "1" + &"}".repeat(n);
    assert!(read(objects(100).as_bytes()).is_ok());
    assert!(read(objects(101).as_bytes()).is_err());
    assert!(read("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn refuses_numbers_beyond_a_double_unless_it_is_lenient() {
    let long = "9".repeat(400);
    for (number, fits) in [("1e309", false), ("-1e400", false), (&long[..308], true), (&long, false)] {
        assert_eq!(read(number.as_bytes()).is_ok(), fits, "{number}");
        assert_eq!(Cursor::lenient(number.as_bytes()).value(0, 0), Some(number.len()), "{number}");
    }
}

#[test]
fn notices_lone_surrogates() {
    for (text, lone) in [
        (r#""\ud800""#, true),
        (r#""\udc00x""#, true),
        (r#""\ud800\ud83d\ude00""#, true),
        (r#""\uD83D\uDE00""#, false),
        (r#""\\ud800""#, false),
    ] {
        assert_eq!(read(text.as_bytes()), Ok((text.len(), lone)), "{text}");
    }
    assert!(read(br#""\ud800\u12""#).is_err());
}

#[test]
fn reports_members_and_skips_what_is_compared() {
    let text = br#" { "a" : [1, 2] , "\u0062":{} } "#;
    let mut seen = Vec::new();
    let mut cursor = Cursor::new(text);
    let end = cursor
        .members(0, 0, |member| {
            seen.push((&text[member.key.inside], member.key.escaped, &text[member.value]));
        })
        .unwrap();
    assert_eq!(seen, [(&b"a"[..], false, &b"[1, 2]"[..]), (br"\u0062", true, b"{}")]);
    cursor.end(end).unwrap();

    // Strings that were skipped are not taken for those behind them.
    let text = br#"{"a":{"b":"c"},"d":"e"}"#;
    let mut cursor = Cursor::new(text);
    let (_, at) = cursor.open_object(0, 0).unwrap();
    let (_, at) = cursor.key(at).unwrap();
    assert_eq!(cursor.skip(at, br#"{"x":"c"}"#), None);
    let at = cursor.skip(at, br#"{"b":"c"}"#).unwrap();
    let (_, at) = cursor.next_member(at).unwrap();
    let (key, at) = cursor.key(at).unwrap();
    assert_eq!((cursor.slice(&key.inside), cursor.value(at, 1)), (&b"d"[..], Some(22)));
}

/// Keys that are short, long, or look like syntax.
const KEYS: [&str; 9] = [
    "a",
    "",
    "key",
    "é\u{1F600}",
    "{",
    "],:",
    "with \"quotes\"",
    "\n\u{0}",
    "a key that is longer than a block of sixteen, and than one of sixty-four bytes too",
];

/// What is checked of one text, wherever the blocks begin in it.
fn agrees_with_the_reference(text: &[u8]) -> bool {
    let mut reference = Reference::new(text);
    let expected = reference.whole().map(|end| (end, reference.saw_lone_surrogate));
    assert_eq!(read(text), expected, "{}", text.escape_ascii());

    let mut cursor = Cursor::new(text);
    let mut members = Vec::new();
    let end = cursor.members(0, 0, |member| members.push(member)).and_then(|end| cursor.end(end));
    let found = end.map(|()| members).ok_or_else(|| cursor.error());
    assert_eq!(found, Reference::new(text).object(), "{}", text.escape_ascii());
    if found.is_ok() {
        let sound_ascii = text.is_ascii() && !reference.saw_lone_surrogate;
        assert_eq!(cursor.saw_sound_ascii(), sound_ascii, "{}", text.escape_ascii());
    }
    expected.is_ok()
}

#[test]
fn agrees_with_the_naive_reader() {
    let (mut accepted, mut refused, mut repaired) = (0, 0, 0);
    for seed in 0..30_000 {
        let mut maker = Maker::any(seed, &KEYS);
        let space = " ".repeat(maker.below(70));
        let text = if maker.random.percent(80) { maker.object(3) } else { maker.value(3) };
        let text = [space.into_bytes(), maker.mutated(text)].concat();
        if agrees_with_the_reference(&text) {
            accepted += 1;
            repaired += usize::from(serde_json::from_slice::<serde_json::Value>(&text).is_err());
        } else {
            refused += 1;
        }
    }
    // What a strict reader refuses and the cursor does not is invalid UTF-8 or a lone surrogate.
    assert!(accepted > 12_000 && refused > 8_000, "{accepted} accepted, {refused} refused");
    assert!(repaired > 100 && repaired < accepted / 10, "{repaired} repaired of {accepted}");
}

#[test]
fn agrees_with_the_naive_reader_wherever_a_block_begins() {
    let texts = [
        r#"{"a":[1,-2.5,"x", {"$b":null,"c":{}}],"long key that goes on":true,"d":"é value","e":[[],0.1]}"#,
        r#"[{"a":"b"},{"c":[{"d":"}"},"{","[:,"]},12345678901234567890,"the end of a block of sixty-four",1]"#,
        r#"{"a":"\"\\\"","b\\":"\u0041\ud83d\ude00 and \ud800 alone","c":"\\","d":""}"#,
        "{\n  \"a\": \"b\",\n  \"c\": [\n    \"d\",\n    {\"e\": \"\"}\n  ]\n}",
    ];
    for text in texts {
        for before in 0..130 {
            let text = " ".repeat(before) + text;
            for length in [text.len(), text.len() - 1, text.len() / 2] {
                agrees_with_the_reference(&text.as_bytes()[..length]);
            }
        }
    }
}

#[test]
fn any_bytes_agree_with_the_naive_reader() {
    for seed in 0..40_000 {
        let mut random = Random::new(seed);
        let text: Vec<u8> = (0..random.below(90))
            .map(|_| random.one_of(b"\"\"\"\"\\\\{}[]::,, \n0123eE+-.tfnu\x00\x1f\x7f\x80\xffabcdD8"))
            .collect();
        agrees_with_the_reference(&text);
        agrees_with_the_reference(&[b"{\"", &text[..], b"\":\"", &text[..], b"\"}"].concat());
    }
}
