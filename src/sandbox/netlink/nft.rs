//! An nf_tables encoder for what pods need: tables, base chains, and rules made of a few expressions. Constants are
//! those of `linux/netfilter/nf_tables.h`.

use std::io;

use rustix::io::Errno;

use super::links::{NLM_F_CREATE, NLM_F_DUMP};
use super::message::{Attributes, Message, text_of};
use super::{Range, Socket};
use crate::sandbox::failure::cannot;

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFPROTO_IPV4: u8 = 2;
const NLM_F_APPEND: u16 = 0x800;

const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_NEWCHAIN: u16 = 3;
const NFT_MSG_NEWRULE: u16 = 6;
const NFT_MSG_DELRULE: u16 = 8;

const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;

/// A 16-byte register; the later ones are not needed.
const NFT_REG_1: u32 = 1;
const NF_INET_POST_ROUTING: u32 = 4;
/// `NF_IP_PRI_NAT_SRC`.
const PRIORITY_SOURCE_NAT: i32 = 100;
/// Offsets in the IPv4 header.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;

const POSTROUTING: &str = "postrouting";

/// The ruleset of the network namespace in which this was opened.
#[derive(Debug)]
pub(in crate::sandbox) struct Ruleset(Socket);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal = 0,
    NotEqual = 1,
}

impl Ruleset {
    pub(in crate::sandbox) fn open() -> io::Result<Ruleset> {
        Socket::open(Some(rustix::net::netlink::NETFILTER))
            .map(Ruleset)
            .map_err(|error| match error.raw_os_error() {
                // Built without nf_tables, or its module is not there to be loaded.
                Some(code) if code == Errno::PROTONOSUPPORT.raw_os_error() => {
                    io::ErrorKind::Unsupported.into()
                }
                Some(_) | None => error,
            })
            .map_err(|error| cannot("open a netfilter netlink socket", error))
    }

    /// Makes the table hide addresses of `range` behind the machine's own where they leave it. Replaces that rule
    /// in one go; whatever else the table holds stays.
    pub(in crate::sandbox) fn masquerade(&self, table: &str, range: Range) -> io::Result<()> {
        let chain = chain(table, POSTROUTING, NF_INET_POST_ROUTING, PRIORITY_SOURCE_NAT);
        let no_rules =
            about(NFT_MSG_DELRULE, 0).text(NFTA_RULE_TABLE, table).text(NFTA_RULE_CHAIN, POSTROUTING);
        let rule = rule(table, POSTROUTING, |rule| {
            let rule = within(rule, SOURCE, Comparison::Equal, range);
            let rule = within(rule, DESTINATION, Comparison::NotEqual, range);
            expression(rule, "masq", |none| none)
        });
        let new_table = about(NFT_MSG_NEWTABLE, NLM_F_CREATE).text(NFTA_TABLE_NAME, table);
        self.0
            .order_together(vec![new_table, chain, no_rules, rule])
            .map_err(|error| cannot(format!("write nf_tables table {table}"), error))
    }

    /// A table that is not there is as good as removed.
    pub(in crate::sandbox) fn remove(&self, table: &str) -> io::Result<()> {
        let remove = about(NFT_MSG_DELTABLE, 0).text(NFTA_TABLE_NAME, table);
        match self.0.order_together(vec![remove]) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot(format!("remove nf_tables table {table}"), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Names of the IPv4 tables.
    pub(in crate::sandbox) fn tables(&self) -> io::Result<Vec<String>> {
        let mut tables = Vec::new();
        let each = |body: &[u8]| {
            let attributes = Attributes::new(body.get(4..).unwrap_or_default());
            tables.extend(
                attributes.filter(|(kind, _)| *kind == NFTA_TABLE_NAME).map(|(_, name)| text_of(name)),
            );
        };
        self.0
            .ask(about(NFT_MSG_GETTABLE, NLM_F_DUMP), each)
            .map_err(|error| cannot("list nf_tables tables", error))?;
        Ok(tables)
    }
}

pub(super) fn begin() -> Message {
    Message::unacknowledged(NFNL_MSG_BATCH_BEGIN, &batch_header())
}

pub(super) fn end() -> Message {
    Message::unacknowledged(NFNL_MSG_BATCH_END, &batch_header())
}

/// `struct nfgenmsg`: family, version, resource in network byte order.
fn batch_header() -> [u8; 4] {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    [0, 0, high, low]
}

fn about(kind: u16, flags: u16) -> Message {
    Message::request(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, &[NFPROTO_IPV4, 0, 0, 0])
}

/// A chain of type nat.
fn chain(table: &str, name: &str, hook: u32, priority: i32) -> Message {
    about(NFT_MSG_NEWCHAIN, NLM_F_CREATE)
        .text(NFTA_CHAIN_TABLE, table)
        .text(NFTA_CHAIN_NAME, name)
        .nest(NFTA_CHAIN_HOOK, |inside| {
            inside.network_number(NFTA_HOOK_HOOKNUM, hook).bytes(NFTA_HOOK_PRIORITY, &priority.to_be_bytes())
        })
        .text(NFTA_CHAIN_TYPE, "nat")
}

fn rule(table: &str, chain: &str, expressions: impl FnOnce(Message) -> Message) -> Message {
    about(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
        .text(NFTA_RULE_TABLE, table)
        .text(NFTA_RULE_CHAIN, chain)
        .nest(NFTA_RULE_EXPRESSIONS, expressions)
}

fn expression(rule: Message, name: &str, data: impl FnOnce(Message) -> Message) -> Message {
    rule.nest(NFTA_LIST_ELEM, |element| element.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data))
}

/// Whether the address at `offset` of the IPv4 header lies in `range`.
fn within(rule: Message, offset: u32, comparison: Comparison, range: Range) -> Message {
    const NETWORK_HEADER: u32 = 1;
    let mask = range.mask();
    let first = (range.address.to_bits() & mask).to_be_bytes();
    // payload: 1 destination register, 2 base, 3 offset, 4 length
    let rule = expression(rule, "payload", |data| {
        data.network_number(1, NFT_REG_1)
            .network_number(2, NETWORK_HEADER)
            .network_number(3, offset)
            .network_number(4, 4)
    });
    // bitwise: 1 source register, 2 destination register, 3 length, 4 mask, 5 xor
    let rule = expression(rule, "bitwise", |data| {
        data.network_number(1, NFT_REG_1)
            .network_number(2, NFT_REG_1)
            .network_number(3, 4)
            .nest(4, |value| value.bytes(NFTA_DATA_VALUE, &mask.to_be_bytes()))
            .nest(5, |value| value.bytes(NFTA_DATA_VALUE, &[0; 4]))
    });
    // cmp: 1 source register, 2 operator, 3 value
    expression(rule, "cmp", |data| {
        data.network_number(1, NFT_REG_1)
            .network_number(2, comparison as u32)
            .nest(3, |value| value.bytes(NFTA_DATA_VALUE, &first))
    })
}
