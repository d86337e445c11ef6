//! Patterns of the operators `regex` and `not_regex`.
//!
//! The server's engine gives what has neither look-around nor back-references to the engine that is used here, which takes
//! a time that is linear in the text. Whatever this one refuses may be valid there.

use regex_automata::meta::Regex;
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassSet, ClassSetItem, ClassSetRange, ClassSetUnion,
    Flag, Flags, FlagsItemKind, GroupKind, Literal, LiteralKind, Span,
};
use regex_syntax::hir::translate::Translator;

use super::case_folding::equivalents;

/// What makes a repetition possessive for the server's engine, and is another repetition for the one that is used here.
const POSSESSIVE: [&str; 4] = ["*+", "++", "?+", "}+"];

/// Compiles a pattern. `None` if it cannot be known here what the server would make of it.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    if POSSESSIVE.iter().any(|mark| pattern.contains(mark)) {
        return None;
    }
    let mut ast = Parser::new().parse(pattern).ok()?;
    write_cases_out(&mut ast, &mut Modes { ignores_case: false, unicode: true });
    let hir = Translator::new().translate(pattern, &ast).ok()?;
    Regex::builder().build_from_hir(&hir).ok()
}

/// The flags of a part of a pattern.
#[derive(Clone, Copy, Debug)]
struct Modes {
    /// `i`
    ignores_case: bool,
    /// `u`
    unicode: bool,
}

impl Modes {
    /// Sets what the flags set, and removes `i` from them.
    fn take(&mut self, flags: &mut Flags) {
        self.ignores_case = flags.flag_state(Flag::CaseInsensitive).unwrap_or(self.ignores_case);
        self.unicode = flags.flag_state(Flag::Unicode).unwrap_or(self.unicode);
        flags.items.retain(|item| item.kind != FlagsItemKind::Flag(Flag::CaseInsensitive));
    }

    /// The characters of a range and those that are the same but for their case, without Unicode in ASCII only; `None`
    /// if these are no more.
    fn fold(self, span: Span, first: char, last: char) -> Option<ClassSetUnion> {
        if !self.unicode && !last.is_ascii() {
            return None;
        }
        let mut items = Vec::new();
        equivalents(first, last, |first, last| {
            if self.unicode || last.is_ascii() {
                items.push(range(span, first, last));
            }
        });
        if items.is_empty() {
            return None;
        }
        items.push(range(span, first, last));
        Some(ClassSetUnion { span, items })
    }
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
fn write_cases_out(ast: &mut Ast, modes: &mut Modes) {
    match ast {
        Ast::Flags(set) => modes.take(&mut set.flags),
        Ast::Group(group) => {
            let mut inner = *modes;
            if let GroupKind::NonCapturing(flags) = &mut group.kind {
                inner.take(flags);
            }
            write_cases_out(&mut group.ast, &mut inner);
        }
        Ast::Repetition(repetition) => write_cases_out(&mut repetition.ast, modes),
        Ast::Alternation(parts) => parts.asts.iter_mut().for_each(|part| write_cases_out(part, modes)),
        Ast::Concat(parts) => parts.asts.iter_mut().for_each(|part| write_cases_out(part, modes)),
        Ast::Literal(literal) if modes.ignores_case => {
            if let Some(union) = modes.fold(literal.span, literal.c, literal.c) {
                *ast = Ast::class_bracketed(bracketed(union, false));
            }
        }
        Ast::ClassBracketed(class) if modes.ignores_case => write_cases_out_in_set(&mut class.kind, *modes),
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
fn write_cases_out_in_set(set: &mut ClassSet, modes: Modes) {
    match set {
        ClassSet::Item(item) => write_cases_out_in_item(item, modes),
        ClassSet::BinaryOp(operation) => {
            write_cases_out_in_set(&mut operation.lhs, modes);
            write_cases_out_in_set(&mut operation.rhs, modes);
        }
    }
}

fn write_cases_out_in_item(item: &mut ClassSetItem, modes: Modes) {
    let folded = match item {
        ClassSetItem::Literal(literal) => {
            modes.fold(literal.span, literal.c, literal.c).map(ClassSetItem::Union)
        }
        ClassSetItem::Range(range) => {
            modes.fold(range.span, range.start.c, range.end.c).map(ClassSetItem::Union)
        }
        ClassSetItem::Ascii(class) => {
            fold_ascii(class, modes).map(|class| ClassSetItem::Bracketed(Box::new(class)))
        }
        ClassSetItem::Bracketed(class) => return write_cases_out_in_set(&mut class.kind, modes),
        ClassSetItem::Union(union) => {
            return union.items.iter_mut().for_each(|item| write_cases_out_in_item(item, modes));
        }
        ClassSetItem::Empty(_) | ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) => None,
    };
    if let Some(folded) = folded {
        *item = folded;
    }
}

/// A class with letters contains all that are the same as an ASCII letter, then. A hexadecimal digit is an ASCII
/// character in either case.
fn fold_ascii(class: &ClassAscii, modes: Modes) -> Option<ClassBracketed> {
    use ClassAsciiKind::{Blank, Cntrl, Digit, Punct, Space, Xdigit};
    if matches!(class.kind, Blank | Cntrl | Digit | Punct | Space | Xdigit) {
        return None;
    }
    let mut union = modes.fold(class.span, 'A', 'Z')?;
    union.items.extend(modes.fold(class.span, 'a', 'z')?.items);
    union.items.push(ClassSetItem::Ascii(ClassAscii { negated: false, ..class.clone() }));
    Some(bracketed(union, class.negated))
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::Hir;

    use super::*;

    fn hir_here(pattern: &str) -> Result<Hir, String> {
        let mut ast = Parser::new().parse(pattern).map_err(|error| error.to_string())?;
        write_cases_out(&mut ast, &mut Modes { ignores_case: false, unicode: true });
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
            "(?i-u)k+",
            "(?i-u)[[:lower:]k]",
            "(?i-u:[a-z])",
            "(?-u:(?i)[^\\x00-\\x7f])",
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
            "(?-u)(?i)é",
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
            "(?-u:",
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
}
