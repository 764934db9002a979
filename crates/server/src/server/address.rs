//! The address that clients and plugins are told: as configured, or derived from a listener.
//!
//! Left out: whether it can be reached, which is tried when a plugin needs it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Config, Listener};

/// The configured address; else that of the first listener, which is logged: plugins of the protocols
/// 3 and 4 have to reach it, and an operator who sees them fail is to know where it comes from.
pub fn api_addr(config: &Config) -> String {
    if let Some(address) = &config.addresses.api {
        return address.clone();
    }
    let Some(first) = config.listeners.first() else { return String::new() };
    let derived = derived(first);
    let of = match config.listeners.len() {
        1 => "the listener's".to_owned(),
        count => format!("that of the first of {count} listeners"),
    };
    tracing::info!(
        api_addr = derived,
        "no api_addr is configured: clients and plugins are told {of}; set api_addr if they do not \
         reach it"
    );
    derived
}

/// Where a listener is reached from this machine.
fn derived(listener: &Listener) -> String {
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    match listener.address.parse::<SocketAddr>() {
        // It listens everywhere, and nobody connects to everywhere.
        Ok(mut address) if address.ip().is_unspecified() => {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
            format!("{scheme}://{address}")
        }
        Ok(_) | Err(_) => format!("{scheme}://{}", listener.address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientCerts, Tls, TlsVersion};

    #[test]
    fn a_listener_is_reached_where_it_listens_and_through_the_loopback_if_that_is_everywhere() {
        for (listens, reached) in [
            ("127.0.0.1:8200", "http://127.0.0.1:8200"),
            ("0.0.0.0:8200", "http://127.0.0.1:8200"),
            ("10.0.0.0:8200", "http://10.0.0.0:8200"),
            ("[::]:1", "http://[::1]:1"),
            ("[fe80::1]:1", "http://[fe80::1]:1"),
            ("vault.example:8200", "http://vault.example:8200"),
        ] {
            assert_eq!(derived(&Listener::plain(listens)), reached);
        }
    }

    #[test]
    fn a_listener_with_tls_is_reached_by_https() {
        let tls = Tls {
            cert_file: "c".into(),
            key_file: "k".into(),
            client_ca_file: None,
            client_certs: ClientCerts::Off,
            min_version: TlsVersion::V12,
            max_version: TlsVersion::V13,
        };
        let listener = Listener { tls: Some(tls), ..Listener::plain("0.0.0.0:443") };
        assert_eq!(derived(&listener), "https://127.0.0.1:443");
    }
}
