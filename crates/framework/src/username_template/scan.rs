//! A template's text into pieces: what is copied, and the words of each `{{action}}`.

use super::{TemplateError, value::Value};

/// What a template consists of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Copied as it is.
    Text(String),
    /// The words between `{{` and `}}`, and the line they stand on.
    Action(Vec<Word>, usize),
}

/// One word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// A function or a keyword.
    Name(String),
    /// `.Name`.
    Field(String),
    /// `.` alone.
    Dot,
    /// `$name`.
    Variable(String),
    /// A literal.
    Literal(Value),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template into its pieces.
pub(super) fn scan(template: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut trim = false;
    let line_of = |rest: &str| template[..template.len() - rest.len()].matches('\n').count() + 1;
    while let Some(start) = rest.find("{{") {
        let text = &rest[..start];
        let text = if trim { text.trim_start_matches(SPACES) } else { text };
        let line = line_of(&rest[start..]);
        let mut inside = &rest[start + 2..];
        let trims_before = inside.starts_with('-') && inside[1..].starts_with(SPACES);
        if trims_before {
            inside = &inside[1..];
        }
        let text = if trims_before { text.trim_end_matches(SPACES) } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let mut scanner = Scanner { rest: inside, line };
        trim = scanner.action(&mut pieces)?;
        rest = scanner.rest;
    }
    let text = if trim { rest.trim_start_matches(SPACES) } else { rest };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(pieces)
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
}

impl Scanner<'_> {
    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError::Syntax { line: self.line, what: what.into() })
    }

    /// Reads up to and with `}}`; says whether the space after it is to go.
    fn action(&mut self, pieces: &mut Vec<Piece>) -> Result<bool, TemplateError> {
        let start = self.rest.trim_start_matches(SPACES);
        if let Some(comment) = start.strip_prefix("/*") {
            let Some(end) = comment.find("*/") else { return self.wrong("unclosed comment") };
            self.rest = &comment[end + 2..];
            return match self.end() {
                Some(trim) => Ok(trim),
                None => self.wrong("comment ends before closing delimiter"),
            };
        }
        let mut words = Vec::new();
        loop {
            if let Some(trim) = self.end() {
                pieces.push(Piece::Action(words, self.line));
                return Ok(trim);
            }
            self.rest = self.rest.trim_start_matches(SPACES);
            if self.rest.is_empty() {
                return self.wrong("unclosed action");
            }
            if let Some(trim) = self.end() {
                pieces.push(Piece::Action(words, self.line));
                return Ok(trim);
            }
            words.push(self.word()?);
        }
    }

    /// Takes `}}` or ` -}}`, if that is next.
    fn end(&mut self) -> Option<bool> {
        let bare = self.rest.trim_start_matches(SPACES);
        let spaced = bare.len() < self.rest.len();
        if let Some(rest) = bare.strip_prefix("-}}").filter(|_| spaced) {
            self.rest = rest;
            return Some(true);
        }
        self.rest = bare.strip_prefix("}}")?;
        Some(false)
    }

    fn word(&mut self) -> Result<Word, TemplateError> {
        for (sign, word) in [
            (":=", Word::Declare),
            ("=", Word::Assign),
            ("|", Word::Pipe),
            ("(", Word::Open),
            (")", Word::Close),
        ] {
            if let Some(rest) = self.rest.strip_prefix(sign) {
                self.rest = rest;
                return Ok(word);
            }
        }
        let first = self.rest.chars().next().unwrap_or_default();
        match first {
            '"' => self.quoted(),
            '`' => {
                let Some(end) = self.rest[1..].find('`') else {
                    return self.wrong("unterminated raw quoted string");
                };
                let text = self.rest[1..=end].to_owned();
                self.rest = &self.rest[end + 2..];
                Ok(Word::Literal(Value::Text(text)))
            }
            '.' => Ok(match self.after_sign() {
                "" => Word::Dot,
                name => Word::Field(name.to_owned()),
            }),
            '$' => Ok(Word::Variable(self.after_sign().to_owned())),
            '0'..='9' | '-' | '+' => self.number(),
            _ if first.is_alphabetic() || first == '_' => Ok(match self.identifier() {
                "true" => Word::Literal(Value::Bool(true)),
                "false" => Word::Literal(Value::Bool(false)),
                "nil" => Word::Literal(Value::Nil),
                name => Word::Name(name.to_owned()),
            }),
            _ => self.wrong("unexpected character in a command"),
        }
    }

    fn after_sign(&mut self) -> &str {
        self.rest = &self.rest[1..];
        self.identifier()
    }

    fn identifier(&mut self) -> &str {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        name
    }

    fn number(&mut self) -> Result<Word, TemplateError> {
        let end = self.rest[1..].find(|c: char| !c.is_alphanumeric() && !"_.".contains(c));
        let (text, rest) = self.rest.split_at(end.map_or(self.rest.len(), |end| end + 1));
        let digits = text.trim_start_matches(['+', '-']).replace('_', "");
        let parsed = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some(hex) => i64::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        let Ok(number) = parsed else { return self.wrong("a number must be a whole number") };
        let number = if text.starts_with('-') { -number } else { number };
        self.rest = rest;
        Ok(Word::Literal(Value::Int(number)))
    }

    /// A string in double quotes, with Go's escapes.
    fn quoted(&mut self) -> Result<Word, TemplateError> {
        let mut text = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return Ok(Word::Literal(Value::Text(text)));
                }
                '\n' => break,
                '\\' => {
                    let Some((_, sign)) = chars.next() else { break };
                    let plain = match sign {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        '\\' | '"' => sign,
                        'x' | 'u' | 'U' => {
                            let digits = [('x', 2), ('u', 4), ('U', 8)];
                            let length = digits.iter().find(|(s, _)| *s == sign).map_or(2, |d| d.1);
                            let hex: String =
                                chars.by_ref().take(length).map(|(_, digit)| digit).collect();
                            let code = u32::from_str_radix(&hex, 16).ok();
                            match code.filter(|code| sign != 'x' || *code < 0x80) {
                                Some(code) => char::from_u32(code).unwrap_or('\u{fffd}'),
                                None => return self.wrong("an escape that means no character"),
                            }
                        }
                        _ => return self.wrong("an escape that means no character"),
                    };
                    text.push(plain);
                }
                _ => text.push(c),
            }
        }
        self.wrong("unterminated quoted string")
    }
}
