//! HCL 1 text into tokens, comments dropped.
//!
//! Follows the published HCL 1 grammar and, where that is silent, what its Go implementation
//! does. Leaves out interpolation: `${…}` in a string is kept as it stands.

use crate::cursor::{Cursor, describe};
use crate::{Error, Position};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    End,
    Ident(String),
    Bool(bool),
    Integer(i64, String),
    Float(f64),
    String(String),
    Heredoc(String),
    /// One of `{ } [ ] , =`.
    Mark(char),
}

impl Token {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::End => describe(None),
            Self::Ident(name) if name.len() <= 64 => format!("the name {name}"),
            Self::Ident(_) => "a long name".into(),
            Self::Bool(b) => b.to_string(),
            Self::Integer(..) | Self::Float(_) => "a number".into(),
            Self::String(_) => "a string".into(),
            Self::Heredoc(_) => "a heredoc".into(),
            Self::Mark(c) => format!("'{c}'"),
        }
    }
}

pub(crate) struct Lexer<'a> {
    at: Cursor<'a>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { at: Cursor::new(text) }
    }

    pub(crate) fn next(&mut self) -> Result<(Token, Position), Error> {
        self.skip_comments()?;
        let start = self.at.position();
        let token = match self.at.peek() {
            None => Token::End,
            Some(c) if is_letter(c) => self.identifier(),
            Some('0'..='9' | '-' | '.') => self.number()?,
            Some('"') => Token::String(self.string()?),
            Some('<') => Token::Heredoc(self.heredoc()?),
            Some(c @ ('{' | '}' | '[' | ']' | ',' | '=')) => {
                self.at.bump();
                Token::Mark(c)
            }
            other => {
                let wanted = "a name, a value or one of { } [ ] , =";
                return Err(Error::unexpected(start, describe(other), wanted));
            }
        };
        Ok((token, start))
    }

    fn skip_comments(&mut self) -> Result<(), Error> {
        loop {
            self.at.skip_space();
            let start = self.at.position();
            match self.at.peek() {
                Some('#') => self.at.skip_while(|c| c != '\n'),
                Some('/') => {
                    self.at.bump();
                    match self.at.bump() {
                        Some('/') => self.at.skip_while(|c| c != '\n'),
                        Some('*') => self.block_comment(start)?,
                        _ => return Err(Error::unexpected(start, "'/'", "a comment, // or /*")),
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn block_comment(&mut self, start: Position) -> Result<(), Error> {
        loop {
            match self.at.bump() {
                Some('*') if self.at.eat('/') => return Ok(()),
                Some(_) => {}
                None => return Err(Error::unexpected(start, "a comment without end", "*/")),
            }
        }
    }

    fn identifier(&mut self) -> Token {
        let start = self.at.offset;
        self.at.skip_while(|c| is_letter(c) || is_digit(c) || c == '-' || c == '.');
        match self.at.since(start) {
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            name => Token::Ident(name.to_owned()),
        }
    }

    fn number(&mut self) -> Result<Token, Error> {
        let (start, position) = (self.at.offset, self.at.position());
        self.at.eat('-');
        let digits = self.at.offset;
        self.at.skip_while(|c| c.is_ascii_digit());
        let bad = |text: &str| {
            let found = if text.len() <= 64 { text } else { "a long number" };
            Error::unexpected(position, found.to_owned(), "a number that fits 64 bits")
        };
        if self.at.since(digits) == "0" && matches!(self.at.peek(), Some('x' | 'X')) {
            self.at.bump();
            let hex = self.at.offset;
            self.at.skip_while(|c| c.is_ascii_hexdigit());
            return integer(self.at.since(start), self.at.since(hex), 16)
                .ok_or_else(|| bad(self.at.since(start)));
        }
        let whole = self.at.since(digits);
        if self.fraction_and_exponent() {
            let text = self.at.since(start);
            let value = text.parse::<f64>().ok().filter(|f| f.is_finite());
            return value.map(Token::Float).ok_or_else(|| bad(text));
        }
        let radix = if whole.len() > 1 && whole.starts_with('0') { 8 } else { 10 };
        integer(self.at.since(start), whole, radix).ok_or_else(|| bad(self.at.since(start)))
    }

    /// Moves past `.5` and `e-3`; whether there was either.
    fn fraction_and_exponent(&mut self) -> bool {
        let mut seen = self.at.eat('.');
        if seen {
            self.at.skip_while(|c| c.is_ascii_digit());
        }
        if matches!(self.at.peek(), Some('e' | 'E')) {
            self.at.bump();
            if matches!(self.at.peek(), Some('+' | '-')) {
                self.at.bump();
            }
            self.at.skip_while(|c| c.is_ascii_digit());
            seen = true;
        }
        seen
    }

    fn string(&mut self) -> Result<String, Error> {
        let start = self.at.position();
        self.at.bump();
        // Bytes, because `\xc3\xa9` spells one character in two escapes.
        let mut out = Vec::new();
        loop {
            let here = self.at.position();
            match self.at.bump() {
                Some('"') => break,
                Some('\\') => self.escape(here, &mut out)?,
                Some('$') if self.at.peek() == Some('{') => {
                    out.push(b'$');
                    self.interpolation(start, &mut out)?;
                }
                c @ (None | Some('\n' | '\0')) => {
                    return Err(Error::unexpected(here, describe(c), "a closing '\"'"));
                }
                Some(c) => push(&mut out, c),
            }
        }
        String::from_utf8(out)
            .map_err(|_| Error::unexpected(start, "a string that is not UTF-8", "UTF-8"))
    }

    /// Copies `{…}` with its quotes and newlines, up to the brace that closes it.
    fn interpolation(&mut self, start: Position, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut depth = 0_u32;
        loop {
            let Some(c) = self.at.bump() else {
                return Err(Error::unexpected(start, "a string without end", "'}' and '\"'"));
            };
            push(out, c);
            match c {
                '{' => depth = depth.saturating_add(1),
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn escape(&mut self, start: Position, out: &mut Vec<u8>) -> Result<(), Error> {
        let c = self.at.bump();
        let byte = match c {
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 11,
            Some('\\') => b'\\',
            Some('"') => b'"',
            Some('x') => self.digits(start, 0, 2, 16)? as u8,
            Some(d @ '0'..='7') => {
                let value = self.digits(start, d.to_digit(8).unwrap_or(0), 2, 8)?;
                u8::try_from(value).map_err(|_| bad_escape(start))?
            }
            Some(u @ ('u' | 'U')) => {
                let value = self.digits(start, 0, if u == 'u' { 4 } else { 8 }, 16)?;
                push(out, char::from_u32(value).ok_or_else(|| bad_escape(start))?);
                return Ok(());
            }
            _ => return Err(bad_escape(start)),
        };
        out.push(byte);
        Ok(())
    }

    fn digits(&mut self, start: Position, first: u32, n: u32, radix: u32) -> Result<u32, Error> {
        (0..n).try_fold(first, |value, _| {
            let digit = self.at.bump().and_then(|c| c.to_digit(radix));
            let digit = digit.ok_or_else(|| bad_escape(start))?;
            value.checked_mul(radix).map(|v| v | digit).ok_or_else(|| bad_escape(start))
        })
    }

    /// `<<NAME` or `<<-NAME`, lines, and a line of nothing but spaces and NAME.
    fn heredoc(&mut self) -> Result<String, Error> {
        let start = self.at.position();
        self.at.bump();
        if !self.at.eat('<') {
            return Err(Error::unexpected(start, "'<'", "a heredoc, <<NAME"));
        }
        let indented = self.at.eat('-');
        let from = self.at.offset;
        self.at.skip_while(|c| is_letter(c) || is_digit(c));
        let anchor = self.at.since(from);
        let here = self.at.position();
        if anchor.is_empty() || !self.at.eat('\n') {
            let wanted = "the heredoc's name and a new line";
            return Err(Error::unexpected(here, describe(self.at.peek()), wanted));
        }
        let body = self.at.offset;
        loop {
            let line = self.at.offset;
            self.at.skip_while(|c| c != '\n');
            let text = self.at.since(line);
            if text.trim_start().trim_end_matches('\r') == anchor {
                let margin = text.len() - text.trim_start().len();
                let end = line + margin - body;
                let all = self.at.since(body).get(..end).unwrap_or_default();
                return Ok(if indented { unindent(all) } else { all.to_owned() });
            }
            if self.at.bump().is_none() {
                let wanted = format!("a line with {anchor} alone");
                return Err(Error::unexpected(start, "a heredoc without end", wanted));
            }
        }
    }
}

/// Takes the closing line's indentation off every line, if all have it.
fn unindent(text: &str) -> String {
    let margin = text.rsplit('\n').next().unwrap_or_default();
    if text.split('\n').all(|line| line.starts_with(margin)) {
        let lines = text.split('\n').map(|line| line.strip_prefix(margin).unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    } else {
        text.trim_end_matches([' ', '\t']).to_owned()
    }
}

fn integer(text: &str, digits: &str, radix: u32) -> Option<Token> {
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    let value = if text.starts_with('-') { -magnitude } else { magnitude };
    Some(Token::Integer(i64::try_from(value).ok()?, text.to_owned()))
}

fn bad_escape(at: Position) -> Error {
    let wanted = r#"one of \a \b \f \n \r \t \v \\ \" \ooo \xhh \uhhhh \Uhhhhhhhh"#;
    Error::unexpected(at, "an unknown escape", wanted)
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn is_letter(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_digit(c: char) -> bool {
    c.is_numeric()
}
