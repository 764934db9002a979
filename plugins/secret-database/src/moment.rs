//! Times to live: of what is wanted, what the role allows and what the mount allows, the shortest.

use std::time::{Duration, SystemTime};

use boltwork_sdk::logical::SystemView;

/// Added to a user's end in the database: the lease's is settled a moment later, and must not come
/// after it.
const MARGIN: Duration = Duration::from_secs(5);

/// What decides how long.
pub struct Wish {
    /// The role's default; zero for the mount's.
    pub default: Duration,
    /// The role's longest; zero for the mount's.
    pub max: Duration,
    /// What a renewal asks for; zero for the default.
    pub increment: Duration,
    /// When the lease began; none if it begins now.
    pub issued: Option<SystemTime>,
}

impl Wish {
    /// How long from now on. Zero if the longest is over already.
    pub async fn settle(&self, system: &dyn SystemView) -> Duration {
        let or = |wanted: Duration, other| if wanted.is_zero() { other } else { wanted };
        let longest = system.max_lease_ttl().await;
        let max = or(self.max, longest).min(longest);
        let default = or(self.default, system.default_lease_ttl().await);
        let used = self.issued.and_then(|at| at.elapsed().ok()).unwrap_or_default();
        or(self.increment, default).min(max.saturating_sub(used))
    }
}

/// When a user of this time to live is to end.
pub fn end(ttl: Duration) -> Option<SystemTime> {
    SystemTime::now().checked_add(ttl)?.checked_add(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use boltwork_sdk_test::FakeSystem;

    async fn settled(default: u64, max: u64, increment: u64, used: u64) -> u64 {
        let seconds = Duration::from_secs;
        let issued = (used > 0).then(|| SystemTime::now() - seconds(used));
        let (default, max, increment) = (seconds(default), seconds(max), seconds(increment));
        let wish = Wish { default, max, increment, issued };
        // The mount's own: an hour, at most a day.
        wish.settle(&FakeSystem::default()).await.as_secs_f64().round() as u64
    }

    #[tokio::test]
    async fn the_shortest_of_wish_role_and_mount_decides() {
        assert_eq!(settled(0, 0, 0, 0).await, 3600);
        assert_eq!(settled(60, 0, 0, 0).await, 60);
        assert_eq!(settled(7200, 600, 0, 0).await, 600);
        assert_eq!(settled(999_999, 999_999, 0, 0).await, 86_400);
        assert_eq!(settled(60, 600, 300, 0).await, 300);
        assert_eq!(settled(60, 600, 300, 500).await, 100);
        assert_eq!(settled(60, 600, 0, 700).await, 0);
    }
}
