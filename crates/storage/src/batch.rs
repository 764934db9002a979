//! What is applied atomically: checks that must hold, and the writes that follow. Leaves out how an engine does it.

use crate::{Error, MAX_BATCH_LEN, MAX_VALUE_LEN, validate_key, validate_prefix};

/// Checks and writes which succeed or fail together.
#[derive(Clone, Default)]
pub struct Batch {
    /// What must still be true at the moment of writing.
    pub checks: Vec<Check>,
    /// What is written then, in this order.
    pub writes: Vec<Write>,
}

/// A condition on the state before the batch.
#[derive(Clone)]
pub enum Check {
    /// The key has this value, or does not exist when `expected` is `None`.
    Value {
        /// The key looked at.
        key: String,
        /// The value it must have.
        expected: Option<Vec<u8>>,
    },
    /// A listing with these arguments gives exactly these children.
    Listing {
        /// As in [`crate::Physical::list`].
        prefix: String,
        /// As in [`crate::Physical::list`].
        after: String,
        /// As in [`crate::Physical::list`].
        limit: Option<usize>,
        /// The children it must give.
        expected: Vec<String>,
    },
}

/// One change.
#[derive(Clone)]
pub enum Write {
    /// Sets a key to a value, whether it existed or not.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Removes a key; not an error when it does not exist.
    Delete {
        /// The key.
        key: String,
    },
}

impl Write {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

impl Batch {
    /// A batch of one unconditional put.
    #[must_use]
    pub fn put(key: impl Into<String>, value: Vec<u8>) -> Self {
        Self { checks: Vec::new(), writes: vec![Write::Put { key: key.into(), value }] }
    }

    /// A batch of one unconditional delete.
    #[must_use]
    pub fn delete(key: impl Into<String>) -> Self {
        Self { checks: Vec::new(), writes: vec![Write::Delete { key: key.into() }] }
    }

    /// Bytes of keys and values the batch holds: what it costs to keep in memory.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        let checks = self.checks.iter().map(|check| match check {
            Check::Value { key, expected } => key.len() + expected.as_ref().map_or(0, Vec::len),
            Check::Listing { prefix, expected, .. } => {
                prefix.len() + expected.iter().map(String::len).sum::<usize>()
            }
        });
        let writes = self.writes.iter().map(|write| match write {
            Write::Put { key, value } => key.len() + value.len(),
            Write::Delete { key } => key.len(),
        });
        checks.chain(writes).sum()
    }

    /// Refuses keys, values and totals beyond the limits of this room. Every engine calls it first.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] or [`Error::TooLarge`].
    pub fn validate(&self) -> Result<(), Error> {
        for check in &self.checks {
            match check {
                Check::Value { key, .. } => validate_key(key)?,
                Check::Listing { prefix, .. } => validate_prefix(prefix)?,
            }
        }
        for write in &self.writes {
            validate_key(write.key())?;
            if let Write::Put { key, value } = write
                && value.len() > MAX_VALUE_LEN
            {
                return Err(Error::TooLarge {
                    what: format!("the value for {key:?}"),
                    len: value.len(),
                    max: MAX_VALUE_LEN,
                });
            }
        }
        let len = self.len_bytes();
        if len > MAX_BATCH_LEN {
            return Err(Error::TooLarge { what: "the batch".into(), len, max: MAX_BATCH_LEN });
        }
        Ok(())
    }
}
