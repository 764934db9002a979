//! How long a token or lease lives: what is asked, within what the mount and its own limits allow.

use std::time::Duration;

use boltwork_logical::Error;

use super::now;

/// What is wished, in seconds; 0 is nothing in particular.
#[derive(Clone, Copy, Debug, Default)]
pub struct TtlWish {
    /// Time to live from now.
    pub ttl: u64,
    /// Periodic: every renewal sets the TTL to this, for ever.
    pub period: u64,
    /// Hard end after creation.
    pub explicit_max_ttl: u64,
    /// The backend's own limit, where it is tighter than the mount's.
    pub backend_max_ttl: u64,
    /// When it was created, in seconds since 1970; `None` if that is now.
    pub created: Option<u64>,
}

impl TtlWish {
    /// The TTL in seconds from now, and what the caller should know of how it came about.
    ///
    /// `limits` are the mount's default and longest TTL. The rules are Vault's: a period escapes
    /// the mount's limit on the whole life, but no single period is longer than it.
    ///
    /// # Errors
    /// The longest life is already over.
    pub fn settle(&self, limits: (Duration, Duration)) -> Result<(u64, Vec<String>), Error> {
        let (default, mut max) = (limits.0.as_secs(), limits.1.as_secs());
        for limit in [self.backend_max_ttl, self.explicit_max_ttl] {
            if limit > 0 {
                max = max.min(limit);
            }
        }
        if max == 0 {
            return Err(Error::internal("max TTL must be greater than zero"));
        }
        let mut warnings = Vec::new();
        let mut cap = |what: &str, end: &str, ttl: u64, limit: u64| {
            if ttl > limit {
                warnings.push(format!(
                    "{what} of \"{}\" exceeded the effective max_ttl of \"{}\"; {end} value is \
                     capped accordingly",
                    human(ttl),
                    human(limit)
                ));
            }
            ttl.min(limit)
        };
        let now = now();
        let created = self.created.unwrap_or(now);
        let (mut ttl, whole) = match (self.period, self.ttl) {
            (0, 0) => (default, max),
            (0, asked) => (asked, max),
            (period, _) => (cap("period", "period", period, max), self.explicit_max_ttl),
        };
        // A periodic token without a hard end has no longest life.
        if whole > 0 {
            let left = created.saturating_add(whole).saturating_sub(now);
            if left == 0 {
                return Err(Error::invalid("past the max TTL, cannot renew"));
            }
            ttl = cap("TTL", "TTL", ttl, left);
        }
        Ok((ttl, warnings))
    }
}

/// Seconds as people read durations: `1h`, `1h30m`, `90s` as `1m30s`.
fn human(seconds: u64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

    #[test]
    fn a_ttl_beyond_the_limit_is_cut_and_said() {
        let wish = TtlWish { ttl: 7200, ..TtlWish::default() };
        let (ttl, warnings) = wish.settle(LIMITS).unwrap();
        assert_eq!(ttl, 3600);
        assert_eq!(
            warnings,
            [
                "TTL of \"2h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly"
            ]
        );
        assert_eq!(TtlWish::default().settle(LIMITS).unwrap(), (60, Vec::new()));
        let wish = TtlWish { ttl: 50, explicit_max_ttl: 40, ..TtlWish::default() };
        assert_eq!(wish.settle(LIMITS).unwrap().0, 40);
    }

    #[test]
    fn renewals_never_outlive_the_longest_life() {
        let wish = TtlWish { ttl: 3000, created: Some(now() - 3000), ..TtlWish::default() };
        assert!((595..=600).contains(&wish.settle(LIMITS).unwrap().0));
        let over = TtlWish { created: Some(now() - 3601), ..TtlWish::default() };
        assert_eq!(over.settle(LIMITS).unwrap_err().to_string(), "past the max TTL, cannot renew");
    }

    #[test]
    fn a_period_escapes_the_longest_life_but_not_a_hard_end() {
        let old = Some(now() - 100_000);
        let wish = TtlWish { period: 600, created: old, ..TtlWish::default() };
        assert_eq!(wish.settle(LIMITS).unwrap().0, 600);
        let too_long = TtlWish { period: 9000, created: old, ..TtlWish::default() };
        assert_eq!(too_long.settle(LIMITS).unwrap().0, 3600);
        let ended = TtlWish { explicit_max_ttl: 1000, ..wish };
        assert!(ended.settle(LIMITS).is_err());
    }
}
