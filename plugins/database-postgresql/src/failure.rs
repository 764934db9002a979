//! What goes wrong with a database, in words that may be shown: no secret is in them.
//!
//! The server's own words are kept, in the form in which Vault's plugin shows them
//! (`ERROR: role "x" does not exist (SQLSTATE 42704)`); its details and hints, which may quote
//! rows, are not.

use std::error::Error as _;
use std::time::Duration;

use boltwork_sdk::logical::DatabaseError;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Why a database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// It refused: its words, and its code.
    #[error("{text}")]
    Refused {
        /// Words and code, as shown.
        text: String,
        /// The code.
        code: SqlState,
    },
    /// The connection broke. Whether the database had done its work, nobody knows.
    #[error("the connection to the database broke: {0}")]
    Broken(String),
    /// There was no connection to begin with.
    #[error("failed to connect to {target}: {why}")]
    Unreachable {
        /// `user=… database=…` and where.
        target: String,
        /// What was wrong.
        why: String,
        /// The server's code, if it was the server that refused.
        code: Option<SqlState>,
    },
    /// It took too long, and was given up.
    #[error("the database did not answer within {} s ({doing})", .after.as_secs())]
    Slow {
        /// What was waited for.
        doing: &'static str,
        /// How long.
        after: Duration,
    },
    /// All connections were busy for that long.
    #[error("all {open} connections to the database were busy; raise max_open_connections")]
    Busy {
        /// How many there may be.
        open: usize,
    },
    /// The connection's configuration is wrong.
    #[error("{0}")]
    Configuration(String),
    /// It was never configured, or is closed.
    #[error("connection has not been initialized")]
    NotInitialized,
}

impl Failure {
    /// What a statement failed of.
    pub fn of(error: &Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Self::Refused { text: words(error), code: refusal.code().clone() },
            None => Self::Broken(words(error)),
        }
    }

    /// Whether the database said that what was named does not exist.
    pub fn names_nothing(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == SqlState::UNDEFINED_OBJECT)
    }

    /// Whether the statement only met another one that changed the same at the same time, such as
    /// the rights on one schema; asked again, it is done. Nothing of it was.
    pub fn collided(&self) -> bool {
        let Self::Refused { text, code } = self else { return false };
        let concurrent = *code == SqlState::INTERNAL_ERROR
            && (text.contains("tuple concurrently updated")
                || text.contains("tuple concurrently deleted"));
        concurrent
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::T_R_DEADLOCK_DETECTED
    }

    /// Whether nobody knows what the database has done.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Broken(_) | Self::Slow { .. })
    }

    /// As an error for the engine, with `secrets` taken out.
    pub fn shown(&self, doing: &str, secrets: &[&str]) -> DatabaseError {
        let text = match doing {
            "" => self.to_string(),
            _ => format!("{doing}: {self}"),
        };
        let text = self.without_fragment(text, secrets);
        DatabaseError::Failed(redacted(text, secrets))
    }

    /// A syntax error quotes the word at which reading stopped, which may be a piece of a secret.
    fn without_fragment(&self, text: String, secrets: &[&str]) -> String {
        let Self::Refused { code, .. } = self else { return text };
        if *code != SqlState::SYNTAX_ERROR {
            return text;
        }
        let quoted = text
            .split_once(" at or near \"")
            .and_then(|(head, rest)| rest.rsplit_once('"').map(|(word, tail)| (head, word, tail)));
        match quoted {
            Some((head, word, tail)) if secrets.iter().any(|secret| secret.contains(word)) => {
                format!("{head}{tail}")
            }
            _ => text,
        }
    }
}

/// Puts `[password]` in the place of every secret.
pub fn redacted(text: String, secrets: &[&str]) -> String {
    let mut ordered: Vec<&str> =
        secrets.iter().copied().filter(|secret| !secret.is_empty()).collect();
    // A secret that contains another goes first.
    ordered.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    ordered.into_iter().fold(text, |text, secret| text.replace(secret, "[password]"))
}

/// The words of an error of the driver.
pub fn words(error: &Error) -> String {
    if let Some(refusal) = error.as_db_error() {
        let (severity, code) = (refusal.severity(), refusal.code().code());
        return format!("{severity}: {} (SQLSTATE {code})", refusal.message());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syntax(near: &str) -> Failure {
        let text = format!("ERROR: syntax error at or near \"{near}\" (SQLSTATE 42601)");
        Failure::Refused { text, code: SqlState::SYNTAX_ERROR }
    }

    #[test]
    fn secrets_are_taken_out_whole_and_in_pieces() {
        let shown = syntax("hunter").shown("failed", &["hunter-2"]).to_string();
        assert_eq!(shown, "failed: ERROR: syntax error (SQLSTATE 42601)");
        let shown = syntax("FROM").shown("", &["hunter-2"]).to_string();
        assert_eq!(shown, "ERROR: syntax error at or near \"FROM\" (SQLSTATE 42601)");
        let broken = Failure::Broken("abc of abcdef".to_owned()).shown("", &["abc", "abcdef", ""]);
        assert!(broken.to_string().ends_with("[password] of [password]"), "{broken}");
    }
}
