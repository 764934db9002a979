//! The tree: objects of items, items of keys and a value, each with its place in the text.
//!
//! Leaves out comments, and any notion of which keys are known. HCL and JSON give the same tree
//! except where HCL itself differs: `path "x" {}` is one item with two keys, `{"path": {"x": {}}}`
//! an object in an object. [`Object::blocks`] reads both as the same block.

use crate::Error;

/// A place in a text, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Character within the line.
    pub column: u32,
}

/// One key or label of an item, unquoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its text without quotes and escapes.
    pub text: String,
    /// Where it starts.
    pub position: Position,
}

/// `key = value`, or `key "label" { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The name, then any labels.
    pub name: Key,
    /// Labels between the name and the brace; empty for `key = value` and for all of JSON.
    pub labels: Vec<Key>,
    /// What it is set to. An item with labels always holds an object.
    pub value: Value,
}

/// Items in the order of the text. Repeated names are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The items.
    pub items: Vec<Item>,
    /// The opening brace; the start of the text for the outermost object of HCL.
    pub position: Position,
}

/// A value and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The value itself.
    pub kind: Kind,
    /// Where it starts. For an object, the same as the object's own.
    pub position: Position,
}

/// What a value can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// JSON's `null`; readers treat it as absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer with the text it was written as: `0600` is 384, and some keys want the text.
    Integer(i64, String),
    /// Any other number.
    Float(f64),
    /// A string or heredoc.
    String(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

/// A named block: `path "secret/*" { … }`.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Its one label, here `secret/*`.
    pub label: &'a Key,
    /// What is between the braces.
    pub body: &'a Object,
}

impl Kind {
    /// The kind in words that fit an error message; never the value.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(..) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl Value {
    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match &self.kind {
            Kind::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match &self.kind {
            Kind::List(list) => Some(list),
            _ => None,
        }
    }

    /// An error saying that this value's kind does not fit.
    pub fn mismatch(&self, wanted: impl Into<String>) -> Error {
        Error::unexpected(self.position, self.kind.describe(), wanted)
    }

    /// The same value as JSON. Labels become nested objects; of repeated names the last one stays.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Null => serde_json::Value::Null,
            Kind::Bool(b) => (*b).into(),
            Kind::Integer(n, _) => (*n).into(),
            Kind::Float(f) => (*f).into(),
            Kind::String(s) => s.as_str().into(),
            Kind::List(list) => list.iter().map(Value::to_json).collect(),
            Kind::Object(object) => object.to_json(),
        }
    }
}

impl Object {
    /// Every item of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Item> {
        self.items.iter().filter(move |item| item.name.text == name)
    }

    /// The value of the last item of this name: a repeated attribute overrides the earlier one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.items.iter().rev().find(|item| item.name.text == name).map(|item| &item.value)
    }

    /// The blocks of this name, each with its one label, in every way that they can be written:
    ///
    /// * `name "label" { … }`
    /// * `{"name": {"label": { … }}}`, or the same with `=` in HCL
    /// * either object replaced by a list of such objects
    ///
    /// # Errors
    /// [`Error::Unexpected`] where an item of this name is something else.
    pub fn blocks<'a>(&'a self, name: &str) -> Result<Vec<Block<'a>>, Error> {
        let mut found = Vec::new();
        for item in self.items.iter().filter(|item| item.name.text == name) {
            match item.labels.as_slice() {
                [] => {
                    for outer in item.value.objects()? {
                        outer.labelled(&mut found)?;
                    }
                }
                [label] => {
                    for body in item.value.objects()? {
                        found.push(Block { label, body });
                    }
                }
                [_, second, ..] => {
                    return Err(Error::unexpected(second.position, "a second label", "'{'"));
                }
            }
        }
        Ok(found)
    }

    fn labelled<'a>(&'a self, found: &mut Vec<Block<'a>>) -> Result<(), Error> {
        for item in &self.items {
            if let Some(second) = item.labels.first() {
                return Err(Error::unexpected(second.position, "a second label", "'{'"));
            }
            for body in item.value.objects()? {
                found.push(Block { label: &item.name, body });
            }
        }
        Ok(())
    }

    fn to_json(&self) -> serde_json::Value {
        let mut map = serde_json::Map::new();
        for item in &self.items {
            let mut value = item.value.to_json();
            for label in item.labels.iter().rev() {
                value = serde_json::json!({ label.text.as_str(): value });
            }
            map.insert(item.name.text.clone(), value);
        }
        map.into()
    }
}

impl Value {
    /// The object, or the objects of a list of objects; `null` is none.
    ///
    /// # Errors
    /// [`Error::Unexpected`] where it is neither.
    pub fn objects(&self) -> Result<Vec<&Object>, Error> {
        match &self.kind {
            Kind::Null => Ok(Vec::new()),
            Kind::Object(object) => Ok(vec![object]),
            Kind::List(list) => list
                .iter()
                .map(|value| value.as_object().ok_or_else(|| value.mismatch("an object")))
                .collect(),
            _ => Err(self.mismatch("an object")),
        }
    }
}
