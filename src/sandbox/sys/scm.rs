//! Bytes and descriptors over a unix socket, `SCM_RIGHTS`.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most descriptors that one message carries.
pub(crate) const DESCRIPTOR_LIMIT: usize = 8;

/// What one call received; no bytes mean that the other side has closed.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Close-on-exec.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Sends what the socket takes of `bytes`, the descriptors with the first of them. Says how many bytes that was;
/// the rest is sent without descriptors.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fits = descriptors.is_empty()
        || (descriptors.len() <= DESCRIPTOR_LIMIT
            && control.push(SendAncillaryMessage::ScmRights(descriptors)));
    if !fits {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Receives what has come, at most `buffer.len()` bytes and [`DESCRIPTOR_LIMIT`] descriptors.
///
/// # Errors
/// `InvalidData` if the other side sent more descriptors; those that arrived are closed.
pub(crate) fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTOR_LIMIT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = ancillary {
            descriptors.extend(received);
        }
    }
    // Padding may leave room for one more than was asked for.
    if message.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > DESCRIPTOR_LIMIT {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors in one message"));
    }
    Ok(Received { bytes: message.bytes, descriptors })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_arrives_with_its_bytes_and_is_not_inherited_further() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        assert_eq!(send(&here, b"take this", &[writer.as_fd()]).unwrap(), 9);
        drop(writer);

        let mut buffer = [0; 64];
        let received = receive(&there, &mut buffer).unwrap();
        assert_eq!(&buffer[..received.bytes], b"take this");
        let [descriptor] = received.descriptors.try_into().unwrap();
        assert!(rustix::io::fcntl_getfd(&descriptor).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        rustix::io::write(&descriptor, b"through it").unwrap();
        drop(descriptor);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through it");
    }

    #[test]
    fn more_descriptors_than_agreed_are_refused_on_both_sides() {
        let (here, there) = UnixStream::pair().unwrap();
        let many = [here.as_fd(); DESCRIPTOR_LIMIT + 1];
        assert_eq!(send(&here, b"x", &many).unwrap_err().kind(), io::ErrorKind::InvalidInput);

        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(32))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let flood = [here.as_fd(); 32];
        assert!(control.push(SendAncillaryMessage::ScmRights(&flood)));
        sendmsg(&here, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
        assert_eq!(receive(&there, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_closed_socket_is_told_by_no_bytes() {
        let (here, there) = UnixStream::pair().unwrap();
        drop(here);
        assert_eq!(receive(&there, &mut [0; 8]).unwrap().bytes, 0);
    }
}
