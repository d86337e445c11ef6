//! Patterns of the operators `regex` and `not_regex`.
//!
//! The server's engine, fancy-regex, has a parser of its own. What needs no backtracking it gives to the engine that is
//! used here, which takes a time that is linear in the text; the rest it runs itself, and gives up after 10,000 steps,
//! which counts as no match for both operators. So a pattern is used here only if that parser reads it in the same way
//! and gives it on as a whole. Whatever the engine here refuses may be valid there.

use regex_automata::meta::Regex;
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassSet, ClassSetItem, ClassSetRange,
    ClassSetUnion, Flag, Flags, FlagsItemKind, Group, GroupKind, Literal, LiteralKind, Span, Visitor, visit,
};
use regex_syntax::hir::translate::Translator;

use super::case_folding::equivalents;

/// Groups that are nested as deep are an error for fancy-regex.
const MAX_GROUPS: usize = 64;

/// Compiles a pattern. `None` if it cannot be known here what the server would make of it.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    let mut ast = Parser::new().parse(pattern).ok()?;
    visit(&ast, SameThere { groups: Vec::new() }).ok()?;
    write_cases_out(&mut ast, &mut false);
    let hir = Translator::new().translate(pattern, &ast).ok()?;
    Regex::builder().build_from_hir(&hir).ok()
}

/// The server reads or runs it in another way.
struct Different;

/// Looks for what fancy-regex (0.16) reads or runs in another way.
struct SameThere {
    /// Of each group around a part, whether it captures.
    groups: Vec<bool>,
}

impl Visitor for SameThere {
    type Output = ();
    type Err = Different;

    fn finish(self) -> Result<(), Different> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Different> {
        use AssertionKind::{EndLine, EndText, StartLine, StartText};
        let is_same = match ast {
            // It looks for the bounds of words itself.
            Ast::Assertion(assertion) => {
                matches!(assertion.kind, StartLine | EndLine | StartText | EndText)
            }
            // There, flags that are set in a group that captures hold behind it, too.
            Ast::Flags(set) => are_known(&set.flags) && self.groups.last() != Some(&true),
            Ast::Group(group) => {
                self.groups.push(group.is_capturing());
                self.groups.len() < MAX_GROUPS && begins_alike(group)
            }
            // There, one repetition of another is possessive, text or an error, and only what can be wide is repeated.
            Ast::Repetition(repetition) => {
                !matches!(*repetition.ast, Ast::Repetition(_)) && can_be_wide(&repetition.ast)
            }
            _ => true,
        };
        if is_same { Ok(()) } else { Err(Different) }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), Different> {
        if matches!(ast, Ast::Group(_)) {
            self.groups.pop();
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Different> {
        let first = match item {
            ClassSetItem::Literal(literal) => literal,
            ClassSetItem::Range(range) => &range.start,
            _ => return Ok(()),
        };
        // There, a bracket ends a class within another also where it stands at its beginning.
        if first.c == ']' && first.kind == LiteralKind::Verbatim { Err(Different) } else { Ok(()) }
    }
}

/// Whether fancy-regex has these flags. White space that is to be ignored is not the same there.
fn are_known(flags: &Flags) -> bool {
    flags.flag_state(Flag::CRLF).is_none()
        && flags.flag_state(Flag::Unicode) != Some(false)
        && flags.flag_state(Flag::IgnoreWhitespace) != Some(true)
}

fn begins_alike(group: &Group) -> bool {
    match &group.kind {
        GroupKind::CaptureIndex(_) => true,
        GroupKind::CaptureName { name, .. } => name.name.chars().all(|c| c.is_alphanumeric() || c == '_'),
        GroupKind::NonCapturing(flags) => are_known(flags),
    }
}

/// Whether a part can match more than an empty text.
fn can_be_wide(ast: &Ast) -> bool {
    match ast {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => false,
        Ast::Group(group) => can_be_wide(&group.ast),
        Ast::Repetition(repetition) => can_be_wide(&repetition.ast),
        Ast::Alternation(parts) => parts.asts.iter().any(can_be_wide),
        Ast::Concat(parts) => parts.asts.iter().any(can_be_wide),
        _ => true,
    }
}

/// Whether case is ignored behind these flags, from which `i` is removed.
fn take_case(flags: &mut Flags, ignores_case: bool) -> bool {
    let of_flags = flags.flag_state(Flag::CaseInsensitive);
    flags.items.retain(|item| item.kind != FlagsItemKind::Flag(Flag::CaseInsensitive));
    of_flags.unwrap_or(ignores_case)
}

/// The characters of a range and those that are the same but for their case; `None` if these are no more.
fn fold(span: Span, first: char, last: char) -> Option<ClassSetUnion> {
    let mut items = Vec::new();
    equivalents(first, last, |first, last| items.push(range(span, first, last)));
    if items.is_empty() {
        return None;
    }
    items.push(range(span, first, last));
    Some(ClassSetUnion { span, items })
}

fn range(span: Span, first: char, last: char) -> ClassSetItem {
    let literal = |c| Literal { span, kind: LiteralKind::Verbatim, c };
    ClassSetItem::Range(ClassSetRange { span, start: literal(first), end: literal(last) })
}

fn bracketed(union: ClassSetUnion, negated: bool) -> ClassBracketed {
    ClassBracketed { span: union.span, negated, kind: ClassSet::Item(ClassSetItem::Union(union)) }
}

/// Replaces what is compared without case by classes of characters. What `\d`, `\s`, `\w` and `.` match are the same
/// characters either way.
fn write_cases_out(ast: &mut Ast, ignores_case: &mut bool) {
    match ast {
        Ast::Flags(set) => *ignores_case = take_case(&mut set.flags, *ignores_case),
        Ast::Group(group) => {
            let mut inner = *ignores_case;
            if let GroupKind::NonCapturing(flags) = &mut group.kind {
                inner = take_case(flags, inner);
            }
            write_cases_out(&mut group.ast, &mut inner);
        }
        Ast::Repetition(repetition) => write_cases_out(&mut repetition.ast, ignores_case),
        Ast::Alternation(parts) => parts.asts.iter_mut().for_each(|part| write_cases_out(part, ignores_case)),
        Ast::Concat(parts) => parts.asts.iter_mut().for_each(|part| write_cases_out(part, ignores_case)),
        Ast::Literal(literal) if *ignores_case => {
            if let Some(union) = fold(literal.span, literal.c, literal.c) {
                *ast = Ast::class_bracketed(bracketed(union, false));
            }
        }
        Ast::ClassBracketed(class) if *ignores_case => write_cases_out_in_set(&mut class.kind),
        Ast::Literal(_)
        | Ast::ClassBracketed(_)
        | Ast::Empty(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_) => {}
    }
}

/// The same in a class. Each of its items becomes closed under changes of case, and so is what they are combined to.
fn write_cases_out_in_set(set: &mut ClassSet) {
    match set {
        ClassSet::Item(item) => write_cases_out_in_item(item),
        ClassSet::BinaryOp(operation) => {
            write_cases_out_in_set(&mut operation.lhs);
            write_cases_out_in_set(&mut operation.rhs);
        }
    }
}

fn write_cases_out_in_item(item: &mut ClassSetItem) {
    let folded = match item {
        ClassSetItem::Literal(literal) => fold(literal.span, literal.c, literal.c).map(ClassSetItem::Union),
        ClassSetItem::Range(range) => fold(range.span, range.start.c, range.end.c).map(ClassSetItem::Union),
        ClassSetItem::Ascii(class) => fold_ascii(class).map(|class| ClassSetItem::Bracketed(Box::new(class))),
        ClassSetItem::Bracketed(class) => return write_cases_out_in_set(&mut class.kind),
        ClassSetItem::Union(union) => {
            return union.items.iter_mut().for_each(write_cases_out_in_item);
        }
        ClassSetItem::Empty(_) | ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => None,
    };
    if let Some(folded) = folded {
        *item = folded;
    }
}

/// A class with letters contains all that are the same as an ASCII letter, then. A hexadecimal digit is an ASCII
/// character in either case.
fn fold_ascii(class: &ClassAscii) -> Option<ClassBracketed> {
    use ClassAsciiKind::{Blank, Cntrl, Digit, Punct, Space, Xdigit};
    if matches!(class.kind, Blank | Cntrl | Digit | Punct | Space | Xdigit) {
        return None;
    }
    let mut union = fold(class.span, 'A', 'Z')?;
    union.items.extend(fold(class.span, 'a', 'z')?.items);
    union.items.push(ClassSetItem::Ascii(ClassAscii { negated: false, ..class.clone() }));
    Some(bracketed(union, class.negated))
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::Hir;

    use super::*;

    fn hir_here(pattern: &str) -> Result<Hir, String> {
        let mut ast = Parser::new().parse(pattern).map_err(|error| error.to_string())?;
        write_cases_out(&mut ast, &mut false);
        Translator::new().translate(pattern, &ast).map_err(|error| error.to_string())
    }

    fn hir_there(pattern: &str) -> Result<Hir, String> {
        let ast = Parser::new().parse(pattern).map_err(|error| error.to_string())?;
        Translator::new().translate(pattern, &ast).map_err(|error| error.to_string())
    }

    #[test]
    fn cases_are_written_out_as_the_engine_would_compare() {
        for pattern in [
            "(?i)VALUE",
            "(?i)straße",
            "(?i)ΣΑΣ",
            "(?i)k[k-m]ſ",
            "x(?i)y(?-i)z",
            "(?i:a|b)c",
            "a(?i)b|c",
            "(a(?i)b)c",
            "(?i)[^k]",
            "(?i)[^[^k]s]",
            "(?i)[a-z&&[^K]]",
            "(?i)[a-z--[K]~~\\W]",
            "(?i)[[:upper:]]",
            "(?i)[[:^lower:]_]",
            "(?i)[[:xdigit:][:digit:]]",
            "(?i)\\d\\W\\s.\\b^$",
            "(?i)[\\d\\Wx]",
            "(?ix) a b # c",
            "(?i)a{2,3}?",
            "(?i)(?P<name>a)",
            "(?i)",
            "(?is-m:.)",
            "(?i)\\x4b\\u{212a}",
            "(?i)[\\x00-\\u{10ffff}]",
            "(?i)[&&a]",
            "(?iR)^a$",
            "(?i)é",
            "[",
            "(?i)[z-a]",
        ] {
            assert_eq!(hir_here(pattern), hir_there(pattern), "{pattern}");
        }
    }

    #[test]
    fn random_patterns_are_as_the_engine_would_compare() {
        const PARTS: [&str; 40] = [
            "(?i)",
            "(?-i)",
            "(?i:",
            "(?-i:",
            "(?s:",
            "(?u)",
            "(",
            ")",
            "[",
            "[^",
            "]",
            "]",
            "k",
            "K",
            "s",
            "ſ",
            "\u{212a}",
            "a-z",
            "A-K",
            "[:alpha:]",
            "[:^upper:]",
            "[:ascii:]",
            "\\w",
            "\\D",
            "&&",
            "--",
            "~~",
            "|",
            "*",
            "?",
            "{2}",
            ".",
            "ς",
            "Ω-ω",
            "ǅ",
            "β",
            "\\x{1c8}",
            "-",
            "1",
            "^",
        ];
        let mut state = 1_u64;
        let mut compiled = 0;
        for _ in 0..30_000 {
            let mut pattern = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                pattern += PARTS[(state >> 33) as usize % PARTS.len()];
            }
            let there = hir_there(&pattern);
            compiled += u32::from(there.is_ok());
            assert_eq!(hir_here(&pattern).ok(), there.ok(), "{pattern}");
        }
        assert!(compiled > 1_000, "only {compiled} patterns are valid");
    }

    #[test]
    fn what_the_server_reads_or_runs_in_another_way_is_left_to_it() {
        let deep = |groups: usize| "(?:".repeat(groups) + "a" + &")".repeat(groups);
        let (deepest, too_deep) = (deep(63), deep(64));
        for (pattern, is_known) in [
            (r"\bbot\b", false),
            (r"\B", false),
            (r"\<a", false),
            (r"a\>", false),
            (r"\b{start}a", false),
            (r"[\^b]\^", true),
            (r"\Aa\z", true),
            ("(?m)^a$", true),
            ("a**", false),
            ("a+*b", false),
            (".**x", false),
            ("a*+", false),
            ("a??+", false),
            ("a{2}{3}", false),
            ("a??", true),
            ("a+?", true),
            ("(?:a*)*", true),
            ("[*+]+", true),
            (r"a\++", true),
            ("(?:)*", false),
            ("(?:^)*", false),
            ("^*", false),
            ("(?:(?i))+", false),
            ("(?:^|a)*", true),
            ("(?-u)a", false),
            ("(?-u:a)", false),
            ("(?u)a", true),
            ("(?R)a", false),
            ("(?mR:a)", false),
            ("(?x)[a b]", false),
            ("(?x: a )", false),
            ("(?-x)a", true),
            ("((?i)foo)bar", false),
            ("(?P<n>(?i)foo)bar", false),
            ("((?i:foo))bar", true),
            ("((?:(?i)foo))bar", true),
            ("(?:((?i)foo))bar", false),
            ("(?<n_1>a)", true),
            ("(?P<n.m>a)", false),
            (r"[a\]]", true),
            ("[a[b]]", true),
            ("[a[]b]]", false),
            ("[^a[]-b]]", false),
            (&deepest, true),
            (&too_deep, false),
        ] {
            assert_eq!(compile(pattern).is_some(), is_known, "{pattern}");
        }
    }

    #[test]
    fn a_random_pattern_that_is_known_matches_as_at_the_server() {
        const PARTS: [&str; 44] = [
            "a",
            "a",
            "b",
            "b",
            "A",
            "k",
            "K",
            "\u{212a}",
            " ",
            "#",
            "\n",
            ".",
            "^",
            "$",
            "|",
            "(",
            "(",
            ")",
            ")",
            ")",
            "(?:",
            "(?i)",
            "(?-i:",
            "(?s:",
            "(?m)",
            "(?U)",
            "(?P<n>",
            "[",
            "[^",
            "]",
            "]",
            "a-k",
            "[:^alpha:]",
            "&&",
            "\\w",
            "\\.",
            "\\x41",
            "\\]",
            "*",
            "+",
            "?",
            "{2}",
            "{1,}",
            "}",
        ];
        const TEXTS: [&str; 12] =
            ["", "a", "b", "ab", "aab", "bA", "K", "\u{212a}k", "a b#", "b\na", "[a]]", "]}.aAbB"];
        let mut random = crate::random::Random::new(1);
        let mut known = 0;
        for _ in 0..20_000 {
            let length = 2 + random.below(7);
            let pattern: String = (0..length).map(|_| random.one_of(&PARTS)).collect();
            let Some(here) = compile(&pattern) else { continue };
            known += 1;
            let there = fancy_regex::Regex::new(&pattern);
            let there = there.unwrap_or_else(|error| panic!("{pattern:?} is invalid there: {error}"));
            for text in TEXTS {
                assert_eq!(here.is_match(text), there.is_match(text).unwrap(), "{pattern:?} {text:?}");
            }
        }
        assert!(known > 1_000, "only {known} patterns are known");
    }
}
