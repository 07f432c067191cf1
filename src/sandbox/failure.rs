//! What the kernel refused, told with what was being done.

use std::io;

#[derive(Debug, thiserror::Error)]
#[error("cannot {doing}")]
struct Failure {
    doing: String,
    source: io::Error,
}

/// Puts what was being done to what before the kernel's answer, whose kind is kept.
pub(super) fn cannot(doing: impl Into<String>, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Failure { doing: doing.into(), source })
}
