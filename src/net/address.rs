//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::Cidr;

/// Where Amazon's instances find their metadata over IPv6.
const AWS_METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Where Alibaba Cloud's instances find their metadata; it is a shared address (RFC 6598), not a link-local one.
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Tells the addresses that may be connected to from those that reach the machine itself, its neighbours on the link
/// or the cloud's metadata service.
///
/// Private ranges are fine: registries and Git servers live there. Link-local, loopback, unspecified, multicast,
/// broadcast and metadata addresses are refused unless the operator allows their range.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    allow: Arc<[Cidr]>,
}

impl AddressGuard {
    /// A guard that also lets through what lies in one of `allow`.
    #[must_use]
    pub fn new(allow: Vec<Cidr>) -> Self {
        Self { allow: allow.into() }
    }

    /// This guard, which lets through what lies in one of `more` besides.
    #[must_use]
    pub(super) fn admitting(&self, more: impl Iterator<Item = Cidr>) -> Self {
        Self { allow: self.allow.iter().copied().chain(more).collect() }
    }

    /// Whether `address` may be connected to.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = embedded_v4(address).map_or(address, IpAddr::V4);
        self.allow.iter().any(|range| range.contains(&address)) || !is_delicate(address)
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291, 2.5.5.2), compatible (2.5.5.1) and by NAT64's
/// well-known prefix (RFC 6052). Without this, `::ffff:169.254.169.254` would pass as a global address.
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    const NAT64: u128 = 0x0064_ff9b << 96;
    let IpAddr::V6(v6) = address else { return None };
    let bits = v6.to_bits();
    let low = (bits & u128::from(u32::MAX)) as u32;
    let is_compatible = bits >> 32 == 0 && low > 1;
    let is_nat64 = bits & !u128::from(u32::MAX) == NAT64;
    v6.to_ipv4_mapped().or_else(|| (is_compatible || is_nat64).then(|| Ipv4Addr::from_bits(low)))
}

fn is_delicate(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return true;
    }
    match address {
        // All of 0.0.0.0/8 means "this host" (RFC 1122, 3.2.1.3), which Linux takes for the machine itself.
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_broadcast() || v4.octets().starts_with(&[0]) || v4 == ALIBABA_METADATA
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == AWS_METADATA_V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(guard: &AddressGuard, address: &str) -> bool {
        guard.permits(address.parse().unwrap())
    }

    #[test]
    fn refuses_the_machine_itself_its_link_and_metadata() {
        let guard = AddressGuard::default();
        for address in [
            "127.0.0.1",
            "127.8.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(!permits(&guard, address), "{address}");
        }
    }

    #[test]
    fn permits_public_and_private_addresses() {
        let guard = AddressGuard::default();
        for address in
            ["1.1.1.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "2606:4700::1", "fd00::1", "::ffff:1.1.1.1"]
        {
            assert!(permits(&guard, address), "{address}");
        }
    }

    #[test]
    fn permits_what_the_operator_allows_and_no_more() {
        let guard = AddressGuard::new(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        assert!(permits(&guard, "127.0.0.1"));
        assert!(permits(&guard, "::ffff:127.0.0.1"));
        assert!(permits(&guard, "::1"));
        assert!(!permits(&guard, "169.254.169.254"));
    }
}
