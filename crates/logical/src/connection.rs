//! Where a request came from, as far as backends may know.

/// The client's side of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// IP address, without the port.
    pub remote_addr: String,
    /// Port.
    pub remote_port: u16,
    /// The TLS session, if there is one.
    pub tls: Option<TlsState>,
}

/// What is known of the client's TLS session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsState {
    /// Protocol version as on the wire (0x0304 is TLS 1.3).
    pub version: u16,
    /// Cipher suite as on the wire.
    pub cipher_suite: u16,
    /// ALPN protocol.
    pub negotiated_protocol: String,
    /// SNI.
    pub server_name: String,
    /// DER certificates that the client presented, leaf first.
    pub peer_certificates: Vec<Vec<u8>>,
    /// Chains that the listener verified, each leaf first, in DER.
    pub verified_chains: Vec<Vec<Vec<u8>>>,
}
