//! An nf_tables encoder for what pods need: tables, chains, rules of a few expressions, sets and maps. Constants are
//! those of `linux/netfilter/nf_tables.h`.

mod expression;
mod set;

use std::io;

use rustix::io::Errno;

use super::Socket;
use super::links::{NLM_F_CREATE, NLM_F_DUMP};
use super::message::{Attributes, Message, text_of};
use crate::sandbox::failure::cannot;

pub(in crate::sandbox) use expression::{Ct, Expressions, Header, Meta, interface_name};
pub(in crate::sandbox) use set::{Element, Set, Type};

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
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
const NFTA_DATA_VALUE: u16 = 1;

/// The ruleset of the network namespace in which this was opened.
#[derive(Debug)]
pub(in crate::sandbox) struct Ruleset(Socket);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Family {
    Ip = 2,
    Bridge = 7,
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Family::Ip => "ip",
            Family::Bridge => "bridge",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Table<'a> {
    pub(in crate::sandbox) family: Family,
    pub(in crate::sandbox) name: &'a str,
}

/// Where the kernel calls a chain. The IPv4 and the bridge family number them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Hook {
    Prerouting = 0,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum ChainType {
    Filter,
    Nat,
}

/// What makes a chain one that packets come to by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Base {
    pub(in crate::sandbox) kind: ChainType,
    pub(in crate::sandbox) hook: Hook,
    pub(in crate::sandbox) priority: i32,
}

/// One change of the ruleset, in force once all that it is ordered with is.
#[derive(Debug)]
pub(in crate::sandbox) struct Change(Message);

impl<'a> Table<'a> {
    /// One that is there already stays as it is; so do chains and sets.
    pub(in crate::sandbox) fn make(self) -> Change {
        Change(self.about(NFT_MSG_NEWTABLE, NLM_F_CREATE).text(NFTA_TABLE_NAME, self.name))
    }

    pub(in crate::sandbox) fn delete(self) -> Change {
        Change(self.about(NFT_MSG_DELTABLE, 0).text(NFTA_TABLE_NAME, self.name))
    }

    /// A chain with these rules and no others.
    pub(in crate::sandbox) fn chain(
        self,
        name: &str,
        base: Option<Base>,
        rules: Vec<Expressions>,
    ) -> Vec<Change> {
        let chain = self
            .about(NFT_MSG_NEWCHAIN, NLM_F_CREATE)
            .text(NFTA_CHAIN_TABLE, self.name)
            .text(NFTA_CHAIN_NAME, name);
        let chain = match base {
            Some(Base { kind, hook, priority }) => chain
                .nest(NFTA_CHAIN_HOOK, |inside| {
                    inside
                        .network_number(NFTA_HOOK_HOOKNUM, hook as u32)
                        .bytes(NFTA_HOOK_PRIORITY, &priority.to_be_bytes())
                })
                .text(NFTA_CHAIN_TYPE, kind.name()),
            None => chain,
        };
        let no_rules =
            self.about(NFT_MSG_DELRULE, 0).text(NFTA_RULE_TABLE, self.name).text(NFTA_RULE_CHAIN, name);
        let rules = rules.into_iter().map(|expressions| {
            self.about(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND)
                .text(NFTA_RULE_TABLE, self.name)
                .text(NFTA_RULE_CHAIN, name)
                .nest(NFTA_RULE_EXPRESSIONS, |list| expressions.write(list))
        });
        [chain, no_rules].into_iter().chain(rules).map(Change).collect()
    }

    /// `struct nfgenmsg`: family, version, resource.
    fn about(self, kind: u16, flags: u16) -> Message {
        about(self.family, kind, flags)
    }
}

impl ChainType {
    fn name(self) -> &'static str {
        match self {
            ChainType::Filter => "filter",
            ChainType::Nat => "nat",
        }
    }
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

    /// Makes all of the changes in one go, or none.
    pub(in crate::sandbox) fn apply(&self, changes: Vec<Change>) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.0.order_together(changes.into_iter().map(|Change(message)| message).collect())
    }

    /// Whether the kernel would make these changes. It makes none: a batch without its end is undone.
    pub(in crate::sandbox) fn would_take(&self, changes: Vec<Change>) -> io::Result<()> {
        self.0.try_together(changes.into_iter().map(|Change(message)| message).collect())
    }

    /// Tables that are not there are as good as removed. Those that are go together: each batch waits for the kernel's
    /// readers, also one that comes to nothing.
    pub(in crate::sandbox) fn remove(&self, tables: &[Table<'_>]) -> io::Result<()> {
        let mut present = Vec::new();
        for table in tables {
            if self.has(*table)? {
                present.push(*table);
            }
        }
        match self.apply(present.iter().map(|table| table.delete()).collect()) {
            // Somebody else has removed one of them.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                present.iter().try_for_each(|table| self.remove_one(*table))
            }
            Err(error) => Err(cannot("remove nf_tables tables", error)),
            Ok(()) => Ok(()),
        }
    }

    fn has(&self, table: Table<'_>) -> io::Result<bool> {
        match self.tables(table.family) {
            // A kernel without this family has no table of it.
            Err(error) if is_unsupported(&error) => Ok(false),
            tables => Ok(tables?.iter().any(|name| name == table.name)),
        }
    }

    fn remove_one(&self, table: Table<'_>) -> io::Result<()> {
        match self.apply(vec![table.delete()]) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(cannot(format!("remove nf_tables table {}", table.name), error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Names of the tables of a family.
    pub(in crate::sandbox) fn tables(&self, family: Family) -> io::Result<Vec<String>> {
        let mut tables = Vec::new();
        let each = |body: &[u8]| {
            let attributes = Attributes::new(body.get(4..).unwrap_or_default());
            tables.extend(
                attributes.filter(|(kind, _)| *kind == NFTA_TABLE_NAME).map(|(_, name)| text_of(name)),
            );
        };
        self.0
            .ask(about(family, NFT_MSG_GETTABLE, NLM_F_DUMP), each)
            .map_err(|error| cannot("list nf_tables tables", error))?;
        Ok(tables)
    }

    /// What a set holds. One that is not there holds nothing.
    pub(in crate::sandbox) fn elements(&self, table: Table<'_>, set: &str) -> io::Result<Vec<Element>> {
        let mut elements = Vec::new();
        match self.0.ask(set::list(table, set), |body| elements.extend(set::read(body))) {
            Ok(()) => Ok(elements),
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_unsupported(&error) => Ok(Vec::new()),
            Err(error) => Err(cannot(format!("list set {set} of nf_tables table {}", table.name), error)),
        }
    }
}

/// Whether the kernel is built without what was asked for.
pub(in crate::sandbox) fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error().is_some_and(|code| [libc::EOPNOTSUPP, libc::EAFNOSUPPORT].contains(&code))
}

pub(super) fn begin() -> Message {
    Message::unacknowledged(NFNL_MSG_BATCH_BEGIN, &batch_header())
}

pub(super) fn end() -> Message {
    Message::unacknowledged(NFNL_MSG_BATCH_END, &batch_header())
}

/// `struct nfgenmsg` with the resource in network byte order.
fn batch_header() -> [u8; 4] {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    [0, 0, high, low]
}

fn about(family: Family, kind: u16, flags: u16) -> Message {
    Message::request(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, &[family as u8, 0, 0, 0])
}
