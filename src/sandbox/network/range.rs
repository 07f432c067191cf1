//! Which range of addresses an instance takes.

use std::net::Ipv4Addr;

use crate::sandbox::netlink::{Address, Range, RouteTo};

const POOL: Range = Range { address: Ipv4Addr::new(10, 77, 0, 0), prefix: 16 };
/// 1,022 addresses: as many pods as a bridge has ports.
const PREFIX: u8 = 22;
const RANGES: usize = 1 << (PREFIX - POOL.prefix);

/// The first range, going round from number `start`, that no address lies in and no route leads to. The default
/// route leads everywhere and says nothing.
pub(super) fn first_free(addresses: &[Address], routes: &[RouteTo], start: usize) -> Option<Range> {
    let routed = routes.iter().map(|route| route.range).filter(|range| range.prefix != 0);
    let taken: Vec<Range> = addresses.iter().map(|address| address.range).chain(routed).collect();
    (0..RANGES)
        .map(|number| numbered((start + number) % RANGES))
        .find(|range| !taken.iter().any(|taken| taken.overlaps(*range)))
}

/// The range that an interface was given by an earlier choice.
pub(super) fn kept(addresses: &[Address], link: u32) -> Option<Range> {
    let own = addresses.iter().find(|address| {
        address.link == link && address.range.prefix == PREFIX && address.range.overlaps(POOL)
    })?;
    let first = own.range.address.to_bits() & own.range.mask();
    Some(Range { address: Ipv4Addr::from_bits(first), prefix: PREFIX })
}

/// The first address of a range after that of the range itself.
pub(super) fn gateway(range: Range) -> Ipv4Addr {
    Ipv4Addr::from_bits(range.address.to_bits() + 1)
}

fn numbered(number: usize) -> Range {
    let third = u8::try_from(number * 4).expect("there are 64 ranges");
    let [a, b, ..] = POOL.address.octets();
    Range { address: Ipv4Addr::new(a, b, third, 0), prefix: PREFIX }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(address: &str, prefix: u8) -> RouteTo {
        RouteTo { range: Range { address: address.parse().unwrap(), prefix }, links: vec![2] }
    }

    fn address(link: u32, address: &str, prefix: u8) -> Address {
        Address { link, range: Range { address: address.parse().unwrap(), prefix } }
    }

    #[test]
    fn the_first_range_that_nothing_covers_is_taken() {
        let first = |addresses: &[Address], routes: &[RouteTo]| {
            first_free(addresses, routes, 0).map(|range| range.address.to_string())
        };
        assert_eq!(first(&[], &[route("0.0.0.0", 0)]).as_deref(), Some("10.77.0.0"));
        let addresses = [address(2, "10.77.0.9", 24)];
        assert_eq!(first(&addresses, &[route("10.77.6.0", 24)]).as_deref(), Some("10.77.8.0"));
        assert_eq!(first(&[], &[route("10.0.0.0", 8)]), None);
    }

    #[test]
    fn a_search_from_further_on_comes_round_to_the_first() {
        let all_but_the_first = [route("10.77.128.0", 17), route("10.77.64.0", 18), route("10.77.32.0", 19)];
        let rest = [route("10.77.16.0", 20), route("10.77.8.0", 21), route("10.77.4.0", 22)];
        let routes = [all_but_the_first, rest].concat();
        assert_eq!(first_free(&[], &routes, 200), Some(numbered(0)));
    }

    #[test]
    fn what_the_bridge_has_is_kept() {
        let addresses =
            [address(3, "192.0.2.1", 22), address(4, "10.77.4.1", 22), address(3, "10.77.8.1", 22)];
        assert_eq!(kept(&addresses, 3), Some(numbered(2)));
        assert_eq!(kept(&addresses, 9), None);
        assert_eq!(gateway(numbered(2)), Ipv4Addr::new(10, 77, 8, 1));
    }
}
