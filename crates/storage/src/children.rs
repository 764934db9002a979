//! Folding sorted keys into the children of one folder, skipping over whole folders. Leaves out where the keys come
//! from: an engine offers them in byte order and does as it is told.

/// What the engine does after offering a key.
pub(crate) enum Step {
    /// Offer the next key.
    Next,
    /// Offer the first key that is not less than this.
    SeekTo(String),
    /// No further key matters.
    Done,
}

/// Collects the immediate children below a prefix.
pub(crate) struct Children<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<String>,
}

impl<'a> Children<'a> {
    pub(crate) fn new(prefix: &'a str, after: &'a str, limit: Option<usize>) -> Self {
        Self { prefix, after, limit: limit.unwrap_or(usize::MAX), found: Vec::new() }
    }

    /// The first key to offer is the first that is not less than this. A key before it has a child that is a prefix
    /// of the key, hence not after `after`.
    pub(crate) fn start(&self) -> String {
        [self.prefix, self.after].concat()
    }

    pub(crate) fn offer(&mut self, key: &str) -> Step {
        let Some(rest) = key.strip_prefix(self.prefix) else { return Step::Done };
        if self.found.len() >= self.limit {
            return Step::Done;
        }
        let (child, folder) = match rest.find('/') {
            Some(slash) => (&rest[..=slash], true),
            None => (rest, false),
        };
        // An empty child is the key that equals the prefix itself: not a child.
        if child > self.after {
            self.found.push(child.to_owned());
        }
        if folder {
            // '0' is the byte after '/': the first key that can follow everything inside this folder.
            Step::SeekTo([self.prefix, &child[..child.len() - 1], "0"].concat())
        } else {
            Step::Next
        }
    }

    pub(crate) fn finish(self) -> Vec<String> {
        self.found
    }
}
