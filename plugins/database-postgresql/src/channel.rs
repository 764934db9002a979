//! rustls under the driver: the handshake, and what binds a login to its channel (RFC 5929), so that
//! nobody between us and the database can pass a login on.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use crate::tls::Attempt;

/// Opens channels.
#[derive(Clone)]
pub struct Opener(pub Attempt);

/// Opens one, to this host.
pub struct Opening {
    attempt: Attempt,
    host: String,
}

/// A channel.
pub struct Channel(Box<client::TlsStream<Socket>>);

impl MakeTlsConnect<Socket> for Opener {
    type Stream = Channel;
    type TlsConnect = Opening;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Opening> {
        Ok(Opening { attempt: self.0.clone(), host: host.to_owned() })
    }
}

impl TlsConnect<Socket> for Opening {
    type Stream = Channel;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Channel>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let Attempt::Protected(config) = self.attempt else {
                return Err(io::Error::other("TLS is switched off"));
            };
            let name = ServerName::try_from(self.host)
                .map_err(|_| io::Error::other("the host's name is none that TLS knows"))?;
            let connector = TlsConnector::from(Arc::clone(&config));
            Ok(Channel(Box::new(connector.connect(name, socket).await?)))
        })
    }
}

impl TlsStream for Channel {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        match certificate.and_then(|certificate| end_point(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The certificate's hash, by the hash of its own signature; SHA-256 where that is weaker.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const SHA384: [&[u8]; 2] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12], // sha384WithRSAEncryption
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],        // ecdsa-with-SHA384
    ];
    const SHA512: [&[u8]; 2] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13], // sha512WithRSAEncryption
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],        // ecdsa-with-SHA512
    ];
    const SHA256: [&[u8]; 4] = [
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11], // sha256WithRSAEncryption
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],        // ecdsa-with-SHA256
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],  // sha1WithRSAEncryption
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],  // md5WithRSAEncryption
    ];
    let algorithm = signature_algorithm(certificate)?;
    let hash = match algorithm {
        _ if SHA256.contains(&algorithm) => &digest::SHA256,
        _ if SHA384.contains(&algorithm) => &digest::SHA384,
        _ if SHA512.contains(&algorithm) => &digest::SHA512,
        // Others (Ed25519, PSS) have no hash that both sides would agree on.
        _ => return None,
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// The object identifier in `Certificate.signatureAlgorithm`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// One element of DER: what is in it, and what follows.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*length) {
        short @ 0..0x80 => (short, rest),
        long => {
            let bytes = rest.get(..long & 0x7f).filter(|bytes| bytes.len() <= 4)?;
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, &rest[bytes.len()..])
        }
    };
    (*first == tag && rest.len() >= length).then(|| rest.split_at(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_make_it_panic() {
        assert_eq!(signature_algorithm(&[0x30, 7, 0x30, 0, 0x30, 3, 6, 1, 9]), Some(&[9][..]));
        for length in 0..=255_u8 {
            for tail in [&[][..], &[0x30, 0x80], &[0x30, 0x84, 255, 255, 255, 255], &[6, 1]] {
                let bytes = [&[0x30, length], tail].concat();
                assert!(end_point(&bytes).is_none());
            }
        }
    }
}
