//! Sets and maps: named, kept by the kernel for as long as their table, changed element by element.

use super::super::links::{NLM_F_CREATE, NLM_F_DUMP};
use super::super::message::{Attributes, Message};
use super::{Change, NFTA_DATA_VALUE, NFTA_LIST_ELEM, Table};

const NFT_MSG_NEWSET: u16 = 9;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NFT_MSG_GETSETELEM: u16 = 13;
const NFT_MSG_DELSETELEM: u16 = 14;

const NFTA_SET_TABLE: u16 = 1;
const NFTA_SET_NAME: u16 = 2;
const NFTA_SET_FLAGS: u16 = 3;
const NFTA_SET_KEY_TYPE: u16 = 4;
const NFTA_SET_KEY_LEN: u16 = 5;
const NFTA_SET_DATA_TYPE: u16 = 6;
const NFTA_SET_DATA_LEN: u16 = 7;
const NFTA_SET_ID: u16 = 10;
const NFT_SET_MAP: u32 = 8;

const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
const NFTA_SET_ELEM_LIST_SET: u16 = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
const NFTA_SET_ELEM_KEY: u16 = 1;
const NFTA_SET_ELEM_DATA: u16 = 2;
const NFTA_SET_ELEM_USERDATA: u16 = 6;
/// How `nft` marks a comment in what the kernel keeps for it.
const COMMENT: u8 = 0;

/// A type as `nft` numbers it, and the bytes it takes in a key: a multiple of four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Type(u32, u32);

/// A set, or with `data` a map, whose keys are made of several parts.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Set {
    pub(in crate::sandbox) name: &'static str,
    pub(in crate::sandbox) key: &'static [Type],
    pub(in crate::sandbox) data: &'static [Type],
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Element {
    pub(in crate::sandbox) key: Vec<u8>,
    /// Empty in a set that is no map.
    pub(in crate::sandbox) data: Vec<u8>,
    pub(in crate::sandbox) comment: String,
}

impl Type {
    pub(in crate::sandbox) const IPV4: Type = Type(7, 4);
    pub(in crate::sandbox) const ETHER: Type = Type(9, 8);
    pub(in crate::sandbox) const PROTOCOL: Type = Type(12, 4);
    pub(in crate::sandbox) const PORT: Type = Type(13, 4);
    pub(in crate::sandbox) const INTERFACE: Type = Type(41, 16);
}

/// Number and length of parts taken together, six bits for each type.
fn together(types: &[Type]) -> (u32, u32) {
    types.iter().fold((0, 0), |(number, length), part| (number << 6 | part.0, length + part.1))
}

impl Table<'_> {
    /// `id` tells apart the sets that are made in one go.
    pub(in crate::sandbox) fn set(self, set: &Set, id: u32) -> Change {
        let (key, key_length) = together(set.key);
        let (data, data_length) = together(set.data);
        let message = self
            .about(NFT_MSG_NEWSET, NLM_F_CREATE)
            .text(NFTA_SET_TABLE, self.name)
            .text(NFTA_SET_NAME, set.name)
            .network_number(NFTA_SET_KEY_TYPE, key)
            .network_number(NFTA_SET_KEY_LEN, key_length)
            .network_number(NFTA_SET_ID, id);
        Change(match set.data {
            [] => message,
            _ => message
                .network_number(NFTA_SET_FLAGS, NFT_SET_MAP)
                .network_number(NFTA_SET_DATA_TYPE, data)
                .network_number(NFTA_SET_DATA_LEN, data_length),
        })
    }

    /// One that is there with the same data is as good as added; with other data it is `ResourceBusy`.
    pub(in crate::sandbox) fn add(self, set: &str, element: &Element) -> Change {
        Change(self.element(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, element))
    }

    pub(in crate::sandbox) fn take_out(self, set: &str, element: &Element) -> Change {
        Change(self.element(NFT_MSG_DELSETELEM, 0, set, element))
    }

    fn element(self, kind: u16, flags: u16, set: &str, element: &Element) -> Message {
        self.about(kind, flags)
            .text(NFTA_SET_ELEM_LIST_TABLE, self.name)
            .text(NFTA_SET_ELEM_LIST_SET, set)
            .nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
                list.nest(NFTA_LIST_ELEM, |item| {
                    let item = item.nest(NFTA_SET_ELEM_KEY, |key| key.bytes(NFTA_DATA_VALUE, &element.key));
                    if kind == NFT_MSG_DELSETELEM {
                        return item;
                    }
                    let item = match element.data.as_slice() {
                        [] => item,
                        data => item.nest(NFTA_SET_ELEM_DATA, |value| value.bytes(NFTA_DATA_VALUE, data)),
                    };
                    item.bytes(NFTA_SET_ELEM_USERDATA, &comment(&element.comment))
                })
            })
    }
}

/// Type, length and text with its final zero.
fn comment(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).expect("comments here are UIDs");
    [&[COMMENT, length], text.as_bytes(), &[0]].concat()
}

pub(super) fn list(table: Table<'_>, set: &str) -> Message {
    table
        .about(NFT_MSG_GETSETELEM, NLM_F_DUMP)
        .text(NFTA_SET_ELEM_LIST_TABLE, table.name)
        .text(NFTA_SET_ELEM_LIST_SET, set)
}

/// The elements of one part of a listing.
pub(super) fn read(body: &[u8]) -> Vec<Element> {
    let attributes = Attributes::new(body.get(4..).unwrap_or_default());
    let lists = attributes.filter(|(kind, _)| *kind == NFTA_SET_ELEM_LIST_ELEMENTS);
    lists.flat_map(|(_, list)| Attributes::new(list)).map(|(_, item)| read_one(item)).collect()
}

fn read_one(item: &[u8]) -> Element {
    let mut element = Element::default();
    for (kind, value) in Attributes::new(item) {
        match kind {
            NFTA_SET_ELEM_KEY => element.key = value_of(value),
            NFTA_SET_ELEM_DATA => element.data = value_of(value),
            NFTA_SET_ELEM_USERDATA => element.comment = comment_of(value),
            _ => {}
        }
    }
    element
}

fn value_of(data: &[u8]) -> Vec<u8> {
    let value = Attributes::new(data).find(|(kind, _)| *kind == NFTA_DATA_VALUE);
    value.map(|(_, value)| value.to_vec()).unwrap_or_default()
}

fn comment_of(userdata: &[u8]) -> String {
    match userdata {
        [COMMENT, length, rest @ ..] => {
            let text = rest.get(..usize::from(*length)).unwrap_or_default();
            super::text_of(text)
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_reads_back() {
        let uid = "00000000-0000-4000-8000-000000000000";
        assert_eq!(comment_of(&comment(uid)), uid);
        assert_eq!(comment_of(&[]), "");
        assert_eq!(comment_of(&[COMMENT, 9, b'x']), "");
    }

    #[test]
    fn parts_of_a_key_are_counted_together() {
        assert_eq!(together(&[Type::PROTOCOL, Type::PORT]), (12 << 6 | 13, 8));
        assert_eq!(together(&[Type::INTERFACE, Type::ETHER, Type::IPV4]).1, 28);
    }
}
