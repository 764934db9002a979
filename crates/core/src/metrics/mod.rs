//! Numbers about what the server does, for whoever watches it: counted with atomics where it
//! happens, put together only when somebody asks.
//!
//! A label is a name that an operator gave (a mount, a plugin) or one of a few words of ours, never
//! something that a client sent. Leaves out pushing numbers anywhere: they are fetched.

mod collect;
mod page;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

pub use page::{Format, Page};

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often something happened, and how long it took.
#[derive(Default)]
pub struct Timer {
    count: AtomicU64,
    micros: AtomicU64,
    longest: AtomicU64,
}

/// A timer at one moment. Times in milliseconds, as Vault's are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timed {
    /// How often.
    pub count: u64,
    /// All of it together.
    pub sum: f64,
    /// The longest.
    pub max: f64,
}

impl Timer {
    /// It happened, and took so long.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.longest.fetch_max(micros, Ordering::Relaxed);
    }

    /// What was measured so far.
    pub fn read(&self) -> Timed {
        let millis = |micros: &AtomicU64| Duration::from_micros(micros.load(Ordering::Relaxed));
        Timed {
            count: self.count.load(Ordering::Relaxed),
            sum: millis(&self.micros).as_secs_f64() * 1000.0,
            max: millis(&self.longest).as_secs_f64() * 1000.0,
        }
    }
}

/// What is counted for the server as a whole; it outlives sealing.
#[derive(Default)]
pub struct Metrics {
    /// Requests, from door to door.
    pub requests: Timer,
    /// Requests that are being answered.
    in_flight: AtomicU64,
    /// Requests that were refused before they reached a backend.
    pub refused: Counter,
    /// Logins that gave a token.
    pub logins: Counter,
    /// Requests that no audit device took.
    pub unrecorded: Counter,
    /// Answers that no audit device took.
    pub unrecorded_answers: Counter,
}

/// A request that is being answered, until it is dropped.
pub struct InFlight<'a>(&'a Metrics);

impl Metrics {
    /// Counts a request in.
    pub fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is counted for one mount.
#[derive(Default)]
pub struct MountMetrics {
    /// Requests that its backend got, and how long it took.
    pub requests: Timer,
    /// Those that failed by no fault of the caller.
    pub failures: Counter,
    /// How often its backend was brought up, and how long that took.
    pub starts: Timer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_adds_up_and_keeps_the_longest() {
        let timer = Timer::default();
        for millis in [1, 5, 2] {
            timer.took(Duration::from_millis(millis));
        }
        assert_eq!(timer.read(), Timed { count: 3, sum: 8.0, max: 5.0 });
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_dropped() {
        let metrics = Metrics::default();
        let one = metrics.begin();
        let two = metrics.begin();
        assert_eq!(metrics.in_flight.load(Ordering::Relaxed), 2);
        drop((one, two));
        assert_eq!(metrics.in_flight.load(Ordering::Relaxed), 0);
    }
}
