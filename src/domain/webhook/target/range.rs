//! Which part of the address space an address lies in, and so whether it can be a host on the internet.
//!
//! The tables follow the IANA special-purpose registries (RFC 6890 and its updates), and go further where the registry does not
//! help a relay: of IPv6 only 2000::/3 is public, and an address that carries an IPv4 address inside is judged by the kind of its
//! range.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// A part of the address space. Only [`Range::Public`] is open to every endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    Public,
    Unspecified,
    ThisNetwork,
    Loopback,
    Private,
    CarrierNat,
    LinkLocal,
    Metadata,
    Protocol,
    Documentation,
    Benchmark,
    Multicast,
    Reserved,
    Broadcast,
    RelayAnycast,
    SixToFour,
    Mapped,
    Compatible,
    LocalNat64,
    OutsideGlobalUnicast,
}

impl Range {
    /// The name of the range for an operator.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unspecified => "the unspecified address",
            Self::ThisNetwork => "\"this network\" (0.0.0.0/8)",
            Self::Loopback => "loopback",
            Self::Private => "a private network",
            Self::CarrierNat => "a carrier's NAT (100.64.0.0/10)",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a cloud's metadata service",
            Self::Protocol => "reserved for protocols",
            Self::Documentation => "reserved for documentation",
            Self::Benchmark => "reserved for benchmarks",
            Self::Multicast => "multicast",
            Self::Reserved => "reserved",
            Self::Broadcast => "broadcast",
            Self::RelayAnycast => "anycast of 6to4 relays",
            Self::SixToFour => "6to4",
            Self::Mapped => "an IPv4 address mapped into IPv6",
            Self::Compatible => "an IPv4 address inside an IPv6 one",
            Self::LocalNat64 => "a local NAT64 network",
            Self::OutsideGlobalUnicast => "outside of what IPv6 routes (2000::/3)",
        }
    }
}

/// The range of `ip`.
pub(crate) fn range(ip: IpAddr) -> Range {
    match ip {
        IpAddr::V4(ip) => v4(ip),
        IpAddr::V6(ip) => v6(ip),
    }
}

fn v4(ip: Ipv4Addr) -> Range {
    V4.iter().find(|(net, _)| net.contains(&ip)).map_or(Range::Public, |(_, range)| *range)
}

fn v6(ip: Ipv6Addr) -> Range {
    if NAT64.contains(&ip) {
        return v4(embedded(ip));
    }
    let listed = V6.iter().find(|(net, _)| net.contains(&ip)).map(|(_, range)| *range);
    listed.unwrap_or(if GLOBAL_UNICAST.contains(&ip) { Range::Public } else { Range::OutsideGlobalUnicast })
}

/// The IPv4 address in the last 32 bits.
fn embedded(ip: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = ip.octets();
    Ipv4Addr::new(a, b, c, d)
}

const fn net4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn net6(head: [u16; 4], tail: [u16; 4], bits: u8) -> Ipv6Net {
    let ([a, b, c, d], [e, f, g, h]) = (head, tail);
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits)
}

/// Ranges of IPv4, the narrower before the wider. Networks that the registry calls globally reachable are not listed, such as
/// AS112 and AMT.
const V4: &[(Ipv4Net, Range)] = &[
    (net4(0, 0, 0, 0, 32), Range::Unspecified),
    (net4(0, 0, 0, 0, 8), Range::ThisNetwork),
    (net4(10, 0, 0, 0, 8), Range::Private),
    (net4(100, 64, 0, 0, 10), Range::CarrierNat),
    (net4(127, 0, 0, 0, 8), Range::Loopback),
    // Azure's virtual host has a public address. It answers guests only, with secrets of their machine.
    (net4(168, 63, 129, 16, 32), Range::Metadata),
    (net4(169, 254, 0, 0, 16), Range::LinkLocal),
    (net4(172, 16, 0, 0, 12), Range::Private),
    (net4(192, 0, 0, 0, 24), Range::Protocol),
    (net4(192, 0, 2, 0, 24), Range::Documentation),
    (net4(192, 88, 99, 0, 24), Range::RelayAnycast),
    (net4(192, 168, 0, 0, 16), Range::Private),
    (net4(198, 18, 0, 0, 15), Range::Benchmark),
    (net4(198, 51, 100, 0, 24), Range::Documentation),
    (net4(203, 0, 113, 0, 24), Range::Documentation),
    (net4(224, 0, 0, 0, 4), Range::Multicast),
    (net4(255, 255, 255, 255, 32), Range::Broadcast),
    (net4(240, 0, 0, 0, 4), Range::Reserved),
];

/// Ranges of IPv6 with a name of their own, inside 2000::/3 or not, the narrower before the wider.
const V6: &[(Ipv6Net, Range)] = &[
    (net6([0; 4], [0; 4], 128), Range::Unspecified),
    (net6([0; 4], [0, 0, 0, 1], 128), Range::Loopback),
    (net6([0; 4], [0; 4], 96), Range::Compatible),
    (net6([0; 4], [0, 0xffff, 0, 0], 96), Range::Mapped),
    (net6([0x64, 0xff9b, 1, 0], [0; 4], 48), Range::LocalNat64),
    // Teredo, ORCHID, benchmarking and anycast of protocols: nothing in it serves a webhook.
    (net6([0x2001, 0, 0, 0], [0; 4], 23), Range::Protocol),
    (net6([0x2001, 0xdb8, 0, 0], [0; 4], 32), Range::Documentation),
    (net6([0x2002, 0, 0, 0], [0; 4], 16), Range::SixToFour),
    (net6([0x3fff, 0, 0, 0], [0; 4], 20), Range::Documentation),
    (net6([0xfc00, 0, 0, 0], [0; 4], 7), Range::Private),
    (net6([0xfe80, 0, 0, 0], [0; 4], 10), Range::LinkLocal),
    (net6([0xff00, 0, 0, 0], [0; 4], 8), Range::Multicast),
];

/// The well-known prefix for translation to IPv4 (RFC 6052 section 2.1).
const NAT64: Ipv6Net = net6([0x64, 0xff9b, 0, 0], [0; 4], 96);

/// All addresses that IANA has assigned as global unicast (RFC 4291 section 2.4).
const GLOBAL_UNICAST: Ipv6Net = net6([0x2000, 0, 0, 0], [0; 4], 3);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same tables once more, written by hand and by octet, so that a slip in one is caught by the other.
    fn public_v4(ip: Ipv4Addr) -> bool {
        !matches!(
            ip.octets(),
            [0 | 10 | 127 | 224..=255, ..]
                | [100, 64..=127, ..]
                | [168, 63, 129, 16]
                | [169, 254, ..]
                | [172, 16..=31, ..]
                | [192, 0, 0 | 2, _]
                | [192, 88, 99, _]
                | [192, 168, ..]
                | [198, 18 | 19, ..]
                | [198, 51, 100, _]
                | [203, 0, 113, _]
        )
    }

    fn public_v6(ip: Ipv6Addr) -> bool {
        match ip.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
            [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
            [first, ..] => (0x2000..=0x3fff).contains(&first),
        }
    }

    fn agree(ip: IpAddr) {
        let public = match ip {
            IpAddr::V4(ip) => public_v4(ip),
            IpAddr::V6(ip) => public_v6(ip),
        };
        assert_eq!(range(ip) == Range::Public, public, "{ip} is {:?}", range(ip));
    }

    /// Addresses near the borders of ranges, and random ones.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        let edges4 = prop::sample::select(V4).prop_flat_map(|(net, _)| {
            (Just(net), prop::bool::ANY, -3i64..=3).prop_map(|(net, end, by)| {
                let at = u32::from(if end { net.broadcast() } else { net.network() });
                Ipv4Addr::from(at.wrapping_add_signed(i32::try_from(by).unwrap()))
            })
        });
        let nets6: Vec<_> = V6.iter().map(|(net, _)| *net).chain([NAT64, GLOBAL_UNICAST]).collect();
        let edges6 = (prop::sample::select(nets6), prop::bool::ANY, -3i128..=3).prop_map(|(net, end, by)| {
            let at = u128::from(if end { net.broadcast() } else { net.network() });
            Ipv6Addr::from(at.wrapping_add_signed(by))
        });
        let translated = any::<u32>().prop_map(|low| Ipv6Addr::from(u128::from(NAT64.network()) | u128::from(low)));
        let inside = any::<u128>().prop_map(|bits| Ipv6Addr::from((bits >> 3) | (1 << 125)));
        prop_oneof![
            4 => any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
            2 => edges4.prop_map(IpAddr::from),
            1 => any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into()),
            2 => edges6.prop_map(IpAddr::from),
            2 => translated.prop_map(IpAddr::from),
            2 => inside.prop_map(IpAddr::from),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn both_tables_agree_on_every_address(ip in addresses()) {
            agree(ip);
        }
    }

    #[test]
    fn every_range_begins_and_ends_where_both_tables_say() {
        for (net, _) in V4 {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            for ip in [first.wrapping_sub(1), first, last, last.wrapping_add(1)] {
                agree(Ipv4Addr::from(ip).into());
            }
        }
        for net in V6.iter().map(|(net, _)| net).chain([&NAT64, &GLOBAL_UNICAST]) {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            for ip in [first.wrapping_sub(1), first, last, last.wrapping_add(1)] {
                agree(Ipv6Addr::from(ip).into());
            }
        }
    }

    #[test]
    fn the_names_that_matter_to_an_operator_are_right() {
        for (ip, expected) in [
            ("127.0.0.1", Range::Loopback),
            ("0.0.0.0", Range::Unspecified),
            ("169.254.169.254", Range::LinkLocal),
            ("100.100.100.200", Range::CarrierNat),
            ("::1", Range::Loopback),
            ("::ffff:8.8.8.8", Range::Mapped),
            ("::8.8.8.8", Range::Compatible),
            ("64:ff9b::169.254.169.254", Range::LinkLocal),
            ("64:ff9b::8.8.8.8", Range::Public),
            ("64:ff9b:1::8.8.8.8", Range::LocalNat64),
            ("2002:808:808::1", Range::SixToFour),
            ("2001::1", Range::Protocol),
            ("fd00:ec2::254", Range::Private),
            ("fec0::1", Range::OutsideGlobalUnicast),
            ("5f00::1", Range::OutsideGlobalUnicast),
            ("2606:4700::1111", Range::Public),
        ] {
            assert_eq!(range(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn a_refusal_names_each_range_by_another_name() {
        let mut names: Vec<_> = V4.iter().map(|(_, range)| *range).chain(V6.iter().map(|(_, range)| *range)).collect();
        names.extend([Range::Public, Range::OutsideGlobalUnicast]);
        names.sort_by_key(|range| range.name());
        names.dedup();
        let mut texts: Vec<_> = names.iter().map(|range| range.name()).collect();
        texts.dedup();
        assert_eq!((names.len(), texts.len()), (20, 20), "the number of ranges");
        let name = |ip: &str| range(ip.parse().unwrap()).name();
        assert_eq!(
            [name("10.1.2.3"), name("169.254.169.254"), name("168.63.129.16")],
            ["a private network", "link-local", "a cloud's metadata service"]
        );
    }
}
