//! A running child: noticing its end at once, ending it, and leaving nothing behind.
//!
//! The task of [`watch`] owns the child. Whatever happens to everyone else, its end means: the
//! whole process group is killed, the child is reaped, its folder is removed. The group is killed
//! *before* reaping, while the number still cannot belong to anyone else.

use std::collections::VecDeque;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{oneshot, watch};

use super::Observer;
use super::folder::Folder;
use super::orphans::{self, Known};
use super::pace::Pace;
use super::spawn::{Started, kill_group};
use crate::log::{LONGEST_LINE, LogParser};
use crate::pidfd::ProcessEnd;

/// Lines of stderr that are kept for diagnosis.
const TAIL_LINES: usize = 50;
/// Bytes kept of each of them.
const TAIL_WIDTH: usize = 2 << 10;
/// How long the last lines of stderr may take to arrive after the end of the process. Everything
/// in its group is dead by then; only what left the group can keep the pipe open.
const LAST_LINES: Duration = Duration::from_millis(500);

/// How a process ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Its status, unless the system would not tell.
    pub status: Option<ExitStatus>,
    /// The last lines that it wrote on stderr.
    pub stderr: Vec<String>,
}

/// The last lines of a stream, bounded in number and width.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: &str) {
        let fits = |index: &usize| line.is_char_boundary(*index);
        let end = (0..=line.len().min(TAIL_WIDTH)).rev().find(fits).unwrap_or(0);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line[..end].to_owned());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// What others hold of a child.
pub(super) struct Handle {
    pub pid: u32,
    /// Dropping it kills the child.
    pub kill: oneshot::Sender<()>,
    pub exit: watch::Receiver<Option<Arc<Exit>>>,
    pub stdout: BufReader<ChildStdout>,
    pub tail: Tail,
}

/// The child and its folder. Dropping it kills and reaps, also when the runtime is torn down.
struct Owned {
    child: Child,
    known: Option<Known>,
    folder: Option<Folder>,
}

impl Owned {
    fn end(&mut self) -> io::Result<ExitStatus> {
        kill_group(&self.child);
        let status = self.child.wait();
        self.known = None;
        self.folder = None;
        status
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A child that was waited for is not killed again: its number may be another's by now.
        if self.folder.is_some() {
            let _ = self.end();
        }
    }
}

/// Takes over a child that was just started.
pub(super) fn watch(
    started: Started,
    folder: Folder,
    observer: Arc<dyn Observer>,
) -> io::Result<Handle> {
    let (mut child, known) = started.into_child()?;
    let pid = child.id();
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    // From here on any early return kills.
    let owned = Owned { child, known, folder: Some(folder) };
    let missing = || io::Error::other("the child has no output pipe");
    let stdout = ChildStdout::from_std(stdout.ok_or_else(missing)?)?;
    let stderr = ChildStderr::from_std(stderr.ok_or_else(missing)?)?;
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.ok_or_else(|| io::Error::other("the child's number is out of range"))?;
    let end = ProcessEnd::of(raw)?;

    let tail = Tail::default();
    let logging = tokio::spawn(log_lines(stderr, tail.clone(), observer));
    let (kill, killed) = oneshot::channel();
    let (announce, exit) = watch::channel(None);
    let kept = tail.clone();
    tokio::spawn(async move {
        let status = ended(owned, end, killed).await;
        let abort = logging.abort_handle();
        if tokio::time::timeout(LAST_LINES, logging).await.is_err() {
            abort.abort();
        }
        announce.send_replace(Some(Arc::new(Exit { status, stderr: kept.lines() })));
    });
    Ok(Handle { pid, kill, exit, stdout: BufReader::new(stdout), tail })
}

async fn ended(
    mut owned: Owned,
    end: ProcessEnd,
    killed: oneshot::Receiver<()>,
) -> Option<ExitStatus> {
    tokio::select! {
        () = end.wait() => {}
        _ = killed => {
            kill_group(&owned.child);
            end.wait().await;
        }
    }
    // Does not block: the child has ended.
    let status = owned.end().ok();
    orphans::end().await;
    status
}

async fn log_lines(stderr: ChildStderr, tail: Tail, observer: Arc<dyn Observer>) {
    let mut reader = BufReader::with_capacity(LONGEST_LINE, stderr);
    let mut parser = LogParser::new();
    let mut line = Vec::new();
    let mut continued = false;
    let mut pace = Pace::new();
    // An unreadable pipe is a closed one.
    while let Ok(Some(complete)) = read_line(&mut reader, &mut line).await {
        let parsed = parser.parse(&line, complete && !continued);
        continued = !complete;
        tail.push(&String::from_utf8_lossy(&line));
        let heard = pace.hear(line.len());
        if heard.dropped > 0 {
            observer.dropped(heard.dropped);
        }
        if heard.pass {
            observer.log(parsed);
        }
        pace.rest().await;
        // A flood must not keep a worker thread to itself.
        tokio::task::consume_budget().await;
    }
}

/// Reads up to a line break or [`LONGEST_LINE`] bytes. Nothing at the end of the stream; else
/// whether the line is complete. The line break is not part of the line.
pub(super) async fn read_line<R: AsyncRead + Unpin>(
    reader: &mut BufReader<R>,
    line: &mut Vec<u8>,
) -> io::Result<Option<bool>> {
    line.clear();
    let mut limited = reader.take(LONGEST_LINE as u64);
    if limited.read_until(b'\n', line).await? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(true));
    }
    Ok(Some(line.len() < LONGEST_LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_last_lines_and_cuts_wide_ones() {
        let tail = Tail::default();
        for number in 0..TAIL_LINES + 3 {
            tail.push(&format!("{number}"));
        }
        tail.push(&"é".repeat(TAIL_WIDTH));
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[0], "4");
        assert_eq!(lines[TAIL_LINES - 1].len(), TAIL_WIDTH);
    }

    #[tokio::test]
    async fn an_overlong_line_comes_in_pieces() {
        let text = format!("{}\nnext\nlast", "x".repeat(LONGEST_LINE + 5));
        let mut reader = BufReader::new(text.as_bytes());
        let mut line = Vec::new();
        let mut seen = Vec::new();
        while let Some(complete) = read_line(&mut reader, &mut line).await.unwrap() {
            seen.push((line.len(), complete));
        }
        assert_eq!(seen, [(LONGEST_LINE, false), (5, true), (4, true), (4, true)]);
    }
}
