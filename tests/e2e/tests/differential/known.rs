//! Where Boltwork answers otherwise than OpenBao on purpose, each with its reason.

/// A difference that is meant.
pub struct Known {
    /// Which table it shows in.
    pub table: &'static str,
    /// The step, or `*` for all.
    pub step: &'static str,
    /// `status`, a header, or the beginning of a path into the body.
    pub place: &'static str,
    /// Why it is so.
    #[allow(dead_code, reason = "read by people, not by the test")]
    pub reason: &'static str,
}

impl Known {
    /// Whether this difference is that one.
    pub fn covers(&self, step: &str, place: &str) -> bool {
        (self.step == "*" || self.step == step) && place.starts_with(self.place)
    }
}

/// All that is known.
pub const KNOWN: &[Known] = &[];
