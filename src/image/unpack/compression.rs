//! gzip, zstd or plain, told by the first bytes: media types in the wild are not to be relied on.

use std::io::{self, BufRead, BufReader, Read};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A frame may ask for a window of gigabytes; 2^27 is what `zstd --long` makes.
const WINDOW_LOG: u32 = 27;

/// Whether content that starts so is to be decompressed.
pub(crate) fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(&GZIP) || start.starts_with(&ZSTD)
}

/// The content of `compressed`, streamed.
pub(crate) fn decompress<'a>(compressed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut compressed = BufReader::with_capacity(64 << 10, compressed);
    // A short first read would hide the mark; a file or a hashing reader fills the buffer unless it ends.
    let start = compressed.fill_buf()?;
    if start.starts_with(&GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(compressed)));
    }
    if start.starts_with(&ZSTD) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed)?;
        decoder.window_log_max(WINDOW_LOG)?;
        return Ok(Box::new(decoder));
    }
    Ok(Box::new(compressed))
}
