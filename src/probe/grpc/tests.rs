use std::io::Cursor;

use super::*;

/// What a server sends, and what is sent to it.
struct Talk {
    sent: Cursor<Vec<u8>>,
    heard: Vec<u8>,
}

impl Read for Talk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.sent.read(buffer)
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answered(frames: &[(u8, u8, u32, &[u8])]) -> (Result<Option<u64>, CheckError>, Vec<u8>) {
    let mut sent = Vec::new();
    for (kind, flags, stream, payload) in frames {
        frame(&mut sent, *kind, *flags, *stream, payload);
    }
    let mut talk = Talk { sent: Cursor::new(sent), heard: Vec::new() };
    (read_answer(&mut talk), talk.heard)
}

const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

#[test]
fn the_status_is_read_among_what_else_a_server_says() {
    let (found, heard) = answered(&[
        (SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
        (SETTINGS, ACK, 0, &[]),
        (PING, 0, 0, b"12345678"),
        (HEADERS, END_HEADERS, STREAM, &[0x88]),
        (DATA, PADDED, STREAM, &[2, 0, 0, 0, 0, 2, 8, 0, 0]),
        (DATA, 0, STREAM, &[2]),
    ]);
    assert_eq!(found.unwrap(), Some(2));
    let mut acknowledged = Vec::new();
    frame(&mut acknowledged, SETTINGS, ACK, 0, &[]);
    frame(&mut acknowledged, PING, ACK, 0, b"12345678");
    assert_eq!(heard, acknowledged);
}

#[test]
fn an_answer_without_a_message_is_none() {
    for end in [
        (HEADERS, END_HEADERS | END_STREAM, STREAM, &[0x88][..]),
        (RST_STREAM, 0, STREAM, &[0, 0, 0, 8]),
        (GOAWAY, 0, 0, &[0; 8]),
        (DATA, END_STREAM, STREAM, &[1, 0, 0, 0, 2, 8, 1]),
    ] {
        assert_eq!(answered(&[(SETTINGS, 0, 0, &[]), end]).0.unwrap(), None, "{end:?}");
    }
    let empty = answered(&[(SETTINGS, 0, 0, &[]), (DATA, 0, STREAM, &[0; 5])]);
    assert_eq!(empty.0.unwrap(), Some(0), "UNKNOWN is not written");
}

#[test]
fn what_does_not_begin_with_settings_is_not_http_2() {
    assert!(matches!(answered(&[(DATA, 0, STREAM, SERVING)]).0, Err(CheckError::NotHttp2)));
    let mut talk =
        Talk { sent: Cursor::new(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), heard: Vec::new() };
    assert!(matches!(read_answer(&mut talk), Err(CheckError::NotHttp2)));
}

#[test]
fn long_names_are_written_by_their_length() {
    let mut text = Vec::new();
    string(&mut text, &"a".repeat(300));
    assert_eq!(text[..3], [127, 173, 1], "127 + 45 + 128");
    assert_eq!(message("ab"), [0, 0, 0, 0, 4, 10, 2, b'a', b'b']);
    assert_eq!(message(""), [0; 5]);
}
