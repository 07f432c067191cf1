//! The control socket up to a caller's first request, which opens a session.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::attach;
use super::enter::TOO_LATE;
use super::event_loop::{self, Shim};
use super::session::{self, Refusal, Session};
use crate::rundir::control::{Answer, LINE_LIMIT, Request};
use crate::sandbox::sys::scm;

/// Callers that may be on the line at once; beyond, those who have said nothing go, and others wait in the socket's
/// backlog.
const CALLERS_LIMIT: usize = 64;
/// stdin, stdout and stderr.
const DESCRIPTORS_LIMIT: usize = 3;

/// A caller that has not said yet what it wants.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Option<UnixStream>,
    text: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Connection {
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_ref().expect("closed connections are dropped before the next poll").as_fd()
    }
}

/// Whether somebody more can be served. As long as not, knocks are not heard.
pub(super) fn has_room(shim: &Shim) -> bool {
    shim.sessions.len() < CALLERS_LIMIT
}

pub(super) fn accept(shim: &mut Shim) {
    while shim.sessions.len() < CALLERS_LIMIT {
        let Ok((stream, _)) = shim.at.control.accept() else { return };
        if shim.connections.len() + shim.sessions.len() >= CALLERS_LIMIT && !shim.connections.is_empty() {
            // Who has nothing to say makes room for who may have.
            drop(shim.connections.remove(0));
        }
        // The socket is 0600 in a 0700 directory: who got here is root or the user this pod belongs to.
        if stream.set_nonblocking(true).is_ok() {
            shim.connections.push(Connection {
                stream: Some(stream),
                text: Vec::new(),
                descriptors: Vec::new(),
            });
        }
    }
}

/// Takes what a caller has sent; its first whole line is its request.
pub(super) fn serve(shim: &mut Shim, at: usize) {
    let Some(connection) = shim.connections.get_mut(at) else { return };
    let Some(stream) = connection.stream.take() else { return };
    match read(&stream, connection) {
        Ok(Heard::Part) => connection.stream = Some(stream),
        Ok(Heard::Request(request)) => {
            let descriptors = std::mem::take(&mut connection.descriptors);
            open(shim, stream, request, descriptors);
        }
        Ok(Heard::Nonsense(why)) => answer(&stream, &Answer::Refused { why: why.to_owned() }),
        Ok(Heard::End) | Err(_) => {}
    }
}

enum Heard {
    Part,
    Request(Request),
    Nonsense(&'static str),
    End,
}

fn read(stream: &UnixStream, connection: &mut Connection) -> io::Result<Heard> {
    let mut buffer = [0; 4096];
    let received = match scm::receive(stream, &mut buffer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Part),
        received => received?,
    };
    connection.descriptors.extend(received.descriptors);
    connection.text.extend_from_slice(&buffer[..received.bytes]);
    if connection.text.len() > LINE_LIMIT || connection.descriptors.len() > DESCRIPTORS_LIMIT {
        return Ok(Heard::Nonsense("the request is too large"));
    }
    if let Some(line) = take_line(&mut connection.text) {
        return Ok(match serde_json::from_slice(&line) {
            Ok(request) => Heard::Request(request),
            Err(_) => Heard::Nonsense("the request is not one this droppod knows"),
        });
    }
    Ok(if received.bytes == 0 { Heard::End } else { Heard::Part })
}

fn open(shim: &mut Shim, stream: UnixStream, request: Request, descriptors: Vec<OwnedFd>) {
    match request {
        Request::Exec { container, argv, terminal } => {
            match session::exec(shim, &container, &argv, terminal, descriptors) {
                Ok(passage) => shim.sessions.push(Session::new(stream, passage)),
                Err(Refusal::TooLate) => answer(&stream, &Answer::Refused { why: TOO_LATE.to_owned() }),
                Err(Refusal::Why(why)) => answer(&stream, &Answer::Refused { why }),
            }
        }
        Request::Attach { container, input, terminal } => {
            attach::attach(shim, &stream, &attach::Wish { container, input, terminal }, descriptors);
        }
        Request::Stop(order) => event_loop::heed(shim, order),
        Request::Resize(_) | Request::Signal(_) => {
            answer(&stream, &Answer::Refused { why: "there is no session to do that to".to_owned() });
        }
    }
}

/// Takes the first line, without its newline, out of what was read.
pub(super) fn take_line(text: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let mut line: Vec<u8> = text.drain(..=end).collect();
    line.pop();
    Some(line)
}

pub(super) fn answer(stream: &UnixStream, answer: &Answer) {
    // One short line into an empty socket; a caller that does not read it is not waited for.
    drop(scm::send(stream, &line(answer), &[]));
}

pub(super) fn line(answer: &Answer) -> Vec<u8> {
    let mut text = serde_json::to_vec(answer).expect("an answer is plain data");
    text.push(b'\n');
    text
}
