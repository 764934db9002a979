//! Before the first byte of gRPC: cookie, version negotiation and the one line that a plugin
//! prints (wire spec 1.1 to 1.4).
//!
//! Pure: nothing here starts, opens or prints anything. Left out: `netrpc`, the transport that
//! go-plugin had before gRPC.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;

/// Version of go-plugin's own protocol: the first field of the line.
pub const CORE_PROTOCOL_VERSION: u32 = 1;
/// Environment: the application protocol versions that the host offers, comma separated.
pub const ENV_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
/// Environment: PEM of the host's certificate; its presence asks for AutoMTLS.
pub const ENV_CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";
/// Environment: lowest TCP port a plugin may take. Sent for completeness; unix sockets are used.
pub const ENV_MIN_PORT: &str = "PLUGIN_MIN_PORT";
/// Environment: highest TCP port a plugin may take.
pub const ENV_MAX_PORT: &str = "PLUGIN_MAX_PORT";
/// Environment: where a plugin puts its sockets.
pub const ENV_SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";

/// A certificate field that is not longer than this is treated as absent.
const SHORTEST_CERTIFICATE: usize = 50;
/// How much of a line that is no handshake is shown in an error.
const SHOWN: usize = 256;

/// What tells a plugin that it was started by the host that it was written for. Not a secret:
/// it only keeps people from running plugins by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Name of the environment variable.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Cookie {
    /// A cookie from its two halves.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Whether this is what the environment holds.
    pub fn present(&self) -> bool {
        std::env::var_os(&self.key).is_some_and(|found| found == *self.value)
    }
}

/// Where a plugin listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A unix socket; the address is its path.
    Unix,
    /// TCP; the address is `host:port`.
    Tcp,
}

impl Network {
    /// As it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        }
    }
}

/// The line that a plugin prints on stdout once it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The application protocol version that the plugin chose from the offered ones.
    pub version: u32,
    /// Kind of the address.
    pub network: Network,
    /// Where the plugin listens.
    pub address: String,
    /// The plugin's certificate, if it does AutoMTLS.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Why a line is not accepted. The leading words are those of other hosts, because people search
/// for them; what follows is our diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Too few fields: something else was printed first, or this is no plugin.
    #[error(
        "Unrecognized remote plugin message: {0:?}. The first line on stdout must be the \
         handshake: the program printed something before it, or is not a go-plugin program"
    )]
    Unrecognized(String),

    /// The first field is not a number.
    #[error("error parsing core protocol version: {0:?} is not a number")]
    CoreUnreadable(String),

    /// The first field is another go-plugin generation's.
    #[error(
        "incompatible core API version with plugin. Plugin version: {0}, Core version: {core}. \
         The plugin was built with an incompatible go-plugin library and must be rebuilt",
        core = CORE_PROTOCOL_VERSION
    )]
    CoreMismatch(u32),

    /// The second field is not a number.
    #[error("Error parsing protocol version {0:?}: not a number")]
    VersionUnreadable(String),

    /// The plugin speaks none of the versions that were offered.
    #[error(
        "incompatible API version with plugin. Plugin version: {plugin}, Client versions: \
         {offered}. The plugin is too old or too new for this host"
    )]
    VersionMismatch {
        /// What the plugin announced.
        plugin: u32,
        /// What it was offered.
        offered: Versions,
    },

    /// The third field is neither `unix` nor `tcp`.
    #[error("unknown address type: {0}")]
    UnknownNetwork(String),

    /// The fifth field is not `grpc`.
    #[error("unsupported plugin protocol {0:?}. Supported: [grpc]")]
    UnsupportedProtocol(String),

    /// The sixth field is not base64 without padding.
    #[error("error decoding the certificate of the handshake: {0}")]
    Certificate(String),
}

/// A list of versions, shown as `[4 5]`, the way Go prints one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(pub Vec<u32>);

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, version) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{version}")?;
        }
        f.write_str("]")
    }
}

impl Handshake {
    /// The line, with its newline. Always six fields; a seventh is never sent unprompted, because
    /// old hosts would take it for a part of the sixth.
    pub fn to_line(&self) -> String {
        let certificate =
            self.certificate.as_ref().map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
        format!(
            "{CORE_PROTOCOL_VERSION}|{}|{}|{}|grpc|{certificate}\n",
            self.version,
            self.network.as_str(),
            self.address,
        )
    }

    /// Reads a line. Four fields are enough for a line to be looked at, further ones than six are
    /// ignored, and the checks come in the order of the fields.
    pub fn parse(line: &str, offered: &[u32]) -> Result<Self, HandshakeError> {
        let line = line.trim();
        let fields: Vec<&str> = line.split('|').collect();
        let [core, version, network, address, rest @ ..] = fields.as_slice() else {
            return Err(HandshakeError::Unrecognized(shown(line)));
        };
        match core.parse() {
            Ok(CORE_PROTOCOL_VERSION) => {}
            Ok(other) => return Err(HandshakeError::CoreMismatch(other)),
            Err(_) => return Err(HandshakeError::CoreUnreadable(shown(core))),
        }
        let version =
            version.parse().map_err(|_| HandshakeError::VersionUnreadable(shown(version)))?;
        if !offered.contains(&version) {
            let offered = Versions(offered.to_vec());
            return Err(HandshakeError::VersionMismatch { plugin: version, offered });
        }
        let network = match *network {
            "unix" => Network::Unix,
            "tcp" => Network::Tcp,
            other => return Err(HandshakeError::UnknownNetwork(shown(other))),
        };
        match rest.first().copied() {
            Some("grpc") => {}
            // A line without the field comes from a library that knew only net/rpc.
            None => return Err(HandshakeError::UnsupportedProtocol("netrpc".into())),
            Some(other) => return Err(HandshakeError::UnsupportedProtocol(shown(other))),
        }
        let certificate = match rest.get(1) {
            Some(text) if text.len() > SHORTEST_CERTIFICATE => Some(certificate(text)?),
            _ => None,
        };
        Ok(Self { version, network, address: (*address).to_owned(), certificate })
    }
}

fn certificate(text: &str) -> Result<CertificateDer<'static>, HandshakeError> {
    let der =
        STANDARD_NO_PAD.decode(text).map_err(|why| HandshakeError::Certificate(why.to_string()))?;
    Ok(CertificateDer::from(der))
}

fn shown(text: &str) -> String {
    let end = text.char_indices().nth(SHOWN).map_or(text.len(), |(index, _)| index);
    text[..end].to_owned()
}

/// What a plugin makes of the offer in [`ENV_VERSIONS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The version to announce: the highest that both know. Without a common one it is our
    /// lowest, which the host then refuses with a message that names both sides.
    pub version: u32,
    /// Entries of the offer that are not numbers; a plugin reports them on stderr.
    pub unreadable: Vec<String>,
}

/// Chooses a version. `own` must not be empty; if it is, nothing is chosen.
pub fn negotiate(own: &[u32], offer: &str) -> Option<Negotiated> {
    let mut unreadable = Vec::new();
    let mut offered = Vec::new();
    for entry in offer.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.parse::<u32>() {
            Ok(version) => offered.push(version),
            Err(_) => unreadable.push(shown(entry)),
        }
    }
    let common = own.iter().copied().filter(|version| offered.contains(version)).max();
    let version = common.or_else(|| own.iter().copied().min())?;
    Some(Negotiated { version, unreadable })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &[u32] = &[4, 5];

    fn long_certificate() -> String {
        STANDARD_NO_PAD.encode([7_u8; 64])
    }

    #[test]
    fn a_go_plugins_line_is_read() {
        let line = format!("1|5|unix|/tmp/plugin1|grpc|{}\n", long_certificate());
        let handshake = Handshake::parse(&line, OFFERED).unwrap();
        assert_eq!(handshake.version, 5);
        assert_eq!(handshake.network, Network::Unix);
        assert_eq!(handshake.address, "/tmp/plugin1");
        assert_eq!(handshake.certificate.unwrap().as_ref(), [7_u8; 64]);
    }

    #[test]
    fn what_is_written_is_read_back_and_has_six_fields() {
        for certificate in [None, Some(CertificateDer::from(vec![9_u8; 65]))] {
            let handshake = Handshake {
                version: 4,
                network: Network::Unix,
                address: "/s/plugin9".into(),
                certificate,
            };
            let line = handshake.to_line();
            assert_eq!(line.matches('|').count(), 5);
            assert!(line.ends_with('\n') && !line.contains('='));
            assert_eq!(Handshake::parse(&line, OFFERED).unwrap(), handshake);
        }
    }

    #[test]
    fn further_fields_and_white_space_are_ignored() {
        let handshake =
            Handshake::parse("  1|4|tcp|127.0.0.1:9|grpc||true|x \r\n", OFFERED).unwrap();
        assert_eq!(handshake.network, Network::Tcp);
        assert_eq!(handshake.certificate, None);
    }

    #[test]
    fn a_short_certificate_field_counts_as_none() {
        let handshake = Handshake::parse("1|4|unix|/s|grpc|!!!", OFFERED).unwrap();
        assert_eq!(handshake.certificate, None);
    }

    #[test]
    fn every_wrong_field_has_its_own_error_and_the_known_words() {
        let bad_certificate = format!("1|4|unix|/s|grpc|{}", "%".repeat(51));
        let padded = format!("1|4|unix|/s|grpc|{}=", "A".repeat(51));
        let cases: &[(&str, &str)] = &[
            ("", "Unrecognized remote plugin message: \"\""),
            ("hello", "Unrecognized remote plugin message: \"hello\""),
            ("1|4|unix", "Unrecognized remote plugin message: \"1|4|unix\""),
            ("x|4|unix|/s|grpc|", "error parsing core protocol version: \"x\""),
            (
                "2|4|unix|/s|grpc|",
                "incompatible core API version with plugin. Plugin version: 2, Core version: 1.",
            ),
            ("1|four|unix|/s|grpc|", "Error parsing protocol version \"four\":"),
            (
                "1|3|unix|/s|grpc|",
                "incompatible API version with plugin. Plugin version: 3, Client versions: [4 5]",
            ),
            ("1|4|udp|/s|grpc|", "unknown address type: udp"),
            ("1|4|unix|/s", "unsupported plugin protocol \"netrpc\". Supported: [grpc]"),
            ("1|4|unix|/s|netrpc|", "unsupported plugin protocol \"netrpc\". Supported: [grpc]"),
            (&bad_certificate, "error decoding the certificate of the handshake"),
            (&padded, "error decoding the certificate of the handshake"),
        ];
        for (line, start) in cases {
            let error = Handshake::parse(line, OFFERED).unwrap_err().to_string();
            assert!(error.starts_with(start), "{line:?} gave {error:?}");
        }
    }

    #[test]
    fn a_garbage_line_is_quoted_only_in_part() {
        let error = Handshake::parse(&"é".repeat(9000), OFFERED).unwrap_err();
        assert_eq!(error, HandshakeError::Unrecognized("é".repeat(SHOWN)));
    }

    #[test]
    fn the_highest_common_version_wins_else_the_lowest_of_ours() {
        let chosen = |own: &[u32], offer: &str| negotiate(own, offer).map(|it| it.version);
        assert_eq!(chosen(&[3, 5, 4], "3,4,5"), Some(5));
        assert_eq!(chosen(&[3, 4, 5], "4,3"), Some(4));
        assert_eq!(chosen(&[3, 4], "6,5"), Some(3));
        assert_eq!(chosen(&[3, 4], ""), Some(3));
        assert_eq!(chosen(&[], "5"), None);
    }

    #[test]
    fn unreadable_offers_are_skipped_and_reported() {
        let negotiated = negotiate(&[4, 5], "x, 4,-1,").unwrap();
        assert_eq!(negotiated.version, 4);
        assert_eq!(negotiated.unreadable, ["x", "-1"]);
    }
}
