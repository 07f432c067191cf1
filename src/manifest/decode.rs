//! One deserializer over the tree, for every Kubernetes type. serde hands it each struct's list of fields, so it
//! tells unknown fields; it is told what each value should be, so it tells wrong types: both are written down and
//! decoding goes on with an empty value. What a type itself refuses (a time, say) ends an attempt; the place is
//! then made empty and the whole decoded again.

use std::cell::RefCell;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::fault::{Fault, MOST};
use super::node::{At, Entry, Kind, Node};
use super::text::Text;
use super::unknown::{Unknown, unknown};
use compound::{Fields, Items};
use refusal::{Refusal, plain_words};

mod compound;
mod refusal;

/// Attempts at one document; each finds at least one more mistake.
const ATTEMPTS: usize = 20;

/// What was found wrong while decoding.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) wrong: Vec<Fault>,
    pub(crate) unknown: Vec<Unknown>,
}

/// Decodes all of `at`, with empty values where something was wrong; nothing if too much was. `text` is for hints.
pub(crate) fn decode<T>(at: &At<'_>, text: Option<&Text<'_>>) -> (Option<T>, Findings)
where
    T: for<'de> Deserialize<'de> + Default,
{
    let Some(node) = at.node else { return (Some(T::default()), Findings::default()) };
    let mut holes = HashSet::new();
    let mut refused = Vec::new();
    for _ in 0..ATTEMPTS {
        let found = RefCell::new(Findings::default());
        let attempt =
            T::deserialize(Decoder { node, at, around: &Around { text, found: &found, holes: &holes } });
        let mut found = found.into_inner();
        match attempt {
            Ok(value) => {
                found.wrong.append(&mut refused);
                return (Some(value), found);
            }
            Err(Refusal { place, message }) => {
                let (hole, fault) = place.map_or_else(
                    || (std::ptr::from_ref(node), Fault::at(at, message, "here")),
                    |place| *place,
                );
                refused.push(fault);
                if !holes.insert(hole) {
                    break;
                }
            }
        }
    }
    (None, Findings { wrong: refused, unknown: Vec::new() })
}

/// The same for every value of a document.
struct Around<'p> {
    text: Option<&'p Text<'p>>,
    found: &'p RefCell<Findings>,
    /// Values that an earlier attempt could not take, by address.
    holes: &'p HashSet<*const Node>,
}

#[derive(Clone, Copy)]
struct Decoder<'de, 'p> {
    node: &'de Node,
    at: &'p At<'p>,
    around: &'p Around<'p>,
}

impl<'de> Decoder<'de, '_> {
    /// The value, empty where an earlier attempt failed.
    fn kind(&self) -> &'de Kind {
        if self.around.holes.contains(&std::ptr::from_ref(self.node)) { &Kind::Null } else { &self.node.kind }
    }

    /// Writes down that something else was expected; the caller goes on with an empty value.
    fn expected(&self, what: &str) {
        let found = self.node.noun();
        let mut fault =
            Fault::at(self.at, format!("expected {what}, found {found}"), format!("this is {found}"));
        fault.help = self.remedy(what);
        self.wrong(fault);
    }

    fn wrong(&self, fault: Fault) {
        let mut found = self.around.found.borrow_mut();
        if found.wrong.len() < MOST {
            found.wrong.push(fault);
        }
    }

    fn remedy(&self, what: &str) -> Option<String> {
        match (&self.node.kind, what) {
            (Kind::Bool(_), STRING) => {
                let word = self.around.text.map_or("", |text| text.slice(self.node.span.clone()));
                Some(format!("quote it: \"{word}\""))
            }
            (Kind::Number(_), STRING) => Some("put it in quotes".to_owned()),
            (Kind::Text(text), BOOLEAN) if matches!(text.as_str(), "true" | "false") => {
                Some("remove the quotes".to_owned())
            }
            (Kind::Bool(_) | Kind::Number(_) | Kind::Text(_), BOOLEAN) => {
                Some("write `true` or `false`".to_owned())
            }
            (Kind::Text(text), WHOLE) if text.parse::<i64>().is_ok() => Some("remove the quotes".to_owned()),
            (Kind::Text(text), WHOLE) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                let unit = if self.at.last_key().ends_with("Seconds") { "in seconds, " } else { "" };
                Some(format!("write the number alone, {unit}without a unit"))
            }
            (Kind::Bool(_) | Kind::Number(_) | Kind::Text(_), WHOLE) => {
                Some("write a whole number, in digits".to_owned())
            }
            (Kind::Map(entries), LIST) => Some(as_items(self.at.last_key(), entries).to_owned()),
            (Kind::Bool(_) | Kind::Number(_) | Kind::Text(_), LIST) => Some(
                "write a list, such as [\"first\", \"second\"], or one item a line, each beginning with `- `"
                    .to_owned(),
            ),
            (Kind::List(items), MAPPING) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
                Some("remove the `- `".to_owned())
            }
            (Kind::List(_), MAPPING) => {
                Some("write its fields as `name: value`, without brackets or dashes".to_owned())
            }
            (Kind::Text(text), MAPPING) if text.contains(':') && !text.contains(' ') => {
                Some("write a blank after the `:`".to_owned())
            }
            (Kind::Bool(_) | Kind::Number(_) | Kind::Text(_), MAPPING) => {
                Some("write its fields below it, indented, each as `name: value`".to_owned())
            }
            (Kind::List(_) | Kind::Map(_), STRING) => {
                Some("write one value; text that begins with a bracket goes in quotes".to_owned())
            }
            _ => None,
        }
    }

    /// Puts this value's place on a refusal that has none yet.
    fn placed<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.map_err(|refusal| match refusal.place {
            Some(_) => refusal,
            None => {
                let fault =
                    Fault::at(self.at, refusal.message.clone(), format!("this is {}", self.node.noun()));
                Refusal { place: Some(Box::new((std::ptr::from_ref(self.node), fault))), ..refusal }
            }
        })
    }

    fn whole_number<T>(&self) -> T
    where
        T: Default + TryFrom<i64>,
    {
        match self.kind() {
            Kind::Null => {}
            Kind::Number(number) if number.is_f64() => self.expected(WHOLE),
            Kind::Number(number) => match number.as_i64().and_then(|number| T::try_from(number).ok()) {
                Some(fits) => return fits,
                None => self.wrong(Fault::at(
                    self.at,
                    "the number is out of range",
                    "more than the field can hold",
                )),
            },
            Kind::Bool(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => self.expected(WHOLE),
        }
        T::default()
    }

    fn entries(&self) -> &'de [Entry] {
        match self.kind() {
            Kind::Map(entries) => entries,
            Kind::Null => &[],
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => {
                self.expected(MAPPING);
                &[]
            }
        }
    }
}

/// Lists whose items are a name and a value, which other formats write as a mapping.
const PAIRS: &[&str] = &["env", "httpHeaders", "sysctls"];

/// How a mapping becomes the list it stands for.
fn as_items(field: &str, entries: &[Entry]) -> &'static str {
    let is_named = entries.iter().any(|entry| entry.key == "name");
    let is_plain =
        |entry: &Entry| !matches!(entry.value.kind, Kind::List(_) | Kind::Map(_)) && entry.key != "value";
    if PAIRS.contains(&field) && !is_named && entries.iter().all(is_plain) {
        "write each as an item of two lines, `- name: NAME` and, indented, `value: VALUE`"
    } else {
        "begin each item with `- `"
    }
}

const STRING: &str = "a string";
const BOOLEAN: &str = "true or false";
const WHOLE: &str = "a whole number";
const LIST: &str = "a list";
const MAPPING: &str = "a mapping";

impl<'de, 'p> Deserializer<'de> for Decoder<'de, 'p> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let value = match self.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(truth) => visitor.visit_bool(*truth),
            Kind::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_i64(number),
                (None, Some(number), _) => visitor.visit_u64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or_default()),
            },
            Kind::Text(text) => visitor.visit_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate(), list: self }),
            Kind::Map(entries) => {
                visitor.visit_map(Fields { entries: entries.iter(), value: None, map: self })
            }
        };
        self.placed(value)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let truth = match self.kind() {
            Kind::Bool(truth) => *truth,
            Kind::Null => false,
            Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
                self.expected(BOOLEAN);
                false
            }
        };
        self.placed(visitor.visit_bool(truth))
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.placed(visitor.visit_i32(self.whole_number()))
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.placed(visitor.visit_i64(self.whole_number()))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let text = match self.kind() {
            Kind::Text(text) => text,
            Kind::Null => "",
            Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Map(_) => {
                self.expected(STRING);
                ""
            }
        };
        self.placed(visitor.visit_str(text))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if *self.kind() == Kind::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name == "Quantity" && *self.kind() == Kind::Null {
            let zero: StrDeserializer<'de, Refusal> = "0".into_deserializer();
            return visitor.visit_newtype_struct(zero);
        }
        let value = visitor.visit_newtype_struct(self).map_err(|refusal| match name {
            "Time" | "MicroTime" => {
                Refusal { message: format!("expected {}", plain_words(name)), place: None }
            }
            _ => refusal,
        });
        self.placed(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let items = match self.kind() {
            Kind::List(items) => items.as_slice(),
            Kind::Null => &[],
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) => {
                self.expected(LIST);
                &[]
            }
        };
        self.placed(visitor.visit_seq(Items { items: items.iter().enumerate(), list: self }))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let entries = self.entries();
        self.placed(visitor.visit_map(Fields { entries: entries.iter(), value: None, map: self }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let entries = self.entries();
        for entry in entries.iter().filter(|entry| !fields.contains(&entry.key.as_str())) {
            let mut found = self.around.found.borrow_mut();
            if found.unknown.len() < MOST {
                found.unknown.push(unknown(self.at, &self.at.entry(entry), fields));
            }
        }
        self.placed(visitor.visit_map(Fields { entries: entries.iter(), value: None, map: self }))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}
