//! Lists and mappings, handed over one value after the other.

use serde::de::value::StrDeserializer;
use serde::de::{Error as _, IntoDeserializer, MapAccess, SeqAccess};

use super::Decoder;
use super::refusal::Refusal;
use crate::manifest::node::{Entry, Node};

pub(super) struct Items<'de, 'p> {
    pub(super) items: std::iter::Enumerate<std::slice::Iter<'de, Node>>,
    pub(super) list: Decoder<'de, 'p>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Refusal;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal>
    where
        T: serde::de::DeserializeSeed<'de>,
    {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let at = self.list.at.index(index);
        seed.deserialize(Decoder { node, at: &at, around: self.list.around }).map(Some)
    }
}

pub(super) struct Fields<'de, 'p> {
    pub(super) entries: std::slice::Iter<'de, Entry>,
    /// The entry whose key was given out last.
    pub(super) value: Option<&'de Entry>,
    pub(super) map: Decoder<'de, 'p>,
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = Refusal;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal>
    where
        K: serde::de::DeserializeSeed<'de>,
    {
        self.value = self.entries.next();
        let Some(entry) = self.value else { return Ok(None) };
        let key: StrDeserializer<'de, Refusal> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T>(&mut self, seed: T) -> Result<T::Value, Refusal>
    where
        T: serde::de::DeserializeSeed<'de>,
    {
        let Some(entry) = self.value.take() else {
            return Err(Refusal::custom("a value was asked for twice"));
        };
        let at = self.map.at.entry(entry);
        seed.deserialize(Decoder { node: &entry.value, at: &at, around: self.map.around })
    }
}
