//! `grpc.health.v1.Health/Check`, by as much of HTTP/2 as one request and its answer need (RFC 9113).
//!
//! Headers are written without compression (RFC 7541, 6.2.2) and not read: what counts is the message that answers. A
//! server without the health service, or one that does not know the name, answers by headers alone.

use std::io::{self, Read, Write};

use crate::model::handler::{Scheme, Verdict};

use super::target::Target;
use super::wire::{Deadline, Wire, WireError, is_timeout, words};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PATH: &str = "/grpc.health.v1.Health/Check";
/// As every connection begins with; we never allow more.
const FRAME_LIMIT: usize = 16 * 1024;
/// Frames of an answer; a server that sends more talks of something else.
const FRAMES: usize = 64;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// The only one.
const STREAM: u32 = 1;

#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error("error: failed to connect service at \"{address}\": {source}")]
    Connect { address: String, source: WireError },
    #[error("timeout: health rpc did not complete in time")]
    Timeout,
    #[error("error: health rpc probe failed: {}", words(.0))]
    Io(io::Error),
    #[error("error: health rpc probe failed: the server does not speak HTTP/2")]
    NotHttp2,
    #[error(
        "error: health rpc probe failed: the server does not serve grpc.health.v1.Health, or does not know service {0:?}"
    )]
    NoAnswer(String),
}

impl From<io::Error> for CheckError {
    fn from(error: io::Error) -> CheckError {
        if is_timeout(&error) { CheckError::Timeout } else { CheckError::Io(error) }
    }
}

pub(super) fn check(scheme: Scheme, host: &str, port: u16, service: &str, deadline: Deadline) -> Verdict {
    match ask(scheme, host, port, service, deadline) {
        Ok(1) => Verdict::Success,
        Ok(status) => {
            let name = match status {
                0 => "UNKNOWN".to_owned(),
                2 => "NOT_SERVING".to_owned(),
                3 => "SERVICE_UNKNOWN".to_owned(),
                other => other.to_string(),
            };
            Verdict::Failure(format!("service unhealthy (responded with \"{name}\")"))
        }
        Err(error) => Verdict::Failure(error.to_string()),
    }
}

fn ask(scheme: Scheme, host: &str, port: u16, service: &str, deadline: Deadline) -> Result<u64, CheckError> {
    let address = Target::new(scheme, host, port, PATH).authority();
    let mut wire = Wire::open(scheme, host, port, b"h2", deadline)
        .map_err(|source| CheckError::Connect { address: address.clone(), source })?;
    let mut request = PREFACE.to_vec();
    frame(&mut request, SETTINGS, 0, 0, &[]);
    frame(&mut request, HEADERS, END_HEADERS, STREAM, &headers(scheme, &address));
    frame(&mut request, DATA, END_STREAM, STREAM, &message(service));
    wire.write_all(&request)?;
    wire.flush()?;
    read_answer(&mut wire)?.ok_or_else(|| CheckError::NoAnswer(service.to_owned()))
}

/// The status that the answer holds, if it holds one.
fn read_answer(wire: &mut (impl Read + Write)) -> Result<Option<u64>, CheckError> {
    let mut answer = Vec::new();
    for nth in 0..FRAMES {
        let frame = match read_frame(wire)? {
            Some(frame) => frame,
            None if nth == 0 => return Err(CheckError::NotHttp2),
            None => return Ok(None),
        };
        if nth == 0 && frame.kind != SETTINGS {
            return Err(CheckError::NotHttp2);
        }
        match (frame.kind, frame.stream) {
            (SETTINGS, 0) if frame.flags & ACK == 0 => reply(wire, SETTINGS, &[])?,
            (PING, 0) if frame.flags & ACK == 0 => reply(wire, PING, &frame.payload)?,
            (GOAWAY, 0) | (RST_STREAM, STREAM) => return Ok(None),
            (DATA, STREAM) => answer.extend_from_slice(frame.data()),
            _ => {}
        }
        if let Some(status) = status(&answer) {
            return Ok(Some(status));
        }
        let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        if frame.stream == STREAM && ends {
            return Ok(None);
        }
    }
    Ok(None)
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn data(&self) -> &[u8] {
        if self.flags & PADDED == 0 {
            return &self.payload;
        }
        let padding = self.payload.first().copied().unwrap_or(0);
        let end = self.payload.len().saturating_sub(padding.into());
        self.payload.get(1..end).unwrap_or_default()
    }
}

/// None at the end of the connection, and where something else than HTTP/2 begins.
fn read_frame(wire: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut head = [0; 9];
    match wire.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let [a, b, c, kind, flags, stream @ ..] = head;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    if length > FRAME_LIMIT {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    wire.read_exact(&mut payload)?;
    Ok(Some(Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload }))
}

fn reply(wire: &mut impl Write, kind: u8, payload: &[u8]) -> io::Result<()> {
    let mut answer = Vec::new();
    frame(&mut answer, kind, ACK, 0, payload);
    wire.write_all(&answer)?;
    wire.flush()
}

fn frame(into: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a payload of ours is short").to_be_bytes();
    into.extend_from_slice(&length[1..]);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream.to_be_bytes());
    into.extend_from_slice(payload);
}

fn headers(scheme: Scheme, authority: &str) -> Vec<u8> {
    let scheme = match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", scheme),
        (":path", PATH),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "kube-probe/1.37 (droppod)"),
    ] {
        block.push(0);
        for text in [name, value] {
            string(&mut block, text);
        }
    }
    block
}

/// RFC 7541, 5.2, without Huffman: a length with a prefix of 7 bits, then the bytes.
fn string(into: &mut Vec<u8>, text: &str) {
    let length = text.len();
    match u8::try_from(length) {
        Ok(short) if short < 127 => into.push(short),
        Ok(_) | Err(_) => {
            into.push(127);
            varint(into, length - 127);
        }
    }
    into.extend_from_slice(text.as_bytes());
}

/// Seven bits a byte, the least first: what HPACK continues a length with and protobuf writes every number as.
fn varint(into: &mut Vec<u8>, mut rest: usize) {
    while rest >= 128 {
        into.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    into.push(rest as u8);
}

/// `HealthCheckRequest { service }`, after gRPC's five bytes: not compressed, and its length.
fn message(service: &str) -> Vec<u8> {
    let mut request = Vec::new();
    if !service.is_empty() {
        request.push(0x0a);
        varint(&mut request, service.len());
        request.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(request.len()).expect("a service's name is short");
    [&[0][..], &length.to_be_bytes(), &request].concat()
}

/// Of a whole `HealthCheckResponse`; a field left out is zero.
fn status(answer: &[u8]) -> Option<u64> {
    let (prefix, rest) = answer.split_at_checked(5)?;
    let [0, length @ ..] = <[u8; 5]>::try_from(prefix).ok()? else { return None };
    let body = rest.get(..u32::from_be_bytes(length) as usize)?;
    let [0x08, value @ ..] = body else { return body.is_empty().then_some(0) };
    let mut status = 0;
    for (nth, byte) in value.iter().take(9).enumerate() {
        status |= u64::from(byte & 127) << (7 * nth);
        if byte & 128 == 0 {
            return Some(status);
        }
    }
    None
}

#[cfg(test)]
mod tests;
