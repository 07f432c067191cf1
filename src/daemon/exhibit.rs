//! Figures and health for whoever asks, by HTTP on a socket of this machine. What is shown is a copy of what the loop
//! has put up; a client that is slow, or asks for ever, keeps only a place among a few.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, watch};

use crate::metrics::{self, Figures};

/// Clients that are answered at once; others wait for their turn.
const PLACES: usize = 16;
/// From a client's call to its last byte.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request that is read.
const REQUEST_LIMIT: usize = 4096;
/// After a call that could not be taken, for want of descriptors.
const TRY_AGAIN: Duration = Duration::from_millis(100);
const BACKLOG: i32 = 64;

/// Where it is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    Loopback(SocketAddr),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("there is no path after `unix:`".to_owned())
            } else {
                Ok(Address::Unix(path.into()))
            };
        }
        let address: SocketAddr =
            text.parse().map_err(|_| "name unix:PATH or an address such as 127.0.0.1:9180".to_owned())?;
        if address.ip().is_loopback() {
            Ok(Address::Loopback(address))
        } else {
            Err(format!("{} can be reached from other machines; name a loopback address", address.ip()))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Loopback(address) => address.fmt(f),
        }
    }
}

/// What is put up after each pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Picture {
    pub(crate) figures: Figures,
    pub(crate) readiness: Readiness,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// No pass has been completed.
    #[default]
    Starting,
    Ready,
    /// The last pass could not see what is there.
    Blind,
}

#[derive(Debug)]
enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The name of a socket, removed with it.
#[derive(Debug)]
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays is taken over by the next watcher.
        drop(fs::remove_file(&self.0));
    }
}

/// Puts pictures up; the clients' side ends with the runtime.
#[derive(Debug)]
pub(super) struct Exhibit(watch::Sender<Picture>);

impl Exhibit {
    /// Within a runtime.
    pub(super) fn open(address: &Address) -> io::Result<Exhibit> {
        let (listener, name) = match address {
            Address::Unix(path) => {
                let listener = UnixListener::from_std(bind(path)?)?;
                (Listener::Unix(listener), Some(Socket(path.clone())))
            }
            Address::Loopback(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                (Listener::Tcp(TcpListener::from_std(listener)?), None)
            }
        };
        let (sender, receiver) = watch::channel(Picture::default());
        tokio::spawn(serve(listener, name, receiver));
        Ok(Exhibit(sender))
    }

    pub(super) fn put_up(&self, picture: Picture) {
        self.0.send_replace(picture);
    }
}

/// For its owner alone, also between its making and its use. What a watcher that is gone has left is replaced.
fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

async fn serve(listener: Listener, _name: Option<Socket>, pictures: watch::Receiver<Picture>) {
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let client: io::Result<Box<dyn Client>> = match &listener {
            Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Box::new(stream) as _),
            Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| Box::new(stream) as _),
        };
        let Ok(mut client) = client else {
            tokio::time::sleep(TRY_AGAIN).await;
            continue;
        };
        let pictures = pictures.clone();
        tokio::spawn(async move {
            // A client that goes away, or that is sent away, is no concern of anybody.
            drop(tokio::time::timeout(PATIENCE, converse(&mut client, &pictures)).await);
            drop(place);
        });
    }
}

/// Either kind of stream.
trait Client: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Client for S {}

async fn converse(client: &mut Box<dyn Client>, pictures: &watch::Receiver<Picture>) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_LIMIT {
        let mut part = [0; 1024];
        match client.read(&mut part).await? {
            0 => return Ok(()),
            count => request.extend_from_slice(&part[..count]),
        }
    }
    let answer = answer(&request, &pictures.borrow());
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

fn answer(request: &[u8], picture: &Picture) -> String {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let (code, kind, body) = match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => {
            let text = metrics::render(&picture.figures, env!("CARGO_PKG_VERSION"));
            ("200 OK", "text/plain; version=0.0.4; charset=utf-8", text)
        }
        (b"GET" | b"HEAD", b"/healthz") => ("200 OK", PLAIN, "ok\n".to_owned()),
        (b"GET" | b"HEAD", b"/readyz") => match picture.readiness {
            Readiness::Ready => ("200 OK", PLAIN, "ready\n".to_owned()),
            Readiness::Starting => {
                ("503 Service Unavailable", PLAIN, "no pass has been completed\n".to_owned())
            }
            Readiness::Blind => {
                ("503 Service Unavailable", PLAIN, "the last pass could not see what is there\n".to_owned())
            }
        },
        (b"GET" | b"HEAD", _) => {
            ("404 Not Found", PLAIN, "there are /metrics, /healthz and /readyz\n".to_owned())
        }
        (_, _) => ("405 Method Not Allowed", PLAIN, "GET or HEAD\n".to_owned()),
    };
    let length = body.len();
    let body = if method == b"HEAD" { "" } else { &body };
    format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_shown_anything() {
        assert_eq!("unix:/run/x".parse(), Ok(Address::Unix("/run/x".into())));
        for local in ["127.0.0.1:9180", "[::1]:9180", "127.8.8.8:1"] {
            assert!(matches!(local.parse(), Ok(Address::Loopback(_))), "{local}");
        }
        for wrong in ["0.0.0.0:9180", "[::]:9180", "192.0.2.1:80", "9180", "unix:", "localhost:9180"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn requests_are_answered_by_what_was_put_up_last() {
        let head = |request: &str, picture: &Picture| {
            answer(request.as_bytes(), picture).lines().next().unwrap_or_default().to_owned()
        };
        let mut picture = Picture::default();
        assert_eq!(head("GET /healthz HTTP/1.1\r\n\r\n", &picture), "HTTP/1.1 200 OK");
        assert_eq!(head("GET /readyz HTTP/1.1\r\n\r\n", &picture), "HTTP/1.1 503 Service Unavailable");
        picture.readiness = Readiness::Ready;
        assert_eq!(head("GET /readyz?verbose HTTP/1.0\r\n\r\n", &picture), "HTTP/1.1 200 OK");
        assert_eq!(head("GET / HTTP/1.1\r\n\r\n", &picture), "HTTP/1.1 404 Not Found");
        for odd in ["POST /metrics HTTP/1.1\r\n\r\n", "", "\u{0}\u{1}", "GET"] {
            assert_ne!(head(odd, &picture), "HTTP/1.1 200 OK", "{odd:?}");
        }
        let metrics = answer(b"GET /metrics HTTP/1.1\r\n\r\n", &picture);
        assert!(metrics.contains("\r\n\r\n# HELP droppod_info "), "{metrics}");
        assert!(answer(b"HEAD /metrics HTTP/1.1\r\n\r\n", &picture).ends_with("\r\n\r\n"));
    }
}
