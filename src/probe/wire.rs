//! A connection that ends at a deadline, plain or by TLS. Certificates are not looked at, as by the kubelet: a probe
//! goes to an address, which no certificate names.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use crate::model::handler::Scheme;
use crate::model::time::Moment;
use crate::sandbox::sys::clock;

#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("lookup {host}: {}", words(.source))]
    Lookup { host: String, source: io::Error },
    #[error("lookup {host}: no such host")]
    NoAddress { host: String },
    #[error("dial tcp {address}: i/o timeout")]
    DialTimeout { address: SocketAddr },
    #[error("dial tcp {address}: connect: {}", words(.source))]
    Dial { address: SocketAddr, source: io::Error },
    #[error("tls: {0}")]
    Tls(#[from] rustls::Error),
    #[error("tls: {0} is no name of a server")]
    ServerName(String),
}

/// The kernel's answer without its number, in lower case.
pub(super) fn words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "unexpected EOF".to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// None: whenever the kernel gives up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Option<Moment>);

impl Deadline {
    pub(super) fn within(timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.map(|timeout| clock::boot() + timeout))
    }

    fn remaining(self) -> io::Result<Option<Duration>> {
        match self.0.map(|at| at - clock::boot()) {
            Some(none) if none.is_zero() => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

/// The first of a host's addresses that takes the connection.
pub(super) fn dial(host: &str, port: u16, deadline: Deadline) -> Result<TcpStream, WireError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (bare, port)
        .to_socket_addrs()
        .map_err(|source| WireError::Lookup { host: host.to_owned(), source })?;
    let mut last = WireError::NoAddress { host: host.to_owned() };
    for address in addresses {
        match connect(address, deadline) {
            Ok(stream) => return Ok(stream),
            Err(source) if is_timeout(&source) => last = WireError::DialTimeout { address },
            Err(source) => last = WireError::Dial { address, source },
        }
    }
    Err(last)
}

fn connect(address: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
    match deadline.remaining()? {
        Some(left) => TcpStream::connect_timeout(&address, left),
        None => TcpStream::connect(address),
    }
}

/// A socket tells the end of its patience as `WouldBlock`.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// A socket each of whose waits ends at the deadline.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    deadline: Deadline,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.deadline.remaining()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.deadline.remaining()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

pub(super) enum Wire {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Wire {
    /// `protocol` is what TLS is told that will be spoken.
    pub(super) fn open(
        scheme: Scheme,
        host: &str,
        port: u16,
        protocol: &[u8],
        deadline: Deadline,
    ) -> Result<Wire, WireError> {
        let timed = Timed { stream: dial(host, port, deadline)?, deadline };
        match scheme {
            Scheme::Http => Ok(Wire::Plain(timed)),
            Scheme::Https => {
                let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(bare).map_err(|_| WireError::ServerName(host.to_owned()))?;
                let connection = ClientConnection::new(Arc::new(config(protocol)?), name)?;
                Ok(Wire::Tls(Box::new(StreamOwned::new(connection, timed))))
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

fn config(protocol: &[u8]) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let anybody = Arc::new(Anybody(Arc::clone(&provider)));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// Takes any certificate.
struct Anybody(Arc<CryptoProvider>);

impl fmt::Debug for Anybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anybody")
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
