//! Our own netlink, synchronous: a request is sent, its answers are there when the send returns. Only what pods
//! need of `rtnetlink(7)` and nf_tables.

mod links;
mod message;
pub(super) mod nft;
mod routes;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, socket_with};

pub(super) use links::{LOOPBACK, Link, Pair};
use message::{Message, Parts};
pub(super) use routes::{Address, Range, RouteTo};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// The kernel makes its answers at most this long, if the reader has room for them.
const ANSWER_LIMIT: usize = 32 * 1024;

/// A netlink socket; it acts on the network namespace in which it was made.
#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    sequence: Cell<u32>,
}

/// Links, addresses and routes of one network namespace.
#[derive(Debug)]
pub(super) struct Route(Socket);

impl Route {
    pub(super) fn open() -> io::Result<Route> {
        Socket::open(None)
            .map(Route)
            .map_err(|error| super::failure::cannot("open a route netlink socket", error))
    }
}

impl Socket {
    /// `None` is the protocol number 0, NETLINK_ROUTE.
    fn open(protocol: Option<Protocol>) -> io::Result<Socket> {
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Socket { fd, sequence: Cell::new(1) })
    }

    /// Asks for something to be done.
    fn order(&self, message: Message) -> io::Result<()> {
        self.ask(message, |_| {})
    }

    /// Asks, and hands the body of each answer to `each`.
    fn ask(&self, message: Message, each: impl FnMut(&[u8])) -> io::Result<()> {
        let sequence = self.send(vec![message])?;
        self.listen(sequence, sequence, each)
    }

    /// Asks for all of `messages` between a begin and an end, or none.
    fn order_together(&self, messages: Vec<Message>) -> io::Result<()> {
        let wanted = u32::try_from(messages.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let all = std::iter::once(nft::begin()).chain(messages).chain([nft::end()]).collect();
        let first = self.send(all)?;
        self.listen(first, first + wanted, |_| {})
    }

    /// As [`Socket::order_together`], up to the end that puts it in force: tells what would be refused.
    fn try_together(&self, messages: Vec<Message>) -> io::Result<()> {
        let wanted = u32::try_from(messages.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let first = self.send(std::iter::once(nft::begin()).chain(messages).collect())?;
        self.listen(first, first + wanted, |_| {})
    }

    /// Gives the number of the first message.
    fn send(&self, messages: Vec<Message>) -> io::Result<u32> {
        let first = self.sequence.get();
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend(message.finish(self.sequence.get()));
            self.sequence.set(self.sequence.get() + 1);
        }
        let sent = rustix::net::send(&self.fd, &bytes, SendFlags::empty())?;
        if sent == bytes.len() { Ok(first) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Takes the answers to requests `first` to `last`, until the last is acknowledged; the first refusal is the
    /// one told.
    fn listen(&self, first: u32, last: u32, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; ANSWER_LIMIT];
        let mut refused = Ok(());
        loop {
            // What the kernel has not said by now it will not say.
            let length = match rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return refused.and(Err(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(error.into()),
            };
            for part in Parts::new(&buffer[..length]) {
                if !(first..=last).contains(&part.sequence) {
                    continue;
                }
                match part.kind {
                    NLMSG_ERROR => {
                        if let Some(error) = part.error() {
                            refused = refused.and(Err(error));
                        }
                        if part.sequence == last {
                            return refused;
                        }
                    }
                    NLMSG_DONE => return refused,
                    _ => each(part.body),
                }
            }
        }
    }
}
