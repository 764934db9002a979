//! Tells from the bytes that a connection writes whether anything of them is urgent.
//!
//! Not urgent are answers to pings (RFC 9113, 6.7). Go's gRPC measures each connection by them: it
//! sends a ping after data, waits for the answer before it sends the next, and needs none soon.
//! An answer of its own costs both processes a system call, and the peer a wakeup, for each call.
//!
//! Left out: everything else of HTTP/2, which the library does.

/// A frame's head: three bytes of length, type, flags, four bytes of stream.
const HEAD: usize = 9;
/// What a client sends before its first frame (RFC 9113, 3.4).
pub(crate) const PREFACE: usize = 24;
const PING: u8 = 6;
const ACK: u8 = 1;

/// Where in the stream of frames we are.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Bytes of the current frame (or of the preface) that are still to come.
    rest: usize,
    head: [u8; HEAD],
    /// How much of the head there is.
    filled: usize,
}

impl Frames {
    /// Frames that follow upon `rest` bytes which are none.
    pub fn after(rest: usize) -> Self {
        Self { rest, ..Self::default() }
    }

    /// Follows further bytes; true if anything but answers to pings is among them.
    pub fn urgent(&mut self, mut bytes: &[u8]) -> bool {
        let mut urgent = false;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let skipped = self.rest.min(bytes.len());
                self.rest -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let part = (HEAD - self.filled).min(bytes.len());
            self.head[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled == HEAD {
                let [high, middle, low, kind, flags, ..] = self.head;
                self.rest = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                self.filled = 0;
                urgent |= kind != PING || flags & ACK == 0;
            }
        }
        urgent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + usize::from(length), 6);
        frame
    }

    #[test]
    fn only_answers_to_pings_can_wait() {
        let mut frames = Frames::after(PREFACE);
        assert!(!frames.urgent(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        assert!(frames.urgent(&frame(4, 0, 12)), "settings");
        assert!(!frames.urgent(&frame(PING, ACK, 8)));
        assert!(frames.urgent(&frame(PING, 0, 8)), "a ping of our own");
        assert!(frames.urgent(&[frame(PING, ACK, 8), frame(0, 1, 200)].concat()), "data");
        assert!(!frames.urgent(&frame(PING, ACK, 8)), "bytes of a payload are no frames");
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let stream = [frame(PING, ACK, 8), frame(0, 0, 31), frame(PING, ACK, 8)].concat();
        for step in 1..stream.len() {
            let mut frames = Frames::default();
            let urgent = stream.chunks(step).filter(|chunk| frames.urgent(chunk)).count();
            assert_eq!(urgent, 1, "in pieces of {step}");
            assert_eq!((frames.rest, frames.filled), (0, 0), "in pieces of {step}");
        }
    }
}
