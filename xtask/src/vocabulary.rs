//! One word for one thing: the words that this project no longer uses, and what stands in their place. It covers
//! code, tests, documentation, scripts, headers, bindings, benches and mutations, the names of files included.
//!
//! A text is taken apart into words: identifiers are split at `_` and at capital letters, so that `mailbox` is found
//! in `Mailbox`, `mailbox_len` and "the mailbox". A row is a sequence of such words, on one line or across the line
//! breaks of a comment.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use crate::checks::ensure;
use crate::process::{Outcome, at, tracked};

/// Which words of a text a row looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum In {
    /// All words, also as parts of identifiers, whatever their case.
    Any,
    /// Words of prose: lower case but for the first letter, none of them a part of an identifier.
    Prose,
    /// Identifiers that are exactly this, in this case.
    Exact,
    /// The same in the code of the library, not in prose: a type may have the name of a word that begins a sentence.
    Type,
    /// Parts of identifiers of several words: `behind_value`, not "behind".
    Identifier,
    /// Like `Any`, but in the library only.
    Library,
}

/// What has the library's words: its code, and what is written against it in Rust.
const LIBRARY: &[&str] = &["src/", "compression/", "fuzz/src/", "fuzz/targets/", "mutations/"];

#[derive(Clone, Copy)]
struct Row {
    /// Alternatives, separated by `|`; each is one word or several.
    words: &'static str,
    instead: &'static str,
    place: In,
    /// The words before or behind it that make it plain English.
    unless: &'static [&'static str],
}

const fn any(words: &'static str, instead: &'static str) -> Row {
    Row { words, instead, place: In::Any, unless: &[] }
}

const fn prose(words: &'static str, instead: &'static str) -> Row {
    Row { words, instead, place: In::Prose, unless: &[] }
}

const fn exact(words: &'static str, instead: &'static str) -> Row {
    Row { words, instead, place: In::Exact, unless: &[] }
}

/// A type of the library.
const fn in_code(words: &'static str, instead: &'static str) -> Row {
    Row { words, instead, place: In::Type, unless: &[] }
}

const fn unless(row: Row, unless: &'static [&'static str]) -> Row {
    Row { unless, ..row }
}

const fn within(place: In, row: Row) -> Row {
    Row { place, ..row }
}

const ROWS: &[Row] = &[
    // Phrases.
    // Unless it is a function or a type of the crate that reads DNS messages.
    unless(
        any(
            "answer|answers|answered|answering|answerable|unanswered",
            "returns (a function); responds, response (a server)",
        ),
        &["is", "start", "builder"],
    ),
    any("face|faces", "binding"),
    any("manners", "conventions"),
    any("rooms", "modules"),
    unless(any("room", "module"), &["make", "makes", "made", "is", "has", "have", "for", "no"]),
    any("referee|referees", "test server"),
    any("nobody|whoever|whomever", "what it is: no caller, no thread, the host"),
    any("for want of", "without"),
    unless(prose("all the same", "nevertheless, or leave it out"), &["are", "is", "be"]),
    prose("be it", "whether"),
    unless(
        prose("is no|are no|was no", "is not a"),
        &[
            "there", "longer", "more", "other", "such", "better", "later", "earlier", "larger", "smaller",
            "greater", "less",
        ],
    ),
    unless(prose("is none|that none", "is not one; is empty"), &["there"]),
    any("news", "reports_ready"),
    any("told|telling", "reported, named, passed"),
    unless(
        prose("tell|tells", "report, say, name"),
        &["reader", "readers", "you", "user", "people", "developer"],
    ),
    any("odd|oddly", "slow, unusual"),
    unless(any("usual", "common, fast"), &["as"]),
    any("deliberate fault|deliberate faults|mutant|mutants", "mutation"),
    any("trouble|troubles", "error, failure"),
    any("last will", "what runs when the send loop ends"),
    prose("the hold|a hold|outage hold", "circuit breaker (open, half-open, closed)"),
    // State and reports.
    any("books", "state (DeliveryState)"),
    any("ledger|ledgers", "stats (Stats)"),
    any("mailbox|mailboxes", "report queue (ReportQueue)"),
    any("tray|trays", "test queue (TestQueue)"),
    any("beacon|beacons", "readiness fd (ReadinessFd)"),
    any("stray|strays", "unaccounted"),
    any("fate|fates", "disposition, outcome"),
    any("outlook", "AttemptDecision"),
    any("judge|judges|judged|judging|judgement|judgements|judgment", "decide, AttemptDecision"),
    within(In::Identifier, any("remark|remarks", "warning, VerdictDetails")),
    any("ticket|tickets", "flush (FlushId)"),
    any("lease|leases", "I/O thread guard (IoThreadGuard)"),
    any("lingering", "timer_kept_until"),
    any("shaped", "special"),
    unless(
        any("hook|hooks", "before_send callback"),
        &["pairs", "panic", "set", "signal", "take", "webhook"],
    ),
    // Types.
    in_code("Books", "DeliveryState"),
    in_code("Notes", "LogQueue"),
    in_code("Shared", "Inner"),
    in_code("Life", "ProcessState"),
    in_code("LastWill", "SenderExitGuard"),
    in_code("PerGeneration", "PerProcess"),
    in_code("Alarm", "WakeOn"),
    in_code("Word", "Verdict"),
    in_code("Made", "AttemptResult"),
    in_code("Dispatch", "AttemptRequest"),
    in_code("Outage", "CircuitBreaker"),
    in_code("Remark", "VerdictDetails"),
    in_code("Cargo", "Payload"),
    in_code("Cutting", "BatchLimits"),
    in_code("Segment", "OpenBatch"),
    in_code("Additions", "SuperProperties"),
    in_code("Draft", "EventInput"),
    in_code("Given", "PropertiesInput"),
    in_code("Outside", "TopLevel"),
    in_code("Scratch", "Encoder"),
    in_code("Quick", "fast"),
    exact("Listener", "ReportCallback"),
    // Names.
    within(In::Identifier, any("behind", "skip")),
    within(In::Library, any("generation|generations", "fork epoch")),
    within(In::Library, any("alarm", "WakeOn")),
    within(In::Library, any("silence", "sender_stopped")),
    within(In::Library, any("additions", "super properties")),
    within(In::Library, any("scratch", "encoder")),
    exact("lose_everything", "fail_all_pending"),
    exact("pass_over", "skip_losses"),
    exact("is_heard", "has_callback"),
    exact("look_at_captured", "peek_test_event"),
    exact("phc_config_error", "phc_last_error"),
    exact("phc_count_dropped", "phc_binding_count_discarded"),
    exact("phc_test_next", "phc_binding_next_test_event"),
    exact("PHC_KEEP", "PHC_BEFORE_SEND_KEEP"),
    exact("PHC_DROP", "PHC_BEFORE_SEND_DISCARD"),
    exact("phc_report_status", "phc_report_http_status"),
];

/// Files that nobody here writes, or that speak of what was; and where these words are listed.
const LEFT_OUT: &[&str] = &[
    "xtask/src/vocabulary.rs",
    "docs/third-party/",
    "fuzz/corpus/",
    "fuzz/regressions/",
    "CHANGELOG.md",
    "LICENSE",
    "bindings/php/LICENSE",
    "bindings/ruby/LICENSE",
    // Generated, with sources that are covered.
    "docs/benchmarks/",
];
const LEFT_OUT_ENDINGS: &[&str] = &[".lock", "go.sum", ".svg"];

/// A use of a word that is right where it is: file and word.
const EXCEPTIONS: &[(&str, &str)] = &[
    // net.Listener of Go.
    ("examples/go-gin/main.go", "Listener"),
    ("examples/go-http/main.go", "Listener"),
];

/// `vocabulary [FILE…]`: all files, or these.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let files = if arguments.is_empty() { tracked()? } else { arguments.to_vec() };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut total, mut read) = (0, 0);
    for file in files.iter().filter(|file| is_covered(file)) {
        let Ok(text) = std::fs::read_to_string(at(file)) else { continue };
        read += 1;
        for hit in hits(file, &text) {
            println!("{file}:{}: \"{}\": {}", hit.line, hit.found, hit.instead);
            *counts.entry(hit.found).or_default() += 1;
            total += 1;
        }
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
    let summary: Vec<_> = sorted.iter().map(|(word, count)| format!("{word} {count}")).collect();
    if total > 0 {
        println!("by word: {}", summary.join(", "));
    }
    println!("vocabulary: {read} files, {total} words to replace");
    ensure(total == 0, || "the table is xtask/src/vocabulary.rs".to_owned())
}

fn is_covered(file: &str) -> bool {
    !LEFT_OUT.iter().any(|front| file.starts_with(front))
        && !LEFT_OUT_ENDINGS.iter().any(|end| file.ends_with(end))
}

#[derive(Debug, PartialEq, Eq)]
struct Hit {
    /// 0 is the file's name.
    line: usize,
    found: String,
    instead: &'static str,
}

/// One word of a text.
struct Piece<'a> {
    /// In lower case.
    word: String,
    /// The identifier that it is a part of.
    identifier: &'a str,
    /// Whether it is the first word of its identifier.
    is_first: bool,
    line: usize,
    /// Whether it stands in a comment, and not in backquotes.
    is_prose: bool,
    /// Whether only white space, a line break or marks of a comment are between it and the word before.
    follows: bool,
}

fn hits(file: &str, text: &str) -> Vec<Hit> {
    let is_in_library = LIBRARY.iter().any(|front| file.starts_with(front)) && !file.ends_with(".md");
    let mut found = Vec::new();
    for (pieces, is_name) in [(pieces(file), true), (pieces(text), false)] {
        for (place, piece) in pieces.iter().enumerate() {
            for row in beginning_with(&piece.word) {
                if matches!(row.place, In::Type | In::Library) && !is_in_library {
                    continue;
                }
                if let Some(words) = matches(row, &pieces, place) {
                    if !EXCEPTIONS.contains(&(file, words.as_str())) {
                        let line = if is_name { 0 } else { piece.line };
                        found.push(Hit { line, found: words, instead: row.instead });
                    }
                    break;
                }
            }
        }
    }
    found
}

/// The rows of which an alternative begins with this word, in their order.
fn beginning_with(word: &str) -> &'static [Row] {
    static ROWS_BY_WORD: LazyLock<HashMap<String, Vec<Row>>> = LazyLock::new(|| {
        let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
        for row in ROWS {
            let mut first: Vec<String> = Vec::new();
            for words in row.words.split('|') {
                let word = words.split(' ').next().unwrap_or_default();
                first.extend(split(word).first().map(|word| word.to_lowercase()));
            }
            first.sort();
            first.dedup();
            for word in first {
                rows.entry(word).or_default().push(*row);
            }
        }
        rows
    });
    ROWS_BY_WORD.get(word).map_or(&[], Vec::as_slice)
}

/// The words of the row that begin at this place.
fn matches(row: &Row, pieces: &[Piece<'_>], place: usize) -> Option<String> {
    let piece = pieces.get(place)?;
    if matches!(row.place, In::Exact | In::Type) {
        let is_it = piece.is_first && row.words.split('|').any(|word| word == piece.identifier);
        // `Cargo.toml` is a file.
        let is_plain = row.place == In::Type && (piece.is_prose || is_file_name(pieces, place));
        return (is_it && !is_plain).then(|| piece.identifier.to_owned());
    }
    let is_word = |piece: &Piece<'_>, word: &str, number: usize| {
        let is_whole = |begin: usize| piece.identifier.get(begin..) == word.get(begin..);
        piece.word == word && (row.place != In::Prose || is_whole(usize::from(number == 0)))
    };
    let words = row.words.split('|').find(|words| {
        words.split(' ').enumerate().all(|(number, word)| {
            let piece = pieces.get(place + number);
            piece.is_some_and(|piece| is_word(piece, word, number) && (number == 0 || piece.follows))
        })
    })?;
    let count = words.split(' ').count();
    let is_part = pieces
        .get(place + 1)
        .is_some_and(|next| !next.is_first && std::ptr::eq(next.identifier, piece.identifier));
    if row.place == In::Identifier && (!piece.is_first || !is_part) {
        return None;
    }
    let before = place.checked_sub(1).and_then(|before| pieces.get(before)).filter(|_| piece.follows);
    let behind = pieces.get(place + count).filter(|behind| behind.follows);
    // "there is no", and "an error tells the reader".
    let further = pieces.get(place + count + 1).filter(|further| further.follows);
    let around = [before, behind, further];
    let is_plain = around.iter().flatten().any(|piece| row.unless.contains(&piece.word.as_str()));
    (!is_plain).then(|| words.to_owned())
}

/// Whether `toml` or `lock` comes next, behind a dot.
fn is_file_name(pieces: &[Piece<'_>], place: usize) -> bool {
    pieces.get(place + 1).is_some_and(|next| next.word == "toml" || next.word == "lock")
}

/// The words of a text, in order.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut line, mut gap_is_plain, mut is_comment, mut before) = (1, false, false, ' ');
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
            let (identifier, behind) = rest.split_at(end);
            for (number, word) in split(identifier).into_iter().enumerate() {
                pieces.push(Piece {
                    word: word.to_lowercase(),
                    identifier,
                    is_first: number == 0,
                    line,
                    is_prose: is_comment && !"`[:".contains(before),
                    follows: gap_is_plain || number > 0,
                });
            }
            (rest, gap_is_plain) = (behind, true);
        } else {
            // Between two words of a phrase: white space, a hyphen, and what begins a line of a comment.
            gap_is_plain &= first.is_whitespace() || "/*#+-!>".contains(first);
            line += usize::from(first == '\n');
            is_comment = first != '\n' && (is_comment || rest.starts_with("//"));
            before = first;
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    pieces
}

/// The words of an identifier: `ReportQueue`, `report_queue`, `REPORT_QUEUE` and `HTTPStatus` are two each.
fn split(identifier: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in identifier.split('_').filter(|part| !part.is_empty()) {
        let characters: Vec<(usize, char)> = part.char_indices().collect();
        let mut begin = 0;
        for (number, (place, character)) in characters.iter().enumerate().skip(1) {
            let before = characters.get(number - 1).map_or(' ', |(_, before)| *before);
            let is_lower =
                |more: usize| characters.get(number + more).is_some_and(|(_, next)| next.is_lowercase());
            let begins =
                character.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit() || is_lower(1));
            if begins {
                words.extend(part.get(begin..*place));
                begin = *place;
            }
        }
        words.extend(part.get(begin..));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, text: &str) -> Vec<String> {
        hits(file, text).into_iter().map(|hit| format!("{}: {}", hit.line, hit.found)).collect()
    }

    #[test]
    fn a_word_is_found_in_text_and_in_every_form_of_an_identifier() {
        for text in
            ["the mailbox", "Mailbox::new", "mailbox_len", "MAILBOX_MAX", "reportMailbox", "two mailboxes"]
        {
            assert_eq!(found("a.md", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_word_within_another_one_is_another_word() {
        let text = "surface, interface, default, release, portray, Portray, bookshelf, mushroom, mutable, remarkable";
        assert_eq!(found("a.md", text), [""; 0]);
    }

    #[test]
    fn a_phrase_is_found_across_the_lines_of_a_comment() {
        assert_eq!(found("a.rs", "//! the sender's last\n//! will"), ["1: last will"]);
        assert_eq!(found("a.c", "/* x\n * for want\n * of y */"), ["2: for want of"]);
        assert_eq!(found("a.rs", "at last. Will it"), [""; 0]);
    }

    #[test]
    fn prose_does_not_match_parts_of_an_identifier() {
        assert_eq!(found("a.md", "It is no file. It tells."), ["1: is no", "1: tells"]);
        assert_eq!(found("a.md", "is_no_file, tell_reader"), [""; 0]);
    }

    #[test]
    fn plain_english_is_left_alone() {
        for text in [
            "There is no file.",
            "value.is_none() or value is None",
            "It is no longer there.",
            "An error tells the reader what to do.",
            "cargo build; Cargo.toml and Cargo.lock",
            "behind a proxy",
            "std::panic::set_hook(…)",
            "a short cut, a good word, notes, life, drafts, a sink that holds a response",
        ] {
            assert_eq!(found("a.rs", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn types_are_found_in_their_case_and_as_whole_words() {
        let code = "// Life is short, `Made`\nstruct Life; struct Cargo { a: LifeTime }";
        assert_eq!(found("src/a.rs", code), ["1: Made", "2: Life", "2: Cargo"]);
        assert_eq!(found("xtask/src/a.rs", code), [""; 0]);
        assert_eq!(found("a.rs", "fn behind_value() {}"), ["1: behind"]);
    }

    #[test]
    fn a_file_s_name_counts_and_a_patch_s_context_does() {
        assert_eq!(found("src/mailbox.rs", ""), ["0: mailbox"]);
        assert_eq!(found("mutations/m.patch", " let x = 1;\n-let alarm = 2;"), ["2: alarm"]);
        assert_eq!(found("m.c", "alarm(60);"), [""; 0]);
    }

    #[test]
    fn an_identifier_is_split_at_its_humps() {
        assert_eq!(split("HTTPStatus"), ["HTTP", "Status"]);
        assert_eq!(split("phc_test_next"), ["phc", "test", "next"]);
        assert_eq!(split("reportQueue2X"), ["report", "Queue2", "X"]);
    }
}
