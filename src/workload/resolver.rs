//! The text of a pod's `/etc/resolv.conf`.

use std::fmt::Write;

use k8s_openapi::api::core::v1::PodDNSConfig;

use crate::api::PodSpec;

/// What a C library reads at most.
const NAMESERVERS: usize = 3;

#[derive(Default)]
struct Resolver {
    nameservers: Vec<String>,
    searches: Vec<String>,
    /// Name and value, `ndots` and `5`.
    options: Vec<(String, Option<String>)>,
}

/// `None` starts from nothing, every other policy from the machine's own resolver; `dnsConfig` is added to it.
pub(super) fn resolv_conf(spec: &PodSpec, host: &str) -> String {
    let alone = spec.dns_policy.as_deref() == Some("None");
    let Some(config) = &spec.dns_config else {
        return if alone { String::new() } else { host.to_owned() };
    };
    let mut resolver = if alone { Resolver::default() } else { Resolver::read(host) };
    resolver.add(config);
    resolver.text()
}

impl Resolver {
    fn read(text: &str) -> Resolver {
        let mut resolver = Resolver::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => resolver.nameservers.extend(words.next()),
                // The last of these lines counts, see resolv.conf(5).
                Some("search" | "domain") => resolver.searches = words.collect(),
                Some("options") => resolver.options.extend(words.map(|word| match word.split_once(':') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (word, None),
                })),
                Some(_) | None => {}
            }
        }
        resolver
    }

    fn add(&mut self, config: &PodDNSConfig) {
        for nameserver in config.nameservers.iter().flatten() {
            push_once(&mut self.nameservers, nameserver);
        }
        self.nameservers.truncate(NAMESERVERS);
        for search in config.searches.iter().flatten() {
            push_once(&mut self.searches, search);
        }
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            self.options.retain(|(known, _)| *known != name);
            self.options.push((name, option.value.clone().filter(|value| !value.is_empty())));
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            let _ = writeln!(text, "search {}", self.searches.join(" "));
        }
        for nameserver in &self.nameservers {
            let _ = writeln!(text, "nameserver {nameserver}");
        }
        if !self.options.is_empty() {
            text.push_str("options");
            for (name, value) in &self.options {
                let _ = match value {
                    Some(value) => write!(text, " {name}:{value}"),
                    None => write!(text, " {name}"),
                };
            }
            text.push('\n');
        }
        text
    }
}

fn push_once(list: &mut Vec<String>, item: &str) {
    if !list.iter().any(|known| known == item) {
        list.push(item.to_owned());
    }
}
