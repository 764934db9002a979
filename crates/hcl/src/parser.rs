//! Tokens of HCL 1 into the tree.
//!
//! Leaves out JSON, and the check for repeated attributes: the old, lenient reading is wanted,
//! in which the last one counts.

use crate::lexer::{Lexer, Token};
use crate::{Error, Item, Key, Kind, MAX_DEPTH, Object, Position, Value};

pub(crate) fn parse(text: &str) -> Result<Object, Error> {
    let mut lexer = Lexer::new(text);
    let (token, at) = lexer.next()?;
    let mut parser = Parser { lexer, token, at };
    let items = parser.items(&Token::End, 0)?;
    Ok(Object { items, position: Position { line: 1, column: 1 } })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token looked at, not yet taken.
    token: Token,
    at: Position,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<Token, Error> {
        let (token, at) = self.lexer.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, Error> {
        Err(Error::unexpected(self.at, self.token.describe(), wanted))
    }

    /// Items up to `end`, which stays untaken.
    fn items(&mut self, end: &Token, depth: usize) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        while self.token != *end {
            items.push(self.item(depth)?);
            if self.token == Token::Mark(',') {
                self.advance()?;
            }
        }
        Ok(items)
    }

    fn item(&mut self, depth: usize) -> Result<Item, Error> {
        let name = match self.key()? {
            Some(name) => name,
            None => return self.unexpected("a name"),
        };
        let mut labels = Vec::new();
        while let Some(label) = self.key()? {
            labels.push(label);
        }
        let value = match self.token {
            Token::Mark('=') if labels.is_empty() => {
                self.advance()?;
                self.value(depth)?
            }
            Token::Mark('=') => return self.unexpected("'{' after the labels"),
            Token::Mark('{') => self.value(depth)?,
            _ => return self.unexpected("'=' or '{' after the name"),
        };
        Ok(Item { name, labels, value })
    }

    fn key(&mut self) -> Result<Option<Key>, Error> {
        if !matches!(self.token, Token::Ident(_) | Token::String(_)) {
            return Ok(None);
        }
        let position = self.at;
        match self.advance()? {
            Token::Ident(text) | Token::String(text) => Ok(Some(Key { text, position })),
            _ => Ok(None),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let position = self.at;
        let kind = match &self.token {
            Token::Mark('{') => Kind::Object(self.object(depth)?),
            Token::Mark('[') => Kind::List(self.list(depth)?),
            Token::Mark(_) | Token::Ident(_) | Token::End => {
                return self
                    .unexpected("a value: a string in quotes, a number, true, false, [ or {");
            }
            _ => match self.advance()? {
                Token::Bool(b) => Kind::Bool(b),
                Token::Integer(n, text) => Kind::Integer(n, text),
                Token::Float(f) => Kind::Float(f),
                Token::String(s) | Token::Heredoc(s) => Kind::String(s),
                Token::Mark(_) | Token::Ident(_) | Token::End => Kind::Null,
            },
        };
        Ok(Value { kind, position })
    }

    fn object(&mut self, depth: usize) -> Result<Object, Error> {
        let position = self.enter(depth)?;
        let items = self.items(&Token::Mark('}'), depth + 1)?;
        self.advance()?;
        Ok(Object { items, position })
    }

    /// Commas may be doubled or trail, but may not be missing.
    fn list(&mut self, depth: usize) -> Result<Vec<Value>, Error> {
        self.enter(depth)?;
        let mut list = Vec::new();
        loop {
            while self.token == Token::Mark(',') {
                self.advance()?;
            }
            if self.token == Token::Mark(']') {
                break;
            }
            list.push(self.value(depth + 1)?);
            if !matches!(self.token, Token::Mark(',' | ']')) {
                return self.unexpected("',' or ']'");
            }
        }
        self.advance()?;
        Ok(list)
    }

    /// Takes the opening brace or bracket, unless it goes too deep.
    fn enter(&mut self, depth: usize) -> Result<Position, Error> {
        let at = self.at;
        if depth >= MAX_DEPTH {
            return Err(Error::TooDeep { at });
        }
        self.advance()?;
        Ok(at)
    }
}
