//! Addresses that a login or a token is bound to.
//!
//! Two notations are in use: blocks in CIDR notation, always with a prefix length ([`Cidr`]), and
//! the wider one of the `token_bound_cidrs` fields, where a lone address or a socket's path will do
//! ([`BoundAddress`]). Host names are in neither: nothing is ever looked up.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A block of IP addresses: `10.0.0.0/8`, `fe80::/10`. Bits beyond the prefix are kept for display
/// and mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A text is no block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CIDR address: {0}")]
pub struct CidrError(pub String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let wrong = || CidrError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        // `u8::from_str` takes a sign.
        let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
        (prefix <= bits(address)).then_some(Self { address, prefix }).ok_or_else(wrong)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Cidr {
    /// The block of this one address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, prefix: bits(address) }
    }

    /// Whether it is the block of a single address.
    pub fn is_host(self) -> bool {
        self.prefix == bits(self.address)
    }

    /// Whether an address is in the block. Addresses of the other family never are; an IPv4 address
    /// written as an IPv6 one is an IPv4 address.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (block.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (block.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }

    /// Whether all of another block is in this one.
    pub fn covers(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// What a `token_bound_cidrs` field takes: a block, an address with or without a port, or the path of
/// a UNIX socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundAddress {
    /// These IP addresses; the block of one is written without its prefix.
    Block(Cidr),
    /// One address and port. The port is shown and not compared.
    Socket(SocketAddr),
    /// A UNIX socket. No client that comes over IP matches it.
    Unix(String),
}

/// A text is no address. The wording is Vault's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "error parsing address {0:?}: Unable to convert {0:?} to an IPv4 or IPv6 address, or a UNIX Socket"
)]
pub struct AddressError(pub String);

impl FromStr for BoundAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Ok(block) = text.parse::<Cidr>() {
            return Ok(Self::Block(block.unmapped()));
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Block(Cidr::host(address.to_canonical())));
        }
        if let Ok(socket) = text.parse() {
            return Ok(Self::Socket(socket));
        }
        // Vault takes anything with a slash for a socket's path, `10.0.0.0/33` too, and such a
        // binding then matches nobody. That is a typing error, and told.
        if text.len() > 1 && text.starts_with(['/', '.']) {
            return Ok(Self::Unix(text.to_owned()));
        }
        Err(AddressError(text.to_owned()))
    }
}

impl Cidr {
    /// A block of IPv4 addresses written as IPv6 ones, as what it is.
    fn unmapped(self) -> Self {
        match self.address.to_canonical() {
            address @ IpAddr::V4(_) if self.address.is_ipv6() && self.prefix >= 96 => {
                Self { address, prefix: self.prefix - 96 }
            }
            _ => self,
        }
    }
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(block) if block.is_host() => block.address.fmt(f),
            Self::Block(block) => block.fmt(f),
            Self::Socket(socket) => socket.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

impl BoundAddress {
    /// Reads a list.
    pub fn parse_all<T: AsRef<str>>(texts: &[T]) -> Result<Vec<Self>, AddressError> {
        texts.iter().map(|text| text.as_ref().parse()).collect()
    }

    /// Whether a client at this address may pass.
    pub fn admits(&self, client: IpAddr) -> bool {
        match self {
            Self::Block(block) => block.contains(client),
            Self::Socket(socket) => socket.ip().to_canonical() == client.to_canonical(),
            Self::Unix(_) => false,
        }
    }

    /// Whether a client at this address, as the server wrote it, may pass one of these bindings.
    /// Without bindings everybody may; with them, nobody whose address cannot be read.
    pub fn any_admits(bindings: &[Self], client: &str) -> bool {
        let admitted = |client| bindings.iter().any(|binding| binding.admits(client));
        bindings.is_empty() || client.parse().is_ok_and(admitted)
    }
}

impl Serialize for BoundAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BoundAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        text.parse::<BoundAddress>().ok().map(|address| address.to_string())
    }

    #[test]
    fn bindings_are_shown_as_vault_shows_them() {
        for (text, wanted) in [
            ("127.0.0.1/32", Some("127.0.0.1")),
            ("10.1.2.3/8", Some("10.1.2.3/8")),
            ("::1/128", Some("::1")),
            ("[::1]", Some("::1")),
            ("fe80::1/10", Some("fe80::1/10")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("1.2.3.4:80", Some("1.2.3.4:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("/run/a.sock", Some("/run/a.sock")),
            ("junk", None),
            ("localhost:80", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("010.0.0.0/8", None),
            ("", None),
        ] {
            assert_eq!(shown(text).as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn only_clients_inside_a_binding_pass() {
        for (binding, client, passes) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "1.2.3.4", false),
            ("1.2.3.4:80", "1.2.3.4", true),
            ("/run/a.sock", "1.2.3.4", false),
            ("10.0.0.0/8", "@", false),
        ] {
            let bindings = [binding.parse().unwrap()];
            assert_eq!(BoundAddress::any_admits(&bindings, client), passes, "{binding} {client}");
        }
        assert!(BoundAddress::any_admits(&[], "whatever"));
    }

    #[test]
    fn a_block_covers_what_is_as_narrow_and_inside() {
        let covers = |a: &str, b: &str| a.parse::<Cidr>().unwrap().covers(b.parse().unwrap());
        assert!(covers("10.0.0.0/8", "10.2.0.0/16"));
        assert!(covers("10.0.0.0/8", "10.9.9.9/8"));
        assert!(!covers("10.0.0.0/8", "10.0.0.0/7"));
        assert!(!covers("10.0.0.0/8", "11.0.0.0/16"));
        assert!(!covers("0.0.0.0/0", "::/0"));
    }
}
