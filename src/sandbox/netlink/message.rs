//! Writing and reading netlink messages: a header, a fixed structure, then attributes, all in host byte order and
//! padded to four bytes (`netlink(7)`).

use std::io;

/// `struct nlmsghdr`: length, type, flags, sequence, port.
pub(super) const HEADER: usize = 16;
/// `struct nlattr`: length, type.
const ATTRIBUTE: usize = 4;

const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 1 << 15;
/// Without the flags for nesting and byte order.
const NLA_TYPE_MASK: u16 = 0x3fff;

#[derive(Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A request that the kernel acknowledges.
    pub(super) fn request(kind: u16, flags: u16, body: &[u8]) -> Message {
        Message::with_flags(kind, flags | NLM_F_REQUEST | NLM_F_ACK, body)
    }

    /// A request that is only answered if it is refused.
    pub(super) fn unacknowledged(kind: u16, body: &[u8]) -> Message {
        Message::with_flags(kind, NLM_F_REQUEST, body)
    }

    fn with_flags(kind: u16, flags: u16, body: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(body);
        Message(bytes)
    }

    pub(super) fn bytes(mut self, kind: u16, value: &[u8]) -> Message {
        let length = u16::try_from(ATTRIBUTE + value.len()).expect("attributes here are short");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad();
        self
    }

    pub(super) fn text(self, kind: u16, value: &str) -> Message {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(super) fn number(self, kind: u16, value: u32) -> Message {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// nf_tables has its numbers in network byte order.
    pub(super) fn network_number(self, kind: u16, value: u32) -> Message {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute made of attributes.
    pub(super) fn nest(mut self, kind: u16, inside: impl FnOnce(Message) -> Message) -> Message {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 2]);
        self.0.extend_from_slice(&(kind | NLA_F_NESTED).to_ne_bytes());
        let mut message = inside(self);
        let length = u16::try_from(message.0.len() - start).expect("attributes here are short");
        message.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        message
    }

    /// A structure inside of a nested attribute, before its attributes.
    pub(super) fn structure(mut self, bytes: &[u8]) -> Message {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).expect("messages here are short");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// One message of a datagram.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

impl Part<'_> {
    /// What an `NLMSG_ERROR` says; `None` if it is an acknowledgement.
    pub(super) fn error(&self) -> Option<io::Error> {
        let code = self.body.first_chunk().map_or(-libc::EBADMSG, |code| i32::from_ne_bytes(*code));
        (code != 0).then(|| io::Error::from_raw_os_error(-code))
    }
}

#[derive(Debug)]
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Parts<'a> {
        Parts(datagram)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let header: &[u8; HEADER] = self.0.first_chunk()?;
        let length = usize::try_from(number_at(header, 0)?).ok()?;
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let part = Part { kind, sequence: number_at(header, 8)?, body: self.0.get(HEADER..length)? };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(part)
    }
}

/// Types and values of attributes, up to the first that is cut short.
#[derive(Debug)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Attributes<'a> {
        Attributes(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let header: &[u8; ATTRIBUTE] = self.0.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let value = self.0.get(ATTRIBUTE..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|number| u32::from_ne_bytes(*number))
}

pub(super) fn text_of(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let message = Message::request(16, 0x400, &[7; 4])
            .text(3, "eth0")
            .nest(18, |inside| inside.text(1, "veth").number(2, 5));
        let bytes = message.finish(9);
        let [part] = Parts::new(&bytes).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((part.kind, part.sequence), (16, 9));
        let [name, info] = Attributes::new(&part.body[4..]).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((name.0, text_of(name.1)), (3, "eth0".to_owned()));
        let inside: Vec<u16> = Attributes::new(info.1).map(|(kind, _)| kind).collect();
        assert_eq!((info.0, inside), (18, vec![1, 2]));
    }

    #[test]
    fn a_message_that_is_cut_short_ends_the_reading() {
        let bytes = Message::request(16, 0, &[0; 16]).text(3, "eth0").finish(1);
        for length in 0..bytes.len() {
            assert_eq!(Parts::new(&bytes[..length]).count(), 0);
        }
        assert_eq!(Attributes::new(&[200, 0, 1, 0, 5]).count(), 0);
        assert_eq!(Attributes::new(&[0, 0, 1, 0]).count(), 0);
    }
}
