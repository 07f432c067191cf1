//! One GET by HTTP/1.1, judged as the kubelet judges it.

use std::io::{self, Read, Write};

use crate::model::handler::{Judged, Verdict};

use super::target::Target;
use super::wire::{Deadline, Wire, WireError, is_timeout, words};

const REDIRECTS: usize = 10;
/// Bytes of a response's head.
const HEAD_LIMIT: usize = 64 * 1024;
/// What is read of a body, so that a server need not see its answer refused.
const BODY_LIMIT: u64 = 10 * 1024;
/// Programs know the kubelet by this name and keep its requests out of their logs.
const USER_AGENT: &str = "kube-probe/1.37 (droppod)";

#[derive(Debug, thiserror::Error)]
enum GetError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
    Timeout,
    #[error("{}", words(.0))]
    Io(io::Error),
    #[error("malformed HTTP response")]
    Malformed,
    #[error("header field {0:?} has a line break in it")]
    Header(String),
}

impl From<io::Error> for GetError {
    fn from(error: io::Error) -> GetError {
        if is_timeout(&error) { GetError::Timeout } else { GetError::Io(error) }
    }
}

pub(super) fn get(
    mut target: Target,
    headers: &[(String, String)],
    judged: Judged,
    deadline: Deadline,
) -> Verdict {
    for _ in 0..=REDIRECTS {
        let head = match exchange(&target, headers, deadline) {
            Ok(head) => head,
            Err(error) => return Verdict::Failure(format!("Get \"{target}\": {error}")),
        };
        let Some(location) = head.location.filter(|_| matches!(head.status, 301 | 302 | 303 | 307 | 308))
        else {
            return judge(head.status, judged);
        };
        match target.join(&location) {
            Some(next) if next.host.eq_ignore_ascii_case(&target.host) => target = next,
            Some(_) => return judge(head.status, judged),
            None => {
                return Verdict::Failure(format!("Get \"{target}\": failed to parse Location header"));
            }
        }
    }
    Verdict::Failure(format!("Get \"{target}\": stopped after {REDIRECTS} redirects"))
}

fn judge(status: u16, judged: Judged) -> Verdict {
    match (judged, status) {
        (Judged::ByArrival, _) | (Judged::ByAnswer, 200..=299) => Verdict::Success,
        (Judged::ByAnswer, 300..=399) => {
            Verdict::Warning(format!("Probe terminated redirects, statuscode: {status}"))
        }
        (Judged::ByAnswer, _) => Verdict::Failure(format!("HTTP probe failed with statuscode: {status}")),
    }
}

struct Head {
    status: u16,
    location: Option<String>,
    length: Option<u64>,
}

fn exchange(target: &Target, headers: &[(String, String)], deadline: Deadline) -> Result<Head, GetError> {
    let request = request(target, headers)?;
    let mut wire = Wire::open(target.scheme, &target.host, target.port, b"http/1.1", deadline)?;
    wire.write_all(request.as_bytes())?;
    wire.flush()?;
    let mut read = Vec::new();
    loop {
        let text = read_head(&mut wire, &mut read)?;
        let head = parse(&text).ok_or(GetError::Malformed)?;
        // 1xx only announces the answer.
        if !(100..200).contains(&head.status) {
            let rest = head.length.unwrap_or(BODY_LIMIT).min(BODY_LIMIT);
            let rest = rest.saturating_sub(read.len() as u64);
            // Its status has said all there is to say.
            io::copy(&mut wire.take(rest), &mut io::sink()).ok();
            return Ok(head);
        }
    }
}

/// What is given counts over what every request has.
fn request(target: &Target, headers: &[(String, String)]) -> Result<String, GetError> {
    let mut text = format!("GET {} HTTP/1.1\r\n", target.path);
    let authority = target.authority();
    let usual = [("Host", authority.as_str()), ("User-Agent", USER_AGENT), ("Accept", "*/*")];
    for (name, value) in usual {
        if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    for (name, value) in headers {
        if name.chars().chain(value.chars()).any(|letter| matches!(letter, '\r' | '\n' | '\0')) {
            return Err(GetError::Header(name.clone()));
        }
        let unsent = value.is_empty() && ["user-agent", "accept"].contains(&&*name.to_ascii_lowercase());
        if !unsent && !name.eq_ignore_ascii_case("connection") {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str("Connection: close\r\n\r\n");
    Ok(text)
}

/// The lines up to the first empty one; what is read beyond stays in `read`.
fn read_head(wire: &mut impl Read, read: &mut Vec<u8>) -> Result<Vec<u8>, GetError> {
    loop {
        if let Some(end) = end_of_head(read) {
            let beyond = read.split_off(end);
            return Ok(std::mem::replace(read, beyond));
        }
        let mut buffer = [0; 4096];
        match wire.read(&mut buffer)? {
            0 if read.is_empty() => return Err(GetError::Io(io::Error::other("EOF"))),
            0 => return Err(GetError::Malformed),
            _ if read.len() > HEAD_LIMIT => return Err(GetError::Malformed),
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
}

fn end_of_head(read: &[u8]) -> Option<usize> {
    let after = |end: &[u8]| read.windows(end.len()).position(|part| part == end).map(|at| at + end.len());
    after(b"\r\n\r\n").into_iter().chain(after(b"\n\n")).min()
}

fn parse(head: &[u8]) -> Option<Head> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines();
    let (version, rest) = lines.next()?.split_once(' ')?;
    let status = rest.trim_start().get(..3)?.parse().ok()?;
    if !version.starts_with("HTTP/1.") {
        return None;
    }
    let mut head = Head { status, location: None, length: None };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "location" => head.location = Some(value.trim().to_owned()),
            "content-length" => head.length = value.trim().parse().ok(),
            _ => {}
        }
    }
    Some(head)
}

#[cfg(test)]
mod tests;
