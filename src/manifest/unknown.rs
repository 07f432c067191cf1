//! Fields that Kubernetes does not know, and what was likely meant.

use super::elsewhere;
use super::fault::Fault;
use super::node::At;

/// Words longer than this are no slip of the pen, and comparing them would take long.
const LONGEST: usize = 64;
/// With this many or fewer fields to choose from, they are listed.
const LISTED: usize = 8;

/// The candidate that `word` was likely meant to be.
pub(crate) fn similar<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let allowed = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST && candidate.len().abs_diff(word.len()) <= 2 * allowed)
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A field that Kubernetes does not know.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) fault: Fault,
    /// The field that was likely meant, so that nobody complains of its absence besides.
    pub(crate) meant: Option<String>,
}

/// `parent` is the mapping that `at` stands in, `known` its fields.
pub(crate) fn unknown(parent: &At<'_>, at: &At<'_>, known: &[&'static str]) -> Unknown {
    let fault = Fault::at_key(at, "unknown field", "not a field here");
    let word = at.last_key();
    let spelled = || known.iter().copied().find(|name| name.eq_ignore_ascii_case(word));
    let near = || similar(word, known.iter().copied());
    if let Some(likely) = spelled().or_else(|| elsewhere::meant(word, known)).or_else(near) {
        return Unknown {
            fault: fault.help(format!("did you mean `{likely}`?")),
            // One that is there as well speaks for itself.
            meant: (!parent.key(likely).is_set()).then(|| parent.key(likely).to_string()),
        };
    }
    match elsewhere::home(word) {
        Some(help) => Unknown { fault: fault.help(help), meant: None },
        None if known.len() <= LISTED => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            Unknown { fault: fault.help(format!("fields here: {}", names.join(", "))), meant: None }
        }
        None => Unknown { fault, meant: None },
    }
}
