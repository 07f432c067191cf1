//! What a registry's token service means that gives no token: the client passes its words on, and not its status.

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Whoever asks may not pull this.
    Denied,
    Limited,
    /// It says neither, as who is in trouble.
    Trouble,
}

/// <https://distribution.github.io/distribution/spec/auth/token/>, and what services say that keep to no form.
const DENIALS: &[&str] = &[
    "denied",
    "unauthorized",
    "forbidden",
    "authentication required",
    "authorization required",
    "authentication failed",
    "auth failed",
    "incorrect username or password",
    "invalid username",
    "invalid credentials",
    "bad credentials",
];
const LIMITS: &[&str] = &["toomanyrequests", "too many requests", "rate limit"];

pub(super) fn refusal(said: &str) -> Refusal {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Code>,
    }
    #[derive(Deserialize)]
    struct Code {
        code: String,
    }
    // Where there are codes, what a person is told beside them does not count.
    let told = match serde_json::from_str::<Envelope>(said) {
        Ok(Envelope { errors }) if !errors.is_empty() => {
            errors.into_iter().map(|error| error.code).collect::<Vec<_>>().join("\n")
        }
        Ok(_) | Err(_) => said.to_owned(),
    };
    let told = told.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| told.contains(word));
    match (says(DENIALS), says(LIMITS)) {
        (true, _) => Refusal::Denied,
        (false, true) => Refusal::Limited,
        (false, false) => Refusal::Trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_so_is_a_denial() {
        for (said, meant) in [
            (r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#, Refusal::Denied),
            (r#"{"errors":[{"code":"UNAUTHORIZED","message":"","detail":null}]}"#, Refusal::Denied),
            (r#"{"details":"incorrect username or password"}"#, Refusal::Denied),
            ("<title>403 Forbidden</title>", Refusal::Denied),
            ("Auth failed.", Refusal::Denied),
            (r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#, Refusal::Limited),
            ("429 Too Many Requests", Refusal::Limited),
            (r#"{"errors":[{"code":"UNAVAILABLE","message":"no denied list"}]}"#, Refusal::Trouble),
            ("<h1>503 Service Temporarily Unavailable</h1>", Refusal::Trouble),
            (r#"{"errors":[]}"#, Refusal::Trouble),
            ("", Refusal::Trouble),
        ] {
            assert_eq!(refusal(said), meant, "{said}");
        }
    }
}
