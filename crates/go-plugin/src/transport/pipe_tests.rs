//! What leaves when, seen from below a pipe.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Takes everything, at most `at_once` bytes in a write, and notes each write.
#[derive(Default)]
struct Below {
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
    flushes: Arc<AtomicUsize>,
    at_once: Option<usize>,
}

impl AsyncRead for Below {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Below {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = self.at_once.unwrap_or(usize::MAX).min(bytes.len());
        self.writes.lock().unwrap().push(bytes[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, 1]);
    frame.extend(payload);
    frame
}

fn pong() -> Vec<u8> {
    frame(6, 1, &[7; 8])
}

async fn write(pipe: &Pipe<Below>, bytes: &[u8]) {
    let mut pipe = pipe.clone();
    tokio::io::AsyncWriteExt::write_all(&mut pipe, bytes).await.unwrap();
    tokio::io::AsyncWriteExt::flush(&mut pipe).await.unwrap();
}

async fn settle(pipe: &Pipe<Below>) -> Poll<io::Result<()>> {
    std::future::poll_fn(|cx| Poll::Ready(pipe.settle(cx))).await
}

#[tokio::test]
async fn what_one_turn_writes_leaves_in_one_write_at_its_end() {
    let below = Below::default();
    let (writes, flushes) = (below.writes.clone(), below.flushes.clone());
    let pipe = Pipe::new(below, 0);
    let (head, data) = (frame(1, 4, b"head"), frame(0, 1, b"message"));
    write(&pipe, &head).await;
    write(&pipe, &data).await;
    assert!(writes.lock().unwrap().is_empty(), "flushes in between are not obeyed");
    assert!(settle(&pipe).await.is_ready());
    assert_eq!(*writes.lock().unwrap(), [[head, data].concat()]);
    assert_eq!(flushes.load(Ordering::SeqCst), 1);
    assert!(settle(&pipe).await.is_ready());
    assert_eq!(writes.lock().unwrap().len(), 1, "a turn without writes sends nothing");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_ping_goes_with_the_next_frame_or_when_its_time_is_over() {
    let below = Below::default();
    let writes = below.writes.clone();
    let pipe = Pipe::new(below, 0);
    write(&pipe, &pong()).await;
    assert!(settle(&pipe).await.is_pending());
    let data = frame(0, 0, b"message");
    write(&pipe, &data).await;
    assert!(settle(&pipe).await.is_ready());
    assert_eq!(*writes.lock().unwrap(), [[pong(), data].concat()]);

    write(&pipe, &pong()).await;
    let begin = tokio::time::Instant::now();
    std::future::poll_fn(|cx| pipe.settle(cx)).await.unwrap();
    assert_eq!(begin.elapsed(), LAZY);
    assert_eq!(writes.lock().unwrap()[1], pong());
}

#[tokio::test]
async fn more_than_is_kept_passes_in_order_and_is_flushed() {
    let below = Below { at_once: Some(1000), ..Below::default() };
    let (writes, flushes) = (below.writes.clone(), below.flushes.clone());
    let pipe = Pipe::new(below, 0);
    let small = frame(0, 0, b"small");
    let large = frame(0, 0, &(0..3 * KEPT).map(|i| (i % 251) as u8).collect::<Vec<_>>());
    let sent = [small.clone(), large.clone(), pong(), small.clone()].concat();
    for part in [&small, &large, &pong(), &small] {
        write(&pipe, part).await;
    }
    assert!(settle(&pipe).await.is_ready());
    assert!(writes.lock().unwrap().concat() == sent, "every byte once, in order");
    assert!(flushes.load(Ordering::SeqCst) > 0);
    assert!(!pipe.ends().urgent, "the frames were told apart across the large one");
    write(&pipe, &pong()).await;
    assert!(settle(&pipe).await.is_pending(), "and still are");
}

#[tokio::test]
async fn a_write_that_fails_ends_the_turn_with_its_error() {
    let below = Below { at_once: Some(0), ..Below::default() };
    let pipe = Pipe::new(below, 0);
    write(&pipe, &frame(0, 0, b"message")).await;
    let Poll::Ready(Err(error)) = settle(&pipe).await else { panic!("no error") };
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}
