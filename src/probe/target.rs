//! Where a request goes, and where a redirect leads from there.

use std::fmt;

use crate::model::handler::Scheme;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: Scheme,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// With its query, fit for a request line.
    pub(super) path: String,
}

impl Target {
    pub(super) fn new(scheme: Scheme, host: &str, port: u16, path: &str) -> Target {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Target { scheme, host, port, path: fit(path) }
    }

    /// What `Location` means, seen from here; none if nobody could go there.
    pub(super) fn join(&self, location: &str) -> Option<Target> {
        let location = location.trim();
        let (scheme, rest) = match location.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, Some(rest)),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, Some(rest)),
            Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => return None,
            Some(_) | None => (self.scheme, location.strip_prefix("//")),
        };
        if let Some(rest) = rest {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (host, port) = authority(&rest[..end], scheme)?;
            return Some(Target::new(scheme, &host, port, &rest[end..]));
        }
        let own = self.path.split('?').next().unwrap_or_default();
        let path = match location.chars().next() {
            Some('/') => location.to_owned(),
            Some('?') => format!("{own}{location}"),
            Some('#') | None => self.path.clone(),
            Some(_) => format!("{}/{location}", own.rsplit_once('/').map_or("", |(above, _)| above)),
        };
        Some(Target { path: fit(&path), ..self.clone() })
    }

    /// As a `Host` header names it.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

fn authority(text: &str, scheme: Scheme) -> Option<(String, u16)> {
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        Some(_) | None => (text, default),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// Begins with a slash, has no fragment, and nothing that would end a request line.
fn fit(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let mut fit = String::from(if path.starts_with('/') { "" } else { "/" });
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' => fit.push(byte.into()),
            other => fit.push_str(&format!("%{other:02X}")),
        }
    }
    fit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_where_it_says() {
        let from = Target::new(Scheme::Http, "10.0.0.2", 8080, "/a/b?c");
        let cases = [
            ("/x?y#z", "http://10.0.0.2:8080/x?y"),
            ("x", "http://10.0.0.2:8080/a/x"),
            ("?d", "http://10.0.0.2:8080/a/b?d"),
            ("", "http://10.0.0.2:8080/a/b?c"),
            ("//other/x", "http://other:80/x"),
            ("HTTPS://me:secret@[::1]/x", "https://[::1]:443/x"),
            ("http://10.0.0.2:9", "http://10.0.0.2:9/"),
        ];
        for (location, to) in cases {
            assert_eq!(
                from.join(location).map(|target| target.to_string()).as_deref(),
                Some(to),
                "{location}"
            );
        }
        for nowhere in ["ftp://host/x", "http:///x", "http://host:port/"] {
            assert_eq!(from.join(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn nothing_in_a_path_ends_the_request_line() {
        let target = Target::new(Scheme::Http, "::1", 80, "a b\r\nX: y/\u{e4}%41?q=1#f");
        assert_eq!(target.to_string(), "http://[::1]:80/a%20b%0D%0AX:%20y/%C3%A4%41?q=1");
    }
}
