//! A thread that appends lines: takes all that wait, writes them with one call, then answers. Leaves out formats.
//!
//! A thread, because a write may block for as long as the other side likes (a pipe that nobody reads, a network
//! file system), and only those who wait for the audit may wait for that.

use std::io::Write as _;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::Error;

/// Lines that may wait; whoever comes later waits for room.
const WAITING: usize = 1024;
/// Bytes that are written in one call at most, unless a single line is longer.
const GROUP: usize = 1 << 20;

/// Where lines go.
pub(crate) trait Sink: Send + 'static {
    /// Appends all of it or nothing.
    fn append(&mut self, lines: &[u8]) -> Result<(), Error>;
    /// Opens it anew.
    fn reopen(&mut self) -> Result<(), Error>;
}

/// Answers the caller, and gives its place in the queue back even if that caller went away.
struct Reply {
    sender: oneshot::Sender<Result<(), Error>>,
    _place: OwnedSemaphorePermit,
}

impl Reply {
    fn send(self, outcome: Result<(), Error>) {
        let _ = self.sender.send(outcome);
    }
}

enum Job {
    Append(Vec<u8>, Reply),
    Reopen(Reply),
}

pub(crate) struct LineWriter {
    jobs: Option<mpsc::Sender<Job>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl LineWriter {
    pub(crate) fn start(sink: impl Sink) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("audit-write".into())
            .spawn(move || run(sink, &waiting))
            .map_err(|_| Error::Closed)?;
        Ok(Self { jobs: Some(jobs), room: Arc::new(Semaphore::new(WAITING)), thread: Some(thread) })
    }

    pub(crate) async fn append(&self, line: Vec<u8>) -> Result<(), Error> {
        self.ask(|reply| Job::Append(line, reply)).await
    }

    pub(crate) async fn reopen(&self) -> Result<(), Error> {
        self.ask(Job::Reopen).await
    }

    async fn ask(&self, job: impl FnOnce(Reply) -> Job) -> Result<(), Error> {
        let place = self.room.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let (sender, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job(Reply { sender, _place: place })).map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Not joined: the thread may hang in a write. It ends by itself when that returns.
        drop(self.thread.take());
    }
}

fn run(mut sink: impl Sink, waiting: &mpsc::Receiver<Job>) {
    let (mut lines, mut replies) = (Vec::new(), Vec::new());
    while let Ok(first) = waiting.recv() {
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Append(line, reply) => {
                    // Writing to memory does not fail.
                    let _ = lines.write_all(&line);
                    replies.push(reply);
                }
                Job::Reopen(reply) => {
                    flush(&mut sink, &mut lines, &mut replies);
                    reply.send(sink.reopen());
                }
            }
            next = if lines.len() < GROUP { waiting.try_recv().ok() } else { None };
        }
        flush(&mut sink, &mut lines, &mut replies);
    }
}

fn flush(sink: &mut impl Sink, lines: &mut Vec<u8>, replies: &mut Vec<Reply>) {
    if replies.is_empty() {
        return;
    }
    let outcome = sink.append(lines);
    for reply in replies.drain(..) {
        reply.send(outcome.clone());
    }
    lines.clear();
    lines.shrink_to(GROUP);
}
