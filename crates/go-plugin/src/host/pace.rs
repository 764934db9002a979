//! How much of what a plugin says is listened to: a flood must cost its host neither a processor nor
//! a disk, and must not drown what others say.
//!
//! Lines beyond [`LINES`] a second are counted instead of passed on; beyond [`BYTES`] a second the
//! reader pauses, so that the pipe fills and the flood waits for itself.

use std::time::Duration;

use tokio::time::Instant;

/// Lines or pieces of output passed on in a second.
pub(super) const LINES: u32 = 2_000;
/// Bytes read in a second.
pub(super) const BYTES: usize = 4 << 20;

const WINDOW: Duration = Duration::from_secs(1);

/// One stream of output, in windows of a second.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    lines: u32,
    bytes: usize,
    dropped: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Whether it is passed on.
    pub pass: bool,
    /// How many were not in the second that has just ended.
    pub dropped: u64,
}

impl Pace {
    pub fn new() -> Self {
        Self { began: Instant::now(), lines: 0, bytes: 0, dropped: 0 }
    }

    /// Counts a line.
    pub fn hear(&mut self, bytes: usize) -> Heard {
        let mut dropped = 0;
        if self.began.elapsed() >= WINDOW {
            dropped = self.dropped;
            *self = Self::new();
        }
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let pass = self.lines <= LINES;
        self.dropped += u64::from(!pass);
        Heard { pass, dropped }
    }

    /// Waits until more may be read.
    pub async fn rest(&self) {
        if self.bytes >= BYTES {
            tokio::time::sleep_until(self.began + WINDOW).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_beyond_the_limit_are_counted_and_the_next_second_says_how_many() {
        let mut pace = Pace::new();
        let passed = (0..LINES + 50).filter(|_| pace.hear(10).pass).count();
        assert_eq!(passed, LINES as usize);
        tokio::time::advance(WINDOW).await;
        assert_eq!(pace.hear(10), Heard { pass: true, dropped: 50 });
        assert_eq!(pace.hear(10), Heard { pass: true, dropped: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn reading_pauses_when_too_many_bytes_came() {
        let mut pace = Pace::new();
        let start = Instant::now();
        pace.hear(BYTES - 1);
        pace.rest().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.hear(1);
        pace.rest().await;
        assert!(start.elapsed() >= WINDOW);
        assert!(pace.hear(1).pass);
    }
}
