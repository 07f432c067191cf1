//! What rules are made of. Values are loaded into registers, words of four bytes counted from 0, and compared or
//! looked up there; a longer value fills as many words as it needs.

use super::super::message::Message;
use super::super::routes::Range;
use super::{NFTA_DATA_VALUE, NFTA_LIST_ELEM};

const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const NFTA_VERDICT_CHAIN: u16 = 2;

/// The first register of one word, `NFT_REG32_00`.
const FIRST_WORD: u32 = 8;
const NFT_REG_VERDICT: u32 = 0;

const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NFT_JUMP: u32 = (-3_i32).cast_unsigned();

/// `IFNAMSIZ`.
const INTERFACE_NAME: usize = 16;

/// Expressions of one rule, in order: the first that does not hold ends it.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Expressions(Vec<(&'static str, Data)>);

/// Attributes of an expression, written when the rule is.
struct Data(Box<dyn FnOnce(Message) -> Message>);

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Data")
    }
}

/// What is known of a packet apart from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Meta {
    InputName = 6,
    OutputName = 7,
    /// One byte, in a word of zeroes.
    TransportProtocol = 16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Header {
    Link = 0,
    Network = 1,
    Transport = 2,
}

/// What connection tracking knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Ct {
    State = 0,
    Status = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal = 0,
    NotEqual = 1,
}

impl Expressions {
    /// Offset of the source and of the destination address in the IPv4 header.
    pub(in crate::sandbox) const SOURCE: u32 = 12;
    pub(in crate::sandbox) const DESTINATION: u32 = 16;

    pub(super) fn write(self, list: Message) -> Message {
        self.0.into_iter().fold(list, |list, (name, Data(data))| {
            list.nest(NFTA_LIST_ELEM, |element| element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data))
        })
    }

    fn and(mut self, name: &'static str, data: impl FnOnce(Message) -> Message + 'static) -> Expressions {
        self.0.push((name, Data(Box::new(data))));
        self
    }

    pub(in crate::sandbox) fn meta(self, key: Meta, word: u32) -> Expressions {
        self.and("meta", move |data| data.network_number(1, FIRST_WORD + word).network_number(2, key as u32))
    }

    pub(in crate::sandbox) fn payload(
        self,
        header: Header,
        offset: u32,
        length: u32,
        word: u32,
    ) -> Expressions {
        self.and("payload", move |data| {
            data.network_number(1, FIRST_WORD + word)
                .network_number(2, header as u32)
                .network_number(3, offset)
                .network_number(4, length)
        })
    }

    pub(in crate::sandbox) fn equals(self, word: u32, value: Vec<u8>) -> Expressions {
        self.compare(word, Comparison::Equal, value)
    }

    fn compare(self, word: u32, comparison: Comparison, value: Vec<u8>) -> Expressions {
        self.and("cmp", move |data| {
            data.network_number(1, FIRST_WORD + word)
                .network_number(2, comparison as u32)
                .nest(3, |attribute| attribute.bytes(NFTA_DATA_VALUE, &value))
        })
    }

    fn mask(self, word: u32, mask: [u8; 4]) -> Expressions {
        self.and("bitwise", move |data| {
            data.network_number(1, FIRST_WORD + word)
                .network_number(2, FIRST_WORD + word)
                .network_number(3, 4)
                .nest(4, |value| value.bytes(NFTA_DATA_VALUE, &mask))
                .nest(5, |value| value.bytes(NFTA_DATA_VALUE, &[0; 4]))
        })
    }

    /// Whether the address at `offset` of the IPv4 header lies in `range`.
    pub(in crate::sandbox) fn within(self, offset: u32, range: Range) -> Expressions {
        self.in_range(offset, Comparison::Equal, range)
    }

    pub(in crate::sandbox) fn outside(self, offset: u32, range: Range) -> Expressions {
        self.in_range(offset, Comparison::NotEqual, range)
    }

    fn in_range(self, offset: u32, comparison: Comparison, range: Range) -> Expressions {
        let first = (range.address.to_bits() & range.mask()).to_be_bytes();
        self.payload(Header::Network, offset, 4, 0).mask(0, range.mask().to_be_bytes()).compare(
            0,
            comparison,
            first.to_vec(),
        )
    }

    /// Whether the packet comes in, or goes out, by the interface of this name.
    pub(in crate::sandbox) fn by(self, key: Meta, name: &str) -> Expressions {
        self.meta(key, 0).equals(0, interface_name(name).to_vec())
    }

    /// Whether connection tracking has set one of these bits.
    pub(in crate::sandbox) fn ct_has(self, key: Ct, bits: u32) -> Expressions {
        self.and("ct", move |data| data.network_number(1, FIRST_WORD).network_number(2, key as u32))
            .mask(0, bits.to_ne_bytes())
            .compare(0, Comparison::NotEqual, vec![0; 4])
    }

    /// Whether the packet is for an address of this machine.
    pub(in crate::sandbox) fn for_this_machine(self) -> Expressions {
        const NFT_FIB_RESULT_ADDRTYPE: u32 = 3;
        const NFTA_FIB_F_DADDR: u32 = 2;
        const RTN_LOCAL: u32 = 2;
        self.and("fib", |data| {
            data.network_number(1, FIRST_WORD)
                .network_number(2, NFT_FIB_RESULT_ADDRTYPE)
                .network_number(3, NFTA_FIB_F_DADDR)
        })
        .equals(0, RTN_LOCAL.to_ne_bytes().to_vec())
    }

    /// Whether the words from `word` on are a key of the set.
    pub(in crate::sandbox) fn keyed_in(self, set: &'static str, word: u32) -> Expressions {
        self.and("lookup", move |data| data.text(1, set).network_number(2, FIRST_WORD + word))
    }

    /// As [`Expressions::keyed_in`], and has what the key stands for in the words from `value` on.
    pub(in crate::sandbox) fn look_up(self, map: &'static str, word: u32, value: u32) -> Expressions {
        self.and("lookup", move |data| {
            data.text(1, map).network_number(2, FIRST_WORD + word).network_number(3, FIRST_WORD + value)
        })
    }

    /// Sends the packet to the IPv4 address in word `address` and the port in the word after it.
    pub(in crate::sandbox) fn dnat(self, address: u32) -> Expressions {
        const NFT_NAT_DNAT: u32 = 1;
        const NFPROTO_IPV4: u32 = 2;
        self.and("nat", move |data| {
            data.network_number(1, NFT_NAT_DNAT)
                .network_number(2, NFPROTO_IPV4)
                .network_number(3, FIRST_WORD + address)
                .network_number(5, FIRST_WORD + address + 1)
        })
    }

    pub(in crate::sandbox) fn masquerade(self) -> Expressions {
        self.and("masq", |none| none)
    }

    pub(in crate::sandbox) fn accept(self) -> Expressions {
        self.verdict(NF_ACCEPT, None)
    }

    pub(in crate::sandbox) fn drop(self) -> Expressions {
        self.verdict(NF_DROP, None)
    }

    pub(in crate::sandbox) fn jump(self, chain: &'static str) -> Expressions {
        self.verdict(NFT_JUMP, Some(chain))
    }

    fn verdict(self, code: u32, chain: Option<&'static str>) -> Expressions {
        self.and("immediate", move |data| {
            data.network_number(1, NFT_REG_VERDICT).nest(2, |value| {
                value.nest(NFTA_DATA_VERDICT, |verdict| {
                    let verdict = verdict.network_number(NFTA_VERDICT_CODE, code);
                    match chain {
                        Some(chain) => verdict.text(NFTA_VERDICT_CHAIN, chain),
                        None => verdict,
                    }
                })
            })
        })
    }
}

/// As registers and keys hold it: filled up with zeroes.
pub(in crate::sandbox) fn interface_name(name: &str) -> [u8; INTERFACE_NAME] {
    let mut bytes = [0; INTERFACE_NAME];
    let length = name.len().min(INTERFACE_NAME - 1);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}
