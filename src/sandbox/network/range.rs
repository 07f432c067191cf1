//! Which range of addresses an instance takes.

use std::net::Ipv4Addr;

use crate::model::network::PodCidr;
use crate::sandbox::netlink::{Address, Range, RouteTo};

/// 1,022 addresses: as many pods as a bridge has ports.
const PREFIX: u8 = 22;

/// The first range of `pool`, going round from number `start`, that no address lies in and no route leads to. The default
/// route leads everywhere and says nothing.
///
/// # Errors
/// What overlaps the first of them, if all of them are taken.
pub(super) fn first_free(
    pool: PodCidr,
    addresses: &[Address],
    routes: &[RouteTo],
    start: usize,
) -> Result<Range, Range> {
    let routed = routes.iter().map(|route| route.range).filter(|range| range.prefix != 0);
    let taken: Vec<Range> = addresses.iter().map(|address| address.range).chain(routed).collect();
    let overlapping = |range: Range| taken.iter().find(|taken| taken.overlaps(range)).copied();
    let count = 1 << (prefix(pool) - pool.prefix);
    let mut ranges = (0..count).map(|number| numbered(pool, (start + number) % count));
    ranges.find(|range| overlapping(*range).is_none()).ok_or_else(|| {
        let first = numbered(pool, 0);
        overlapping(first).unwrap_or(first)
    })
}

/// The range that an interface was given by an earlier choice: one of `pool`, or of what is usual.
pub(super) fn kept(pool: PodCidr, addresses: &[Address], link: u32) -> Option<Range> {
    let of = |pool: PodCidr| {
        let whole = Range { address: pool.network, prefix: pool.prefix };
        addresses.iter().find(move |address| {
            address.link == link && address.range.prefix == prefix(pool) && address.range.overlaps(whole)
        })
    };
    let own = of(pool).or_else(|| of(PodCidr::USUAL))?;
    let first = own.range.address.to_bits() & own.range.mask();
    Some(Range { address: Ipv4Addr::from_bits(first), prefix: own.range.prefix })
}

/// The first address of a range after that of the range itself.
pub(super) fn gateway(range: Range) -> Ipv4Addr {
    Ipv4Addr::from_bits(range.address.to_bits() + 1)
}

/// Of the ranges of a pool: one that is smaller is one.
fn prefix(pool: PodCidr) -> u8 {
    pool.prefix.max(PREFIX)
}

fn numbered(pool: PodCidr, number: usize) -> Range {
    let prefix = prefix(pool);
    let number = u32::try_from(number).expect("there are 64 ranges at most");
    let first = pool.network.to_bits() + (number << (32 - prefix));
    Range { address: Ipv4Addr::from_bits(first), prefix }
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
            first_free(PodCidr::USUAL, addresses, routes, 0).map(|range| range.address.to_string())
        };
        assert_eq!(first(&[], &[route("0.0.0.0", 0)]), Ok("10.77.0.0".to_owned()));
        let addresses = [address(2, "10.77.0.9", 24)];
        assert_eq!(first(&addresses, &[route("10.77.6.0", 24)]), Ok("10.77.8.0".to_owned()));
        assert_eq!(first(&[], &[route("10.0.0.0", 8)]), Err(route("10.0.0.0", 8).range));
    }

    #[test]
    fn a_pool_that_is_small_is_taken_whole_or_not_at_all() {
        let pool = PodCidr::parse("10.99.4.0/24").unwrap();
        let whole = Range { address: pool.network, prefix: 24 };
        assert_eq!(first_free(pool, &[], &[route("10.99.0.0", 22)], 7), Ok(whole));
        let within = route("10.99.4.128", 25);
        assert_eq!(first_free(pool, &[], std::slice::from_ref(&within), 0), Err(within.range));
        let larger = PodCidr::parse("10.99.0.0/20").unwrap();
        let found = first_free(larger, &[], &[route("10.99.0.0", 22), within], 0);
        assert_eq!(found, Ok(Range { address: Ipv4Addr::new(10, 99, 8, 0), prefix: 22 }));
    }

    #[test]
    fn a_search_from_further_on_comes_round_to_the_first() {
        let all_but_the_first = [route("10.77.128.0", 17), route("10.77.64.0", 18), route("10.77.32.0", 19)];
        let rest = [route("10.77.16.0", 20), route("10.77.8.0", 21), route("10.77.4.0", 22)];
        let routes = [all_but_the_first, rest].concat();
        assert_eq!(first_free(PodCidr::USUAL, &[], &routes, 200), Ok(numbered(PodCidr::USUAL, 0)));
    }

    #[test]
    fn what_the_bridge_has_is_kept() {
        let addresses =
            [address(3, "192.0.2.1", 22), address(4, "10.77.4.1", 22), address(3, "10.77.8.1", 22)];
        let usual = PodCidr::USUAL;
        assert_eq!(kept(usual, &addresses, 3), Some(numbered(usual, 2)));
        assert_eq!(kept(usual, &addresses, 9), None);
        assert_eq!(gateway(numbered(usual, 2)), Ipv4Addr::new(10, 77, 8, 1));
        let other = PodCidr::parse("192.0.0.0/20").unwrap();
        assert_eq!(kept(other, &addresses, 3), Some(numbered(other, 0)));
        assert_eq!(kept(PodCidr::parse("10.99.0.0/24").unwrap(), &addresses, 4), Some(numbered(usual, 1)));
    }
}
