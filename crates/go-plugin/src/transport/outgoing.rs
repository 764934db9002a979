//! The body that we send: of a request where we call, of an answer where we serve.
//!
//! A call's first message is handed over at once and leaves in the same write as its head; it is
//! in memory anyway. Everything after it waits until the peer has room, so that a peer which does
//! not read a stream (of output, of broker announcements) does not fill our memory.
//!
//! Left out: what happens to an answer that cannot be sent; its caller is gone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;
use http_body::Body as _;
use tonic::body::Body;

/// A body on its way out. Ends when all is handed over or the peer wants no more.
pub(crate) struct Outgoing {
    body: Body,
    stream: SendStream<Bytes>,
    /// What the body gave last, held back to learn whether it is the end.
    held: Option<Bytes>,
    /// What waits for room, and whether it is the end.
    waiting: Option<(Bytes, bool)>,
    trailers: Option<HeaderMap>,
    /// Whether the first message is on its way.
    started: bool,
    ended: bool,
}

/// The peer does not want the rest, or is gone.
struct Unwanted;

impl From<h2::Error> for Unwanted {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

impl Outgoing {
    pub fn new(body: Body, stream: SendStream<Bytes>) -> Self {
        Self {
            body,
            stream,
            held: None,
            waiting: None,
            trailers: None,
            started: false,
            ended: false,
        }
    }

    fn hand_over(&mut self, data: Bytes, end: bool) -> Result<(), Unwanted> {
        self.ended = end;
        if self.started && !data.is_empty() {
            self.stream.reserve_capacity(data.len());
            self.waiting = Some((data, end));
            return Ok(());
        }
        self.started = true;
        Ok(self.stream.send_data(data, end)?)
    }

    /// Sends what waits, as far as there is room.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        while let Some((data, end)) = &mut self.waiting {
            let Some(room) = ready!(self.stream.poll_capacity(cx)) else {
                return Poll::Ready(Err(Unwanted));
            };
            let part = data.split_to(room?.min(data.len()));
            let last = data.is_empty();
            self.stream.send_data(part, last && *end)?;
            if last {
                self.waiting = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the body has next; pending if it has nothing and nothing is held back.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Some(held) = self.held.take() else { return Poll::Pending };
                return Poll::Ready(self.hand_over(held, false));
            }
        };
        let Some(frame) = frame else {
            let last = self.held.take().unwrap_or_default();
            return Poll::Ready(self.hand_over(last, true));
        };
        let Ok(frame) = frame else {
            self.stream.send_reset(h2::Reason::INTERNAL_ERROR);
            return Poll::Ready(Err(Unwanted));
        };
        let before = match frame.into_data() {
            Ok(data) => self.held.replace(data),
            Err(frame) => {
                self.trailers = frame.into_trailers().ok();
                self.held.take()
            }
        };
        Poll::Ready(before.map_or(Ok(()), |before| self.hand_over(before, false)))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unwanted>> {
        loop {
            ready!(self.poll_waiting(cx))?;
            if let Some(trailers) = self.trailers.take() {
                return Poll::Ready(Ok(self.stream.send_trailers(trailers)?));
            }
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_body(cx))?;
        }
    }
}

impl Future for Outgoing {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.poll_send(cx) {
            // Whoever is to read the rest is gone, and so is the reason to send it.
            Poll::Ready(Ok(()) | Err(Unwanted)) => Poll::Ready(()),
            // A stream whose peer gave it up may have nothing to say for a long time.
            Poll::Pending => self.stream.poll_reset(cx).map(|_| ()),
        }
    }
}
