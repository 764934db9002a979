//! One accepted connection: takes calls and answers them.
//!
//! Left out: who may connect, and how many connections there are (`server.rs`).

use std::future::{Future, poll_fn};
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::FutureExt;
use h2::server::{Builder, Connection, SendResponse};
use http::{Request, Response};
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::service::Routes;
use tower::Service;

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::pipe::Pipe;
use super::turn::Turn;
use super::{CANCELLED, CONNECTION_WINDOW, FRAME, HEADERS, STREAM_WINDOW, STREAMS};

/// Calls taken in one turn, so that a flood of them does not keep a thread from others' work.
const TURN: usize = 16;

/// Where a call is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// In a task of its own: what plugins do may take long before it waits for something.
    Apart,
    /// In the connection's task as far as it gets without waiting: for answers that are mostly
    /// there already, such as a key of a mount's storage.
    AtOnce,
}

/// Serves `routes` on a connection until the peer ends it.
pub(crate) async fn serve<S>(io: S, routes: Routes, pace: Pace) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let pipe = Pipe::new(io, 0);
    let mut handshake = pin!(builder().handshake(pipe.clone()));
    let connection = poll_fn(|cx| {
        let shaken = handshake.as_mut().poll(cx);
        settled(&pipe, cx)?;
        shaken.map_err(io::Error::other)
    })
    .await?;
    let turn = Turn::new();
    Serving { answering: Answering { connection, routes, pace }, pipe, turn }.await
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_header_list_size(HEADERS)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(CANCELLED);
    builder
}

/// Ends a turn. Bytes for which the socket has no room go with a later one.
fn settled<S>(pipe: &Pipe<S>, cx: &mut Context<'_>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match pipe.settle(cx) {
        Poll::Ready(Err(error)) => Err(error),
        Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
    }
}

struct Serving<S: AsyncRead + AsyncWrite + Unpin> {
    answering: Answering<S>,
    pipe: Pipe<S>,
    turn: Turn,
}

struct Answering<S: AsyncRead + AsyncWrite + Unpin> {
    connection: Connection<Pipe<S>, Bytes>,
    routes: Routes,
    pace: Pace,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Answering<S> {
    /// Takes the calls that are there. Ready when the connection is at its end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..TURN {
            let Some(accepted) = ready!(self.connection.poll_accept(cx)) else {
                return Poll::Ready(Ok(()));
            };
            let (request, respond) = accepted.map_err(io::Error::other)?;
            let answering = answer(self.routes.clone(), request.map(Incoming::new), respond);
            // A panic fails its call: what answers it is dropped, which resets the stream.
            begin(AssertUnwindSafe(answering).catch_unwind().map(drop), self.pace, cx);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Serving<S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { answering, pipe, turn } = &mut *self;
        let calls = turn.poll(cx, |cx| answering.poll(cx));
        settled(pipe, cx)?;
        calls
    }
}

fn begin(answering: impl Future<Output = ()> + Send + 'static, pace: Pace, cx: &mut Context<'_>) {
    let mut answering = Box::pin(answering);
    if pace == Pace::AtOnce && answering.as_mut().poll(cx).is_ready() {
        return;
    }
    // Its first turn as a task tells what to wake from then on.
    tokio::spawn(answering);
}

/// Works on one call. Dropped midway if the caller gives it up.
async fn answer(mut routes: Routes, request: Request<Incoming>, mut respond: SendResponse<Bytes>) {
    let mut call = pin!(routes.call(request));
    let response = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(response) => Poll::Ready(Some(response)),
        Poll::Pending => respond.poll_reset(cx).map(|_| None),
    })
    .await;
    let Some(response) = response else { return };
    let Ok(response) = response;
    let (head, body) = response.into_parts();
    let ends = body.is_end_stream();
    if let Ok(stream) = respond.send_response(Response::from_parts(head, ()), ends)
        && !ends
    {
        Outgoing::new(body, stream).await;
    }
}

#[cfg(test)]
#[path = "answering_tests.rs"]
mod tests;
