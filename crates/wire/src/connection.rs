//! The client's side of the connection, as plugins may know it (wire spec 2.8).
//!
//! Certificates travel as DER and are not looked into here. Left out: what no noun of ours holds
//! (session resumption, stapled answers), which is sent empty and not read.

use boltwork_logical::{Connection, TlsState};

use crate::WireError;
use crate::pb;

/// A connection for the wire. OpenBao's own copy of the client's certificates is filled too.
pub fn connection_to_wire(connection: &Connection) -> pb::Connection {
    let peers = connection.tls.as_ref().map(|tls| tls.peer_certificates.clone());
    pb::Connection {
        remote_addr: connection.remote_addr.clone(),
        remote_port: connection.remote_port.into(),
        connection_state: connection.tls.as_ref().map(state_to_wire),
        proxied_certificates_raw: Vec::new(),
        peer_certificates_raw: peers.unwrap_or_default(),
    }
}

fn state_to_wire(tls: &TlsState) -> pb::ConnectionState {
    pb::ConnectionState {
        version: tls.version.into(),
        handshake_complete: true,
        cipher_suite: tls.cipher_suite.into(),
        negotiated_protocol: tls.negotiated_protocol.clone(),
        negotiated_protocol_is_mutual: true,
        server_name: tls.server_name.clone(),
        peer_certificates: Some(chain_to_wire(&tls.peer_certificates)),
        verified_chains: tls.verified_chains.iter().map(|chain| chain_to_wire(chain)).collect(),
        ..pb::ConnectionState::default()
    }
}

fn chain_to_wire(chain: &[Vec<u8>]) -> pb::CertificateChain {
    let certificate = |der: &Vec<u8>| pb::Certificate { asn1_data: der.clone() };
    pb::CertificateChain { certificates: chain.iter().map(certificate).collect() }
}

/// A connection from the wire.
pub fn connection_from_wire(connection: pb::Connection) -> Result<Connection, WireError> {
    let remote_port = u16::try_from(connection.remote_port)
        .map_err(|_| WireError::field("Connection.remote_port", "not a port"))?;
    let tls = connection.connection_state.map(state_from_wire).transpose()?;
    Ok(Connection { remote_addr: connection.remote_addr, remote_port, tls })
}

fn state_from_wire(state: pb::ConnectionState) -> Result<TlsState, WireError> {
    let number = |field, value: u32| {
        u16::try_from(value).map_err(|_| WireError::field(field, "more than 16 bits"))
    };
    Ok(TlsState {
        version: number("ConnectionState.version", state.version)?,
        cipher_suite: number("ConnectionState.cipher_suite", state.cipher_suite)?,
        negotiated_protocol: state.negotiated_protocol,
        server_name: state.server_name,
        peer_certificates: state.peer_certificates.map(chain_from_wire).unwrap_or_default(),
        verified_chains: state.verified_chains.into_iter().map(chain_from_wire).collect(),
    })
}

fn chain_from_wire(chain: pb::CertificateChain) -> Vec<Vec<u8>> {
    chain.certificates.into_iter().map(|certificate| certificate.asn1_data).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_crosses_with_its_certificates() {
        let tls = TlsState {
            version: 0x0304,
            cipher_suite: 0x1302,
            negotiated_protocol: "h2".into(),
            server_name: "vault.example".into(),
            peer_certificates: vec![vec![1], vec![2]],
            verified_chains: vec![vec![vec![1], vec![2], vec![3]]],
        };
        for tls in [None, Some(tls)] {
            let connection =
                Connection { remote_addr: "192.0.2.7".into(), remote_port: 65_535, tls };
            let wire = connection_to_wire(&connection);
            assert_eq!(connection_from_wire(wire).unwrap(), connection);
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        for remote_port in [-1, 65_536, i32::MIN] {
            let wire = pb::Connection { remote_port, ..pb::Connection::default() };
            let error = connection_from_wire(wire).unwrap_err();
            assert!(error.to_string().contains("Connection.remote_port"), "{error}");
        }
        let state = pb::ConnectionState { version: u32::MAX, ..pb::ConnectionState::default() };
        let wire = pb::Connection { connection_state: Some(state), ..pb::Connection::default() };
        assert!(connection_from_wire(wire).is_err());
    }
}
