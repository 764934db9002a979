//! Making a password: every character drawn evenly, the whole thrown away until all rules are kept.
//!
//! Throwing away keeps all passwords that a policy allows equally likely; moving characters into
//! place would not.

use std::time::{Duration, Instant};

use rand::{SeedableRng, rngs::StdRng, seq::IndexedRandom};
use zeroize::Zeroizing;

use super::PasswordPolicy;

/// How long a password is looked for; Vault's limit.
const PATIENCE: Duration = Duration::from_secs(1);

/// After how many tries others get their turn.
const AT_ONCE: usize = 64;

/// No password was found in time: the rules leave too few.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out generating string")]
pub struct TimedOut;

impl PasswordPolicy {
    /// A password.
    ///
    /// # Errors
    /// The rules are so hard to keep by chance that none was found within a second.
    pub async fn generate(&self) -> Result<Zeroizing<String>, TimedOut> {
        self.generate_within(PATIENCE).await
    }

    async fn generate_within(&self, patience: Duration) -> Result<Zeroizing<String>, TimedOut> {
        // Seeded by the operating system; a generator of our own may be kept across an await.
        let mut random = StdRng::from_os_rng();
        let start = Instant::now();
        loop {
            for _ in 0..AT_ONCE {
                if let Some(password) = self.candidate(&mut random) {
                    return Ok(password);
                }
            }
            if start.elapsed() >= patience {
                return Err(TimedOut);
            }
            tokio::task::yield_now().await;
        }
    }

    fn candidate(&self, random: &mut StdRng) -> Option<Zeroizing<String>> {
        let mut drawn = Zeroizing::new(Vec::with_capacity(self.length));
        for _ in 0..self.length {
            drawn.push(*self.charset.choose(random)?);
        }
        let kept = self.rules.iter().all(|rule| {
            let of_rule = |c: &&char| rule.charset.binary_search(c).is_ok();
            drawn.iter().filter(of_rule).count() >= rule.min
        });
        // With room for the widest characters, so that it does not move while it grows.
        let mut password = Zeroizing::new(String::with_capacity(self.length * 4));
        password.extend(drawn.iter());
        kept.then_some(password)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn policy(text: &str) -> PasswordPolicy {
        PasswordPolicy::parse(text).unwrap()
    }

    #[tokio::test]
    async fn passwords_keep_every_rule() {
        let policy = policy(
            "length = 10\nrule \"charset\" { charset = \"abcé\" }\n\
             rule \"charset\" {\n charset = \"01\"\n min-chars = 3\n }\n\
             rule \"charset\" {\n charset = \"-\"\n min-chars = 1\n }",
        );
        for _ in 0..50 {
            let password = policy.generate().await.unwrap();
            assert_eq!(password.chars().count(), 10);
            assert!(password.chars().all(|c| "abcé01-".contains(c)));
            assert!(password.chars().filter(|c| "01".contains(*c)).count() >= 3);
            assert!(password.contains('-'));
        }
    }

    #[tokio::test]
    async fn every_character_is_as_likely_as_any_other() {
        // 63 characters: one that a remainder of a byte would favour.
        let policy = policy(
            "length = 100\nrule \"charset\" { charset = \
             \"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-\" }",
        );
        let mut counts: HashMap<char, usize> = HashMap::new();
        for _ in 0..630 {
            for c in policy.generate().await.unwrap().chars() {
                *counts.entry(c).or_default() += 1;
            }
        }
        assert_eq!(counts.len(), 63);
        // 1000 each on average, standard deviation 31: eight of them either way.
        assert!(counts.values().all(|n| (750..=1250).contains(n)), "{counts:?}");
    }

    #[tokio::test]
    async fn rules_that_chance_never_keeps_end_in_time() {
        let policy = policy(
            "length = 20\nrule \"charset\" { charset = \"abcdefghijklmnopqrstuvwxyz\" }\n\
             rule \"charset\" {\n charset = \"0\"\n min-chars = 20\n }",
        );
        assert_eq!(policy.generate_within(Duration::from_millis(20)).await, Err(TimedOut));
    }
}
