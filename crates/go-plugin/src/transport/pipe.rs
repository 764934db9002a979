//! What an HTTP/2 connection reads from and writes to: writes are kept until the connection's turn
//! is over, and leave together.
//!
//! The library flushes between frames, for instance between a message and the trailers behind it.
//! Each flush would be a TLS record, a system call, and a wakeup of the peer. Who drives the
//! connection calls [`Pipe::settle`] after every turn.
//!
//! Left out: a bound on what waits. The library stops at a full buffer, which is [`KEPT`] bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use zeroize::Zeroize;

use super::frames::Frames;

/// Most that is kept for the end of the turn: what fits into one TLS record.
const KEPT: usize = 16 << 10;
/// What a connection that has nothing to send holds on to.
const IDLE: usize = 2 << 10;
/// How long the answer to a ping may wait for other frames to go with.
const LAZY: Duration = Duration::from_millis(10);

/// A handle; the connection has one, and who drives it another.
pub(crate) struct Pipe<S>(Arc<Mutex<Ends<S>>>);

impl<S> Clone for Pipe<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Ends<S> {
    io: S,
    kept: Vec<u8>,
    /// How much of `kept` has been written.
    written: usize,
    frames: Frames,
    /// Whether something waits that must not.
    urgent: bool,
    lazy: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pipe<S> {
    /// Over a connection on which `preface` bytes precede our first frame.
    pub fn new(io: S, preface: usize) -> Self {
        Self(Arc::new(Mutex::new(Ends {
            io,
            kept: Vec::new(),
            written: 0,
            frames: Frames::after(preface),
            urgent: false,
            lazy: None,
        })))
    }

    /// Writes out what the connection's turn left, unless it can wait.
    pub fn settle(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ends = self.ends();
        if !ends.urgent {
            if ends.kept.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let lazy = ends.lazy.get_or_insert_with(|| Box::pin(tokio::time::sleep(LAZY)));
            ready!(lazy.as_mut().poll(cx));
        }
        ends.drain(cx)
    }

    fn ends(&self) -> MutexGuard<'_, Ends<S>> {
        // Only one task uses it. After a panic in it nobody does.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Ends<S> {
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.kept.len() {
            let rest = &self.kept[self.written..];
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        // Secrets pass here.
        self.kept[..].zeroize();
        self.kept.clear();
        // A server has many connections, most of them idle.
        self.kept.shrink_to(IDLE);
        (self.written, self.lazy) = (0, None);
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.urgent = false;
        Poll::Ready(Ok(()))
    }

    /// Keeps bytes; the caller has seen to it that there is room.
    fn keep(&mut self, bytes: &[u8]) {
        self.urgent |= self.frames.urgent(bytes);
        self.kept.extend_from_slice(bytes);
    }

    /// Keeps what there is room for, or hands it on at once if it is more than is ever kept.
    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if self.kept.len() + total > KEPT {
            ready!(self.drain(cx))?;
        }
        if total <= KEPT {
            slices.iter().for_each(|slice| self.keep(slice));
            return Poll::Ready(Ok(total));
        }
        // Whatever it takes must be flushed at the end of the turn.
        self.urgent = true;
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        let mut rest = written;
        for slice in slices {
            let part = rest.min(slice.len());
            self.frames.urgent(&slice[..part]);
            rest -= part;
        }
        Poll::Ready(Ok(written))
    }
}

impl<S> Drop for Ends<S> {
    fn drop(&mut self) {
        self.kept[..].zeroize();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Pipe<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.ends().io).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Pipe<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ends().write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ends().write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Says that it is done: the turn's end does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut ends = self.ends();
        ready!(ends.drain(cx))?;
        Pin::new(&mut ends.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
