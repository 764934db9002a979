//! The turn of a connection: it is polled until it has nothing more to do, and only then is its
//! task put back.
//!
//! What a turn does wakes the connection: an answer that is handed over asks for the connection to
//! send it. Told to the runtime, that would put the task behind all others, and wake a further
//! thread to look for work that there is not.
//!
//! Left out: what is polled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Rounds in one turn. A peer that always has more must not keep the thread from others.
const ROUNDS: usize = 4;

/// Wakes a task, except in its own turn, of which it notes that there is more to do.
pub(crate) struct Turn {
    wakeups: Arc<Wakeups>,
    waker: Waker,
}

struct Wakeups {
    task: AtomicWaker,
    /// Whether a turn is under way.
    at_work: AtomicBool,
    /// Whether somebody woke the task in its turn.
    again: AtomicBool,
}

impl Wake for Wakeups {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.again.store(true, Ordering::SeqCst);
        if !self.at_work.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

impl Turn {
    pub fn new() -> Self {
        let wakeups = Arc::new(Wakeups {
            task: AtomicWaker::new(),
            at_work: AtomicBool::new(false),
            again: AtomicBool::new(false),
        });
        Self { waker: Waker::from(wakeups.clone()), wakeups }
    }

    /// Polls until it is ready, or is not and nobody asked for more.
    pub fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.wakeups.task.register(cx.waker());
        self.wakeups.at_work.store(true, Ordering::SeqCst);
        for _ in 0..ROUNDS {
            self.wakeups.again.store(false, Ordering::SeqCst);
            let polled = poll(&mut Context::from_waker(&self.waker));
            if polled.is_ready() || !self.wakeups.again.load(Ordering::SeqCst) {
                self.end();
                return polled;
            }
        }
        self.end();
        Poll::Pending
    }

    /// After this, wakeups go to the task. Those that came between the last look and now do too.
    fn end(&self) {
        self.wakeups.at_work.store(false, Ordering::SeqCst);
        if self.wakeups.again.load(Ordering::SeqCst) {
            self.wakeups.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted() -> (Arc<Counting>, Waker) {
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        (counting.clone(), Waker::from(counting))
    }

    #[test]
    fn what_a_turn_asks_of_itself_is_done_in_it_and_wakes_nobody() {
        let (counting, waker) = counted();
        let (turn, mut rounds) = (Turn::new(), 0);
        let polled = turn.poll(&mut Context::from_waker(&waker), |cx| {
            rounds += 1;
            if rounds < 3 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((rounds, counting.0.load(Ordering::SeqCst)), (3, 0));
    }

    #[test]
    fn whoever_wakes_it_between_turns_wakes_the_task() {
        let (counting, waker) = counted();
        let (turn, mut kept) = (Turn::new(), None);
        let _ = turn.poll(&mut Context::from_waker(&waker), |cx| {
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        kept.unwrap().wake();
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_turn_without_end_is_cut_and_continued() {
        let (counting, waker) = counted();
        let (turn, mut rounds) = (Turn::new(), 0);
        let _ = turn.poll(&mut Context::from_waker(&waker), |cx| {
            rounds += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!((rounds, counting.0.load(Ordering::SeqCst)), (ROUNDS, 1));
    }
}
