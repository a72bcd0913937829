//! A Rust file as the rules see it: code without comments and texts, the texts apart, and where
//! its tests begin.

/// One file, taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    /// Its lines as written.
    pub(super) lines: Vec<String>,
    /// The same lines with comments and the insides of texts blanked.
    pub(super) code: Vec<String>,
    /// Texts, with the line (from 1) they begin on.
    pub(super) texts: Vec<(usize, String)>,
    /// The line (from 1) where tests begin: they come last.
    tests: usize,
}

impl Source {
    /// Takes `text` apart. It knows comments, texts of all forms, and characters, so it is not
    /// misled by a quote or a slash inside one of the others.
    pub(super) fn of(text: &str) -> Self {
        let mut blanked = String::with_capacity(text.len());
        let mut texts = Vec::new();
        let mut rest = text;
        let mut line = 1;
        while let Some(first) = rest.chars().next() {
            let token = Token::of(rest, blanked.chars().next_back());
            let (len, inside) = match token {
                Token::Comment(len) => (len, None),
                Token::Text { len, inside } => (len, Some(inside)),
                Token::Code => (first.len_utf8(), None),
            };
            let (token_text, after) = rest.split_at(len);
            if matches!(token, Token::Code) {
                blanked.push(first);
            } else {
                blanked.extend(token_text.chars().map(|c| if c == '\n' { c } else { ' ' }));
            }
            texts.extend(inside.map(|inside| (line, inside.to_owned())));
            line += token_text.matches('\n').count();
            rest = after;
        }
        let code: Vec<String> = blanked.lines().map(str::to_owned).collect();
        let end = tests(&code).unwrap_or(usize::MAX);
        Self { lines: text.lines().map(str::to_owned).collect(), code, texts, tests: end }
    }

    /// Modules in files of their own that are compiled for tests alone.
    pub(super) fn test_modules(&self) -> Vec<String> {
        let pairs = self.code.windows(2).filter_map(|pair| {
            let [first, second] = pair else { return None };
            let second = second.trim();
            let second = second.strip_prefix("pub(crate) ").unwrap_or(second);
            let name = second.strip_prefix("mod ")?.strip_suffix(';')?;
            (first.trim() == "#[cfg(test)]").then(|| name.to_owned())
        });
        pairs.collect()
    }

    /// The whole file is tests.
    pub(super) fn is_test(&mut self) {
        self.tests = 1;
    }

    /// Code that is not tests, with line numbers from 1.
    pub(super) fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .iter()
            .enumerate()
            .map(|(at, line)| (at + 1, line.as_str()))
            .take_while(|(at, _)| *at < self.tests)
    }

    /// Texts outside tests.
    pub(super) fn product_texts(&self) -> impl Iterator<Item = (usize, &str)> {
        self.texts.iter().filter(|(at, _)| *at < self.tests).map(|(at, text)| (*at, text.as_str()))
    }

    /// Whether `name` stands in the code as a path or word of its own.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.product().any(|(_, line)| has_word(line, name))
    }
}

enum Token<'a> {
    Comment(usize),
    Text { len: usize, inside: &'a str },
    Code,
}

impl<'a> Token<'a> {
    fn of(rest: &'a str, before: Option<char>) -> Self {
        if rest.starts_with("//") {
            return Self::Comment(rest.find('\n').unwrap_or(rest.len()));
        }
        if rest.starts_with("/*") {
            return Self::Comment(block(rest));
        }
        let word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if !word && let Some(raw) = Self::raw(rest) {
            return raw;
        }
        if rest.starts_with('"') {
            let end = closing(rest, '"').unwrap_or(rest.len());
            let inside = rest.get(1..end).unwrap_or_default();
            return Self::Text { len: (end + 1).min(rest.len()), inside };
        }
        // A character, not a lifetime: a quote two characters on, or after an escape.
        if rest.starts_with('\'') {
            let mut chars = rest.char_indices().skip(1);
            let escaped = chars.next().is_some_and(|(_, c)| c == '\\');
            if escaped && let Some(end) = closing(rest, '\'') {
                return Self::Comment(end + 1);
            }
            if let Some((end, '\'')) = chars.next() {
                return Self::Comment(end + 1);
            }
        }
        Self::Code
    }

    /// `r"…"`, `r#"…"#`, and with `b` or `c` in front.
    fn raw(rest: &'a str) -> Option<Self> {
        let prefix = ["br", "cr", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
        let body = rest.get(prefix.len()..)?;
        let hashes = body.len() - body.trim_start_matches('#').len();
        let body = body.get(hashes..)?.strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let len = body.find(&end).unwrap_or(body.len());
        let whole = (prefix.len() + hashes + 1 + len + end.len()).min(rest.len());
        Some(Self::Text { len: whole, inside: body.get(..len)? })
    }
}

/// Where the quote that closes a text stands; the one that opens it is the first character.
fn closing(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    rest.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn block(rest: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The line (from 1) of a `#[cfg(test)]` that stands before a module.
fn tests(code: &[String]) -> Option<usize> {
    code.windows(2).enumerate().find_map(|(at, pair)| {
        let [first, second] = pair else { return None };
        let module = second.trim_start().starts_with("mod ") && second.trim_end().ends_with('{');
        (first.trim() == "#[cfg(test)]" && module).then_some(at + 1)
    })
}

/// Whether `name` stands in `line` with no letter, digit or underscore around it.
pub(super) fn has_word(line: &str, name: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + name.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn tells_code_from_texts_and_comments() {
        let check = |input: &str, code: &str, texts: &[&str]| {
            let source = Source::of(input);
            let squeezed: Vec<&str> =
                source.code.iter().flat_map(|l| l.split_whitespace()).collect();
            assert_eq!(squeezed.join(" "), code, "code of {input}");
            let found: Vec<&str> = source.texts.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(found, texts, "texts of {input}");
        };
        check("let a = 1; // \"no\"", "let a = 1;", &[]);
        check("let a = \"// yes\";", "let a = ;", &["// yes"]);
        check("let a = \"q\\\"q\"; b", "let a = ; b", &["q\\\"q"]);
        check("/* a /* b */ c */ d", "d", &[]);
        check("r#\"x\"y\"#; z", "; z", &["x\"y"]);
        check("b\"bytes\"", "b", &["bytes"]);
        check("if c == '\"' { 'x' } fn f<'a>(s: &'a str)", "if c == { } fn f<'a>(s: &'a str)", &[]);
        check("'\\'' \"t\"", "", &["t"]);
        check("\"open", "", &["open"]);
    }

    #[test]
    fn numbers_lines_across_texts() {
        let source = Source::of("a\n\"two\nlines\"\n\"x\"");
        assert_eq!(source.texts, [(2, "two\nlines".into()), (4, "x".into())]);
    }

    #[test]
    fn leaves_tests_out_of_the_product() {
        let source = Source::of("//! x\nuse a;\n#[cfg(test)]\nmod tests {\n    use b;\n}\n");
        assert!(source.mentions("a"));
        assert!(!source.mentions("b"));
    }
}
