//! JSON into the same tree as HCL, with line and column.
//!
//! Written by hand because the tree wants the place of every key and value, which serde_json does
//! not give. Leaves out HCL's guesswork about which nested objects are blocks: the reader of a
//! block says so by [`crate::Object::blocks`].

use crate::cursor::{Cursor, describe};
use crate::{Error, Item, Key, Kind, MAX_DEPTH, Object, Position, Value};

pub(crate) fn parse(text: &str) -> Result<Object, Error> {
    let mut reader = Reader { at: Cursor::new(text) };
    reader.at.skip_space();
    let object = reader.object(0)?;
    reader.at.skip_space();
    match reader.at.peek() {
        None => Ok(object),
        Some(_) => reader.unexpected("the end of the text"),
    }
}

struct Reader<'a> {
    at: Cursor<'a>,
}

impl Reader<'_> {
    fn unexpected<T>(&self, wanted: &str) -> Result<T, Error> {
        Err(Error::unexpected(self.at.position(), describe(self.at.peek()), wanted))
    }

    fn expect(&mut self, wanted: char) -> Result<(), Error> {
        self.at.skip_space();
        if self.at.eat(wanted) { Ok(()) } else { self.unexpected(&format!("'{wanted}'")) }
    }

    fn enter(&mut self, open: char, depth: usize) -> Result<Position, Error> {
        let at = self.at.position();
        if depth >= MAX_DEPTH {
            return Err(Error::TooDeep { at });
        }
        self.expect(open)?;
        self.at.skip_space();
        Ok(at)
    }

    /// After a member: whether another follows.
    fn more(&mut self, close: char) -> Result<bool, Error> {
        self.at.skip_space();
        if self.at.eat(',') {
            self.at.skip_space();
            return Ok(true);
        }
        if self.at.eat(close) {
            return Ok(false);
        }
        self.unexpected(&format!("',' or '{close}'"))
    }

    fn object(&mut self, depth: usize) -> Result<Object, Error> {
        let position = self.enter('{', depth)?;
        let mut items = Vec::new();
        if self.at.eat('}') {
            return Ok(Object { items, position });
        }
        loop {
            if self.at.peek() != Some('"') {
                return self.unexpected("a key in quotes");
            }
            let start = self.at.position();
            let name = Key { text: self.string()?, position: start };
            self.expect(':')?;
            let value = self.value(depth + 1)?;
            items.push(Item { name, labels: Vec::new(), value });
            if !self.more('}')? {
                return Ok(Object { items, position });
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, Error> {
        self.enter('[', depth)?;
        let mut list = Vec::new();
        if self.at.eat(']') {
            return Ok(list);
        }
        loop {
            list.push(self.value(depth + 1)?);
            if !self.more(']')? {
                return Ok(list);
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        self.at.skip_space();
        let position = self.at.position();
        let kind = match self.at.peek() {
            Some('{') => Kind::Object(self.object(depth)?),
            Some('[') => Kind::List(self.list(depth)?),
            Some('"') => Kind::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('t') => self.word("true", Kind::Bool(true))?,
            Some('f') => self.word("false", Kind::Bool(false))?,
            Some('n') => self.word("null", Kind::Null)?,
            _ => return self.unexpected("a value"),
        };
        Ok(Value { kind, position })
    }

    fn word(&mut self, word: &str, kind: Kind) -> Result<Kind, Error> {
        let start = *self;
        let from = self.at.offset;
        self.at.skip_while(char::is_alphanumeric);
        if self.at.since(from) == word {
            return Ok(kind);
        }
        start.unexpected("true, false, null or another value")
    }

    fn number(&mut self) -> Result<Kind, Error> {
        let (from, at) = (self.at.offset, self.at.position());
        self.at.skip_while(|c| matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9'));
        let text = self.at.since(from);
        // serde_json knows JSON's grammar of numbers: no leading zero, no bare point.
        let number = serde_json::from_str::<serde_json::Number>(text).ok();
        let kind = number.and_then(|n| match n.as_i64() {
            Some(integer) => Some(Kind::Integer(integer, text.to_owned())),
            None => n.as_f64().filter(|f| f.is_finite()).map(Kind::Float),
        });
        kind.ok_or_else(|| Error::unexpected(at, "a malformed or too large number", "a number"))
    }

    fn string(&mut self) -> Result<String, Error> {
        let (from, start) = (self.at.offset, self.at.position());
        self.at.bump();
        loop {
            match self.at.peek() {
                Some('"') => break,
                Some('\\') => {
                    self.at.bump();
                    self.at.bump();
                }
                Some(c) if !c.is_control() || c == '\u{7f}' || c > '\u{7f}' => {
                    self.at.bump();
                }
                _ => return self.unexpected("a closing '\"'"),
            }
        }
        self.at.bump();
        serde_json::from_str(self.at.since(from))
            .map_err(|_| Error::unexpected(start, "a string with a bad escape", "a JSON string"))
    }
}

impl Clone for Reader<'_> {
    fn clone(&self) -> Self {
        *self
    }
}

impl Copy for Reader<'_> {}
