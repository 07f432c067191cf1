//! Naming objects on the command line: `TYPE`, `TYPE NAME…`, `TYPE/NAME…`, `TYPE,TYPE`.

use crate::api::{EVENT, KINDS, KindName, kind_named};
use crate::model::object::ObjectKey;

use super::exit::Exit;
use super::failure::Failure;

/// One kind, and the name of one object of it or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) kind: &'static KindName,
    pub(crate) name: Option<&'a str>,
}

/// `all` is what kubectl shows for it: workloads, not what they are made of.
const ALL: [&str; 3] = ["Pod", "Job", "CronJob"];

/// Objects that somebody declares.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Target<'_>>, Failure> {
    Ok(targets(named(words, kind)?))
}

/// Objects that can be looked at: events too.
pub(crate) fn parse_shown(words: &[String]) -> Result<Vec<Target<'_>>, Failure> {
    let shown = |word: &str| if EVENT.is_named(word) { Ok(&EVENT) } else { kind(word) };
    Ok(targets(named(words, shown)?))
}

fn targets<'a>(named: Vec<(&'static KindName, Option<&'a str>)>) -> Vec<Target<'a>> {
    named.into_iter().map(|(kind, name)| Target { kind, name }).collect()
}

/// Kinds, as `kind` knows them, each with a name or with none.
pub(crate) fn named<K: Copy + PartialEq>(
    words: &[String],
    kind: impl Fn(&str) -> Result<K, Failure>,
) -> Result<Vec<(K, Option<&str>)>, Failure> {
    let Some(first) = words.first() else {
        return Err(
            Failure::new(Exit::Usage, "no kind is named").help("name one, such as `pods` or `pod/web`")
        );
    };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| parted(word, &kind)).collect();
    }
    let kinds = first.split(',').flat_map(|word| if word == "all" { ALL.to_vec() } else { vec![word] });
    let mut kinds: Vec<K> = kinds.map(&kind).collect::<Result<_, _>>()?;
    // `all,pods` names one of them twice.
    kinds = kinds
        .iter()
        .enumerate()
        .filter(|(at, kind)| !kinds[..*at].contains(kind))
        .map(|(_, kind)| *kind)
        .collect();
    let names = &words[1..];
    let named = kinds.into_iter().flat_map(|kind| {
        let all = names.is_empty().then_some((kind, None));
        all.into_iter().chain(names.iter().map(move |name| (kind, Some(name.as_str()))))
    });
    Ok(named.collect())
}

/// `TYPE/NAME`.
pub(crate) fn slashed(word: &str) -> Result<Target<'_>, Failure> {
    let (kind, name) = parted(word, kind)?;
    Ok(Target { kind, name })
}

fn parted<K>(word: &str, kind: impl Fn(&str) -> Result<K, Failure>) -> Result<(K, Option<&str>), Failure> {
    match word.split_once('/') {
        Some((of, name)) if !name.is_empty() => Ok((kind(of)?, Some(name))),
        _ => Err(Failure::new(Exit::Usage, format!("`{word}` does not name an object"))
            .help("either every word is TYPE/NAME, or the first is TYPE and the others are names")),
    }
}

/// What `logs`, `exec` and `attach` take: `web`, `pod/web`, or `job/report` for one of its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked<'a> {
    Pod(&'a str),
    Job(&'a str),
}

pub(crate) fn looked(word: &str) -> Result<Looked<'_>, Failure> {
    if !word.contains('/') {
        return Ok(Looked::Pod(word));
    }
    let Target { kind, name } = slashed(word)?;
    match (kind.kind, name) {
        ("Pod", Some(name)) => Ok(Looked::Pod(name)),
        ("Job", Some(name)) => Ok(Looked::Job(name)),
        _ => Err(Failure::new(Exit::Usage, format!("`{word}` is neither a pod nor a Job"))),
    }
}

/// Of an object that a manifest declares.
pub(crate) fn kind_of(key: &ObjectKey) -> Result<&'static KindName, Failure> {
    kind_named(&key.kind)
        .filter(|kind| kind.group == key.group)
        .ok_or_else(|| Failure::new(Exit::Failed, format!("{key} is of a kind that droppod does not serve")))
}

/// One that is served.
pub(crate) fn kind(word: &str) -> Result<&'static KindName, Failure> {
    kind_named(word).ok_or_else(|| {
        let served: Vec<&str> = KINDS.iter().map(|kind| kind.plural).collect();
        let near = served
            .iter()
            .map(|kind| (*kind, strsim::jaro_winkler(kind, &word.to_lowercase())))
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
            .filter(|(_, likeness)| *likeness > 0.85);
        let guess = near.map_or_else(String::new, |(kind, _)| format!("did you mean {kind}? "));
        Failure::new(Exit::Usage, format!("`{word}` is not a kind that droppod serves"))
            .help(format!("{guess}it serves {}", served.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(words: &[&str]) -> Option<Vec<String>> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let targets = parse(&words).ok()?;
        Some(targets.iter().map(|one| format!("{}/{}", one.kind.kind, one.name.unwrap_or("*"))).collect())
    }

    #[test]
    fn objects_are_named_as_for_kubectl() {
        let cases: [(&[&str], Option<&[&str]>); 14] = [
            (&["po"], Some(&["Pod/*"])),
            (&["pods.v1", "a"], Some(&["Pod/a"])),
            (&["jobs.v1.batch"], Some(&["Job/*"])),
            (&["pods.v1.batch"], None),
            (&["pods", "a", "b"], Some(&["Pod/a", "Pod/b"])),
            (&["pod/a", "cm/b"], Some(&["Pod/a", "ConfigMap/b"])),
            (&["pods,cm"], Some(&["Pod/*", "ConfigMap/*"])),
            (&["all"], Some(&["Pod/*", "Job/*", "CronJob/*"])),
            (&["all,cm"], Some(&["Pod/*", "Job/*", "CronJob/*", "ConfigMap/*"])),
            (&["jobs,all"], Some(&["Job/*", "Pod/*", "CronJob/*"])),
            (&["pod/a", "b"], None),
            (&["pod/"], None),
            (&["gateways"], None),
            (&[], None),
        ];
        for (words, expected) in cases {
            let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(named(words), expected, "{words:?}");
        }
    }
}
