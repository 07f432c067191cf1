use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::model::handler::Scheme;

/// Answers so many callers in turn, and says what they asked.
struct Server {
    port: u16,
    asked: std::thread::JoinHandle<Vec<String>>,
}

fn serve(answers: &'static [&'static str]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut caller, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            read_head(&mut caller, &mut request)
                .map(|head| asked.push(String::from_utf8(head).unwrap()))
                .ok();
            caller.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    Server { port, asked }
}

fn ask(server: &Server, headers: &[(&str, &str)], judged: Judged) -> Verdict {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let target = Target::new(Scheme::Http, "127.0.0.1", server.port, "/healthz");
    get(target, &headers, judged, Deadline::within(Some(Duration::from_secs(20))))
}

#[test]
fn the_status_is_the_verdict() {
    let failed = |status| Verdict::Failure(format!("HTTP probe failed with statuscode: {status}"));
    for (answer, verdict) in [
        (&["HTTP/1.1 200 OK\r\n\r\n"], Verdict::Success),
        (&["HTTP/1.0 204 No Content\n\n"], Verdict::Success),
        (&["HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"], Verdict::Success),
        (
            &["HTTP/1.1 304 Not Modified\r\n\r\n"],
            Verdict::Warning("Probe terminated redirects, statuscode: 304".to_owned()),
        ),
        (&["HTTP/1.1 400 Bad Request\r\n\r\n"], failed(400)),
        (&["HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nno\n"], failed(503)),
    ] {
        assert_eq!(ask(&serve(answer), &[], Judged::ByAnswer), verdict, "{answer:?}");
    }
    let server = serve(&["HTTP/1.1 500 Oh\r\n\r\n"]);
    assert_eq!(ask(&server, &[], Judged::ByArrival), Verdict::Success, "a hook has arrived");
}

#[test]
fn what_is_no_answer_is_a_failure() {
    for answer in
        [&["\u{1b}[31mhello\r\n\r\n"], &["HTTP/1.1 2\r\n\r\n"], &["HTTP/2 200\r\n\r\n"], &["HTTP/1.1 200"]]
    {
        let verdict = ask(&serve(answer), &[], Judged::ByArrival);
        assert!(
            matches!(&verdict, Verdict::Failure(why) if why.ends_with("malformed HTTP response")),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_redirect_is_followed_on_the_same_host_only() {
    let server = serve(&["HTTP/1.1 302 Found\r\nLocation: /here\r\n\r\n", "HTTP/1.1 500 Oh\r\n\r\n"]);
    assert!(matches!(ask(&server, &[], Judged::ByAnswer), Verdict::Failure(_)));
    assert!(server.asked.join().unwrap()[1].starts_with("GET /here HTTP/1.1\r\n"));
    let server = serve(&["HTTP/1.1 301 Moved\r\nLocation: http://elsewhere.invalid/\r\n\r\n"]);
    assert!(matches!(ask(&server, &[], Judged::ByAnswer), Verdict::Warning(_)));
    let server = serve(&["HTTP/1.1 307 Again\r\nLocation: /\r\n\r\n"; 11]);
    let verdict = ask(&server, &[], Judged::ByAnswer);
    assert!(
        matches!(&verdict, Verdict::Failure(why) if why.ends_with("stopped after 10 redirects")),
        "{verdict:?}"
    );
}

#[test]
fn headers_are_sent_as_given_over_the_usual_ones() {
    let server = serve(&["HTTP/1.1 200 OK\r\n\r\n"]);
    let headers = [("host", "web.example"), ("X-A", "1"), ("X-A", "2"), ("User-Agent", "")];
    assert_eq!(ask(&server, &headers, Judged::ByAnswer), Verdict::Success);
    let asked = server.asked.join().unwrap().remove(0);
    let expected = "GET /healthz HTTP/1.1\r\nAccept: */*\r\nhost: web.example\r\nX-A: 1\r\nX-A: 2\r\n\
                    Connection: close\r\n\r\n";
    assert_eq!(asked, expected);
}

#[test]
fn a_header_cannot_smuggle_another() {
    let target = Target::new(Scheme::Http, "127.0.0.1", 1, "/");
    let smuggled = [("X".to_owned(), "a\r\nY: b".to_owned())];
    assert!(request(&target, &smuggled).is_err());
}

#[test]
fn a_server_that_says_nothing_is_not_waited_for_beyond_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = Target::new(Scheme::Http, "127.0.0.1", port, "/");
    let verdict = get(target, &[], Judged::ByAnswer, Deadline::within(Some(Duration::from_millis(50))));
    let message = format!(
        "Get \"http://127.0.0.1:{port}/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    );
    assert_eq!(verdict, Verdict::Failure(message));
}
