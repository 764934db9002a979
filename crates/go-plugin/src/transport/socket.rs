//! A connected unix socket that wakes its task only when there is something to read.
//!
//! tokio's own asks the kernel for both directions. A unix socket then reports "writable" each
//! time the peer has read, which is a wakeup for every message that we sent and that we need
//! nothing from. Here writing is tried at once, and only a full socket is waited for.
//!
//! Left out: connecting and accepting, which tokio does.

use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The socket. Both ends are processes of this machine.
#[derive(Debug)]
pub(crate) struct Socket {
    readable: AsyncFd<UnixStream>,
    /// The same socket under a second descriptor, while it is full.
    writable: Option<AsyncFd<UnixStream>>,
}

impl Socket {
    pub fn new(stream: tokio::net::UnixStream) -> io::Result<Self> {
        // It stays non-blocking.
        let stream = stream.into_std()?;
        Ok(Self { readable: watch(stream, Interest::READABLE)?, writable: None })
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let guard = match &self.writable {
                Some(full) => Some(ready!(full.poll_write_ready(cx))?),
                None => None,
            };
            match (write(self.readable.get_ref()), guard) {
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Err(error), Some(mut guard)) if error.kind() == io::ErrorKind::WouldBlock => {
                    guard.clear_ready();
                }
                (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => {
                    let second = self.readable.get_ref().try_clone()?;
                    self.writable = Some(watch(second, Interest::WRITABLE)?);
                }
                (outcome, _) => {
                    self.writable = None;
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for the sake of types that do not own what \
    they wrap; a UnixStream owns its descriptor and never changes it"
)]
fn watch(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.readable.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            match guard.get_inner().read(room) {
                Ok(read) => {
                    // Less than asked for: there is no more, and what comes next is a new event.
                    if read > 0 && read < room.len() {
                        guard.clear_ready();
                    }
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |mut socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |mut socket| socket.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.readable.get_ref().shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair() -> (Socket, Socket) {
        let (one, other) = tokio::net::UnixStream::pair().unwrap();
        (Socket::new(one).unwrap(), Socket::new(other).unwrap())
    }

    #[tokio::test]
    async fn a_full_socket_is_waited_for_and_nothing_is_lost() {
        let (mut one, mut other) = pair();
        let sent: Vec<u8> = (0..8_u32 << 20).map(|i| (i % 251) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            one.write_all(&sent).await.unwrap();
            assert!(one.writable.is_none(), "the second descriptor is gone again");
        });
        let mut read = Vec::new();
        other.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap();
        assert!(read == expected, "the bytes came whole and in order");
    }

    #[tokio::test]
    async fn the_end_of_the_peer_is_seen_after_its_last_bytes() {
        let (mut one, mut other) = pair();
        one.write_all(b"last words").await.unwrap();
        drop(one);
        let mut read = Vec::new();
        other.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"last words");
    }
}
