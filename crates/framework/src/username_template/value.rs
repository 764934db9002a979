//! What a template works with: texts, whole numbers, truth, and nothing.

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    Nil,
}

impl Value {
    /// Its kind, as Go calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Int(_) => "int",
            Self::Bool(_) => "bool",
            Self::Nil => "nil",
        }
    }

    /// Whether `if` takes it for true: everything but the empty and the zero.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Int(number) => *number != 0,
            Self::Bool(truth) => *truth,
            Self::Nil => false,
        }
    }

    /// As it is printed.
    pub fn printed(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Bool(truth) => truth.to_string(),
            Self::Nil => "<no value>".to_owned(),
        }
    }
}
