//! As much of Rust as the check of the layers needs: tokens, the paths that a file uses, and what of it is for
//! tests only.

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or a keyword.
    Word(String),
    /// `::`
    Path,
    /// Any other character of punctuation.
    Mark(char),
    /// A literal or a lifetime, whose text is of no interest.
    Other,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub kind: Kind,
    pub line: usize,
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

/// The tokens of a source file, without comments.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let at = |place: usize| characters.get(place).copied().unwrap_or('\0');
    let (mut tokens, mut place, mut line) = (Vec::new(), 0, 1);
    while place < characters.len() {
        let (begin, character) = (place, at(place));
        let mut kind = None;
        if character == '/' && at(place + 1) == '/' {
            while place < characters.len() && at(place) != '\n' {
                place += 1;
            }
        } else if character == '/' && at(place + 1) == '*' {
            place = end_of_comment(&at, place, characters.len());
        } else if let Some(end) = end_of_text(&at, place, characters.len()) {
            place = end;
            kind = Some(Kind::Other);
        } else if character == '\'' {
            // A character literal, or a lifetime.
            let is_literal = at(place + 1) == '\\' || at(place + 2) == '\'';
            place += 1;
            if is_literal {
                place += if at(place) == '\\' { 2 } else { 1 };
                while place < characters.len() && at(place) != '\'' {
                    place += 1;
                }
                place += 1;
            } else {
                while is_part_of_word(at(place)) {
                    place += 1;
                }
            }
            kind = Some(Kind::Other);
        } else if is_part_of_word(character) {
            while is_part_of_word(at(place)) {
                place += 1;
            }
            let word: String = characters.get(begin..place).unwrap_or_default().iter().collect();
            let is_number = character.is_ascii_digit();
            kind = Some(if is_number { Kind::Other } else { Kind::Word(word) });
        } else if character == ':' && at(place + 1) == ':' {
            place += 2;
            kind = Some(Kind::Path);
        } else {
            place += 1;
            kind = (!character.is_whitespace()).then_some(Kind::Mark(character));
        }
        tokens.extend(kind.map(|kind| Token { kind, line }));
        let passed = characters.get(begin..place).unwrap_or_default();
        line += passed.iter().filter(|character| **character == '\n').count();
    }
    tokens
}

fn is_part_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn end_of_comment(at: &impl Fn(usize) -> char, begin: usize, length: usize) -> usize {
    let (mut place, mut depth) = (begin, 0);
    while place < length {
        match (at(place), at(place + 1)) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                place += 1;
                continue;
            }
        }
        place += 2;
        if depth == 0 {
            break;
        }
    }
    place
}

/// The end of the string literal that begins here, if one does: plain, raw, of bytes or of C.
fn end_of_text(at: &impl Fn(usize) -> char, begin: usize, length: usize) -> Option<usize> {
    let mut place = begin;
    while place < begin + 2 && matches!(at(place), 'b' | 'c' | 'r') {
        place += 1;
    }
    let is_raw = place > begin && at(place - 1) == 'r';
    let mut hashes = 0;
    while is_raw && at(place + hashes) == '#' {
        hashes += 1;
    }
    if at(place + hashes) != '"' {
        return None;
    }
    place += hashes + 1;
    while place < length {
        if at(place) == '\\' && !is_raw {
            place += 2;
        } else if at(place) == '"' && (1..=hashes).all(|more| at(place + more) == '#') {
            return Some(place + hashes + 1);
        } else {
            place += 1;
        }
    }
    Some(length)
}

/// A path as it is written: `crate::event::Builder` is three words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedPath {
    pub words: Vec<String>,
    pub line: usize,
    /// From a `use`; else from an expression or a type.
    pub is_use: bool,
    /// From a `use` with `pub` before it.
    pub is_public: bool,
    /// Modules within the file around it, from the outermost.
    pub inside: Vec<String>,
}

/// What a file says, without what is for tests only.
#[derive(Default, Debug)]
pub(crate) struct File {
    pub paths: Vec<UsedPath>,
    /// Lines with the keyword `unsafe`.
    pub unsafes: Vec<usize>,
    /// Modules in files of their own that are declared for tests only.
    pub test_modules: Vec<String>,
}

/// Reads a file.
pub(crate) fn parse(text: &str) -> File {
    let tokens = tokens(text);
    let mut file = File::default();
    let mut reader = Reader { tokens: &tokens, place: 0 };
    let mut inside: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut is_test, mut is_public) = (0_usize, false, false);
    while let Some(token) = reader.peek(0) {
        match &token.kind {
            Kind::Mark('#') => {
                is_test |= reader.attribute();
                continue;
            }
            _ if is_test => {
                file.test_modules.extend(reader.skip_item());
                is_test = false;
                continue;
            }
            Kind::Mark('{') => depth += 1,
            Kind::Mark('}') => {
                depth = depth.saturating_sub(1);
                inside.retain(|(_, begun)| *begun < depth + 1);
            }
            Kind::Word(word) => match word.as_str() {
                "unsafe" => file.unsafes.push(token.line),
                "pub" => is_public = true,
                "mod" => {
                    if let (Some(Kind::Word(name)), true) = (
                        reader.peek(1).map(|next| &next.kind),
                        reader.peek(2).is_some_and(|next| next.is_mark('{')),
                    ) {
                        inside.push((name.clone(), depth + 1));
                    }
                }
                "use" => {
                    let line = token.line;
                    reader.place += 1;
                    let mut trees = Vec::new();
                    reader.use_tree(&mut Vec::new(), &mut trees);
                    let inside: Vec<String> = inside.iter().map(|(name, _)| name.clone()).collect();
                    file.paths.extend(trees.into_iter().map(|words| UsedPath {
                        words,
                        line,
                        is_use: true,
                        is_public,
                        inside: inside.clone(),
                    }));
                    is_public = false;
                    continue;
                }
                _ if reader.peek(1).is_some_and(|next| next.kind == Kind::Path) => {
                    let line = token.line;
                    let words = reader.path();
                    let is_macro = reader.peek(0).is_some_and(|next| next.is_mark('!'));
                    let inside = inside.iter().map(|(name, _)| name.clone()).collect();
                    // Where a macro of the crate's root is defined, its path does not say.
                    if !(is_macro && words.len() == 2) {
                        file.paths.push(UsedPath { words, line, is_use: false, is_public: false, inside });
                    }
                    continue;
                }
                _ => {}
            },
            _ => {}
        }
        // `pub(crate) use`, but not the next item.
        if matches!(&token.kind, Kind::Mark(';' | '{' | '}')) {
            is_public = false;
        }
        reader.place += 1;
    }
    file
}

struct Reader<'a> {
    tokens: &'a [Token],
    place: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.place + ahead)
    }

    fn next(&mut self) -> Option<&'a Token> {
        self.place += 1;
        self.tokens.get(self.place - 1)
    }

    /// Passes an attribute. Returns whether it says that what follows is for tests only.
    fn attribute(&mut self) -> bool {
        self.place += 1;
        let is_inner = self.peek(0).is_some_and(|token| token.is_mark('!'));
        self.place += usize::from(is_inner);
        let begin = self.place;
        self.skip_group();
        let tokens = self.tokens.get(begin..self.place).unwrap_or_default();
        let is_cfg = tokens.get(1).is_some_and(|token| token.is_word("cfg"));
        let is_negated = tokens.iter().any(|token| token.is_word("not"));
        let names_test = tokens.iter().any(|token| token.is_word("test"));
        let is_test_function = tokens.get(1).is_some_and(|token| token.is_word("test"));
        // `any(test, …)` is for other builds as well.
        let is_choice = tokens.get(3).is_some_and(|token| token.is_word("any"));
        !is_inner && (is_test_function || (is_cfg && names_test && !is_negated && !is_choice))
    }

    /// Passes one token, or a whole group in brackets of any kind.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.next() {
            match token.kind {
                Kind::Mark('(' | '[' | '{') => depth += 1,
                Kind::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Passes an item: up to its `;`, or its body. Returns its name if it is a module in a file of its own.
    fn skip_item(&mut self) -> Option<String> {
        let (mut module, mut generics, mut before) = (None, 0_i32, '\0');
        while let Some(token) = self.peek(0) {
            match token.kind {
                Kind::Mark('<') => generics += 1,
                Kind::Mark('>') if before != '-' && before != '=' => generics -= 1,
                _ => {}
            }
            before = if let Kind::Mark(mark) = token.kind { mark } else { ' ' };
            if token.is_word("mod")
                && let Some(Kind::Word(name)) = self.peek(1).map(|next| &next.kind)
            {
                module = Some(name.clone());
            }
            let (is_end, is_body) = (token.is_mark(';'), token.is_mark('{'));
            // An enum's variant or a field ends with a comma, or with what it is in.
            let is_part = token.is_mark(',') || token.is_mark('}');
            if is_part && generics == 0 {
                return None;
            }
            self.skip_group();
            if is_end {
                return module;
            }
            if is_body {
                return None;
            }
        }
        None
    }

    /// `a::b::<C>::d`, without its generics.
    fn path(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(Kind::Word(word)) = self.peek(0).map(|token| &token.kind) {
            words.push(word.clone());
            self.place += 1;
            if self.peek(0).is_some_and(|token| token.kind == Kind::Path)
                && matches!(self.peek(1).map(|token| &token.kind), Some(Kind::Word(_)))
            {
                self.place += 1;
            } else {
                break;
            }
        }
        words
    }

    /// The tree behind `use`, as one path for each of its leaves.
    fn use_tree(&mut self, front: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) {
        let before = front.len();
        loop {
            match self.next().map(|token| token.kind.clone()) {
                Some(Kind::Word(word)) if word == "as" => {
                    self.place += 1;
                }
                Some(Kind::Word(word)) => front.push(word),
                Some(Kind::Path) => {}
                Some(Kind::Mark('*')) => front.push("*".to_owned()),
                Some(Kind::Mark('{')) => {
                    loop {
                        match self.peek(0) {
                            None => return,
                            Some(token) if token.is_mark('}') => break,
                            Some(token) if token.is_mark(',') => self.place += 1,
                            Some(_) => self.use_tree(front, leaves),
                        }
                    }
                    self.place += 1;
                    front.truncate(before);
                    // The `;` or the `,` is the caller's.
                    if before == 0 && self.peek(0).is_some_and(|token| token.is_mark(';')) {
                        self.place += 1;
                    }
                    return;
                }
                Some(Kind::Mark(',' | '}')) => {
                    self.place -= 1;
                    break;
                }
                _ => break,
            }
        }
        leaves.push(front.clone());
        front.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        parse(text).paths.iter().map(|path| path.words.join("::")).collect()
    }

    #[test]
    fn a_use_has_a_path_for_each_leaf() {
        let text =
            "use crate::event::{self, Builder, text::{Repair as R, *}};\nuse super::Status;\nfn f() {}";
        let all = [
            "crate::event::self",
            "crate::event::Builder",
            "crate::event::text::Repair",
            "crate::event::text::*",
        ];
        assert_eq!(paths(text)[..4], all);
        assert_eq!(paths(text)[4], "super::Status");
    }

    #[test]
    fn a_path_in_an_expression_or_a_type_is_one() {
        let text = "fn f(next: crate::client::Next) -> Vec<u8> { super::g::<crate::json::Text>(std::thread::spawn) }";
        assert_eq!(
            paths(text),
            ["crate::client::Next", "super::g", "crate::json::Text", "std::thread::spawn"]
        );
    }

    #[test]
    fn paths_in_comments_and_literals_are_left_out() {
        let text = "// crate::a::b\n/* crate::c /* crate::d */ */ const T: &str = \"crate::e::f\"; \
                    const R: &str = r#\"crate::g \" h\"#; const C: char = '\\''; fn f<'a>(x: &'a u8) { crate::z::y() }";
        assert_eq!(paths(text), ["crate::z::y"]);
    }

    #[test]
    fn what_is_for_tests_is_left_out() {
        let text = "#[cfg(test)]\nmod tests { use crate::a::b; }\n#[cfg(all(test, feature = \"x\"))]\nmod models;\n\
                    #[cfg(test)] impl<A, B> X<A> for Y<B> { fn f() -> crate::a::c {} }\n#[cfg(not(test))]\nuse crate::c::d;\n#[cfg(test)] use crate::e::f;\nuse crate::g::h;";
        assert_eq!(paths(text), ["crate::c::d", "crate::g::h"]);
        assert_eq!(parse(text).test_modules, ["models"]);
    }

    #[test]
    fn a_module_within_the_file_is_known() {
        let file = parse("mod inner { use super::a; mod deep { use super::super::b; } }\nuse super::c;");
        let inside: Vec<_> = file.paths.iter().map(|path| path.inside.join("::")).collect();
        assert_eq!(inside, ["inner", "inner::deep", ""]);
    }

    #[test]
    fn lines_are_counted_and_unsafe_is_seen() {
        let file = parse("/*\n*/\nfn f() {\n    // unsafe\n    unsafe { g() }\n}");
        assert_eq!(file.unsafes, [5]);
    }

    #[test]
    fn a_public_use_is_known() {
        let file = parse("pub use a::B;\npub(crate) use c::D;\npub fn f() {}\nuse e::F;");
        let public: Vec<_> = file.paths.iter().map(|path| path.is_public).collect();
        assert_eq!(public, [true, true, false]);
    }
}
