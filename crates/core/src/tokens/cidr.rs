//! Whether an address lies in a network.

use std::net::IpAddr;

/// Whether `address` lies in `cidr` (`10.0.0.0/8`, or a single address). False if `cidr` is neither.
pub fn cidr_contains(cidr: &str, address: IpAddr) -> bool {
    let (network, bits) = match cidr.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (cidr, Some(128)),
    };
    let (Ok(network), Some(bits)) = (network.parse::<IpAddr>(), bits) else { return false };
    match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(n), IpAddr::V4(a)) => same(n.to_bits().into(), a.to_bits().into(), bits, 32),
        (IpAddr::V6(n), IpAddr::V6(a)) => same(n.to_bits(), a.to_bits(), bits, 128),
        _ => false,
    }
}

fn same(a: u128, b: u128, bits: u32, width: u32) -> bool {
    let ignored = width - bits.min(width);
    ignored >= 128 || (a ^ b) >> ignored == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_networks_only() {
        for (cidr, address, inside) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fe80::/10", "fe80::1", true),
            ("::/0", "1::", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("nonsense", "10.0.0.1", false),
            ("10.0.0.0/x", "10.0.0.1", false),
        ] {
            assert_eq!(cidr_contains(cidr, address.parse().unwrap()), inside, "{cidr} {address}");
        }
    }
}
