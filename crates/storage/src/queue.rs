//! A bounded queue from async callers to engine threads. Leaves out what a job is.
//!
//! Callers wait asynchronously for room; threads wait on a condition variable. Room is counted in units that the
//! caller chooses (here: KiB), so that many small jobs and a few large ones are bounded alike.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The queue was closed: nothing is taken any more.
pub(crate) struct Closed;

struct Waiting<T> {
    jobs: VecDeque<(T, OwnedSemaphorePermit)>,
    closed: bool,
}

pub(crate) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    ready: Condvar,
    room: Arc<Semaphore>,
    units: u32,
}

impl<T> Queue<T> {
    /// A queue that holds jobs of at most `units` together.
    pub(crate) fn new(units: u32) -> Self {
        Self {
            waiting: Mutex::new(Waiting { jobs: VecDeque::new(), closed: false }),
            ready: Condvar::new(),
            room: Arc::new(Semaphore::new(units as usize)),
            units,
        }
    }

    /// Waits for room, then hands the job over.
    pub(crate) async fn push(&self, job: T, units: u32) -> Result<(), Closed> {
        let units = units.clamp(1, self.units);
        let permit = self.room.clone().acquire_many_owned(units).await.map_err(|_| Closed)?;
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(Closed);
        }
        waiting.jobs.push_back((job, permit));
        drop(waiting);
        self.ready.notify_one();
        Ok(())
    }

    /// Blocks for the next job; `None` when the queue is closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some((job, _permit)) = waiting.jobs.pop_front() {
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            self.ready.wait(&mut waiting);
        }
    }

    /// Blocks for a job, then takes all that wait, up to `max`; `None` when closed and empty.
    pub(crate) fn pop_all(&self, max: usize) -> Option<Vec<T>> {
        let first = self.pop()?;
        let mut jobs = vec![first];
        let mut waiting = self.waiting.lock();
        while jobs.len() < max {
            let Some((job, _permit)) = waiting.jobs.pop_front() else { break };
            jobs.push(job);
        }
        Some(jobs)
    }

    /// Takes no more jobs; those already waiting are still handed out.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.room.close();
        self.ready.notify_all();
    }
}
