//! Who gets in: real handshakes over a pair of sockets, both sides verifying.

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::{Error as TlsError, RootCertStore};
use tokio::net::UnixStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A certificate and key that Go's AutoMTLS code made; see `testdata/README.md`.
const GO_CERTIFICATE: &str = include_str!("../testdata/go-automtls.crt");
const GO_KEY: &str = include_str!("../testdata/go-automtls.key");

fn go_identity() -> Identity {
    let chain = certificates_from_pem(GO_CERTIFICATE).unwrap();
    Identity::new(chain, &PrivateKeyDer::from_pem_slice(GO_KEY.as_bytes()).unwrap()).unwrap()
}

fn pinned(identity: &Identity) -> Vec<CertificateDer<'static>> {
    vec![identity.certificate().unwrap().clone()]
}

/// Both ends' results, client first. Bytes are exchanged, for with TLS 1.3 the client learns of
/// its refusal only when it reads.
async fn meet(client: &PeerTls, server: &PeerTls) -> (Result<(), String>, Result<(), String>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (near, far) = UnixStream::pair().unwrap();
    let connecting = async {
        let connector = TlsConnector::from(client.client.clone());
        let mut stream = connector.connect(client.name.clone(), near).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        stream.write_all(b"?").await?;
        stream.read_u8().await
    };
    let accepting = async {
        let mut stream = TlsAcceptor::from(server.server.clone()).accept(far).await?;
        stream.read_u8().await?;
        stream.write_all(b"!").await?;
        stream.shutdown().await
    };
    let (client, server) = tokio::join!(connecting, accepting);
    let text = |why: std::io::Error| why.to_string();
    (client.map(drop).map_err(text), server.map_err(text))
}

#[tokio::test]
async fn two_that_pin_each_other_connect() {
    let (host, plugin) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let near = host.with_peer(pinned(&plugin)).unwrap();
    let far = plugin.with_peer(pinned(&host)).unwrap();
    assert_eq!(meet(&near, &far).await, (Ok(()), Ok(())));
    assert_eq!(meet(&far, &near).await, (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_certificate_that_go_made_is_accepted_in_both_roles() {
    let (ours, go) = (Identity::generate().unwrap(), go_identity());
    let near = ours.with_peer(pinned(&go)).unwrap();
    let far = go.with_peer(pinned(&ours)).unwrap();
    assert_eq!(meet(&near, &far).await, (Ok(()), Ok(())));
    assert_eq!(meet(&far, &near).await, (Ok(()), Ok(())));
}

#[tokio::test]
async fn another_certificate_is_refused_whoever_presents_it() {
    let [host, plugin, other] = [(); 3].map(|()| Identity::generate().unwrap());
    let good_host = host.with_peer(pinned(&plugin)).unwrap();
    let good_plugin = plugin.with_peer(pinned(&host)).unwrap();
    let false_client = other.with_peer(pinned(&plugin)).unwrap();
    let false_server = other.with_peer(pinned(&host)).unwrap();

    let (_, server) = meet(&false_client, &good_plugin).await;
    assert!(server.unwrap_err().contains("UnknownIssuer"));
    let (client, _) = meet(&good_host, &false_server).await;
    assert!(client.unwrap_err().contains("UnknownIssuer"));
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let (host, plugin) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let good = plugin.with_peer(pinned(&host)).unwrap();
    let mut bare = host.with_peer(pinned(&plugin)).unwrap();
    let mut config = ClientConfig::clone(&bare.client);
    config.client_auth_cert_resolver = Arc::new(Presents(None));
    bare.client = Arc::new(config);
    let (client, server) = meet(&bare, &good).await;
    assert!(client.is_err() && server.is_err());
}

/// A client that presents whatever it was given, or nothing.
#[derive(Debug)]
struct Presents(Option<Arc<CertifiedKey>>);

impl rustls::client::ResolvesClientCert for Presents {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

#[tokio::test]
async fn the_right_certificate_without_its_key_is_refused() {
    let [host, plugin, thief] = [(); 3].map(|()| Identity::generate().unwrap());
    let good = plugin.with_peer(pinned(&host)).unwrap();
    let mut false_host = thief.with_peer(pinned(&plugin)).unwrap();
    let stolen = CertifiedKey::new(pinned(&host), thief.key.key.clone());
    let mut config = ClientConfig::clone(&false_host.client);
    config.client_auth_cert_resolver = Arc::new(Presents(Some(Arc::new(stolen))));
    false_host.client = Arc::new(config);
    let (client, server) = meet(&false_host, &good).await;
    assert!(client.is_err());
    assert!(server.unwrap_err().contains("BadSignature"));
}

#[test]
fn a_certificate_and_another_ones_key_are_refused() {
    let other = pinned(&Identity::generate().unwrap());
    let key = PrivateKeyDer::from_pem_slice(GO_KEY.as_bytes()).unwrap();
    assert!(matches!(Identity::new(other, &key), Err(Error::Certificate { .. })));
}

#[test]
fn outside_its_validity_a_pinned_certificate_is_refused() {
    let identity = Identity::generate().unwrap();
    let certificate = identity.certificate().unwrap();
    let pin = Pin::new(pinned(&identity)).unwrap();
    let at = |seconds| {
        pin.check(certificate, UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    };
    let now = UnixTime::now().as_secs();
    assert_eq!(at(now), Ok(()));
    assert_eq!(at(now - 3600), Err(TlsError::from(CertificateError::NotValidYet)));
    assert_eq!(at(now + 40 * 365 * 86_400), Err(TlsError::from(CertificateError::Expired)));
}

/// The reason for [`Pin`]: should this ever fail, the usual verifier would do.
#[test]
fn the_usual_verifier_would_refuse_these_certificates() {
    for identity in [Identity::generate().unwrap(), go_identity()] {
        let certificate = identity.certificate().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .unwrap();
        let name = ServerName::try_from(LOCALHOST).unwrap();
        let refused =
            verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).unwrap_err();
        assert!(format!("{refused:?}").contains("CaUsedAsEndEntity"), "{refused:?}");
    }
}

#[test]
fn our_certificate_has_gos_shape() {
    let identity = Identity::generate().unwrap();
    let der = identity.certificate().unwrap();
    let holds = |needle: &[u8]| der.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"HashiCorp") && holds(b"localhost"));
    // basicConstraints, critical, CA:TRUE
    assert!(holds(&[0x55, 0x1d, 0x13, 0x01, 0x01, 0xff, 0x04, 0x05, 0x30, 0x03, 0x01, 0x01, 0xff]));
    // What differs from it: ecdsa-with-SHA256 and prime256v1.
    assert!(holds(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
    assert!(holds(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]));
}

#[test]
fn every_certificate_of_a_pem_text_is_read_and_damage_is_an_error() {
    let (one, two) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let both = certificates_from_pem(&format!("{}text between\n{}", one.pem(), two.pem())).unwrap();
    assert_eq!(both, [pinned(&one), pinned(&two)].concat());
    assert!(certificates_from_pem("").is_err());
    assert!(
        certificates_from_pem("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----")
            .is_err()
    );
    assert!(Pin::new(vec![CertificateDer::from(vec![1, 2, 3])]).is_err());
    assert!(Pin::new(Vec::new()).is_err());
}
