//! Keeps the layout true: who may import whom, who may name which crate, where `unsafe` may stand, how long a
//! file may be. The lists here are STYLE's; change them only with a reason in the commit.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the bottom up. A module imports from its own row and the rows below it.
const ROWS: &[&[&str]] = &[
    &["model", "api", "paths"],
    &["manifest", "workload", "plan", "pod", "bundle", "status", "metrics"],
    &["image", "volume", "sandbox", "logs", "publish", "rundir", "probe", "failpoint"],
    &["daemon", "shim"],
    &["cli"],
];

/// Same-row imports of the thinking and of the loops: the ones that are meant.
const NEIGHBOURS: &[(&str, &str)] = &[("status", "manifest"), ("status", "workload")];

/// Who may name a crate: paths below `src`, as prefixes.
const CRATES: &[(&str, &[&str])] = &[
    ("tokio", &["daemon", "cli", "image/registry"]),
    ("notify", &["daemon"]),
    ("oci_client", &["image/registry"]),
    ("libcontainer", &["shim/launch"]),
    ("miette", &["cli"]),
    ("clap", &["cli"]),
    ("saphyr_parser", &["manifest"]),
    ("seccompiler", &["bundle/seccomp", "sandbox/sys/seccomp"]),
];

/// What thought and words never touch.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "rustix",
    "libc::",
    "tracing::",
    "async fn",
    ".exists()",
];

const LONGEST_FILE: usize = 450;

struct Source {
    /// Below `src`, such as `sandbox/sys/clock.rs`.
    path: String,
    /// Without inline tests.
    text: String,
}

impl Source {
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }

    fn row(&self) -> Option<usize> {
        row(self.module())
    }
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|modules| modules.contains(&module))
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources were not found");
    let sources = files.iter().map(|file| {
        let text = fs::read_to_string(file).unwrap();
        let text = without_inline_tests(&text).to_owned();
        Source { path: file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text }
    });
    sources.filter(|source| !source.path.ends_with("tests.rs") && !source.path.contains("/tests/")).collect()
}

/// Tests inside of a file stand at its end; the line that declares tests in another file hides nothing.
fn without_inline_tests(text: &str) -> &str {
    let mut ends = text.match_indices("\n#[cfg(test)]\nmod ").map(|(at, _)| at);
    let inline = ends.find(|at| text[at + 1..].lines().nth(1).unwrap().ends_with('{'));
    inline.map_or(text, |at| &text[..at])
}

#[test]
fn a_breach_below_declared_tests_is_seen() {
    let declared = "use a;\n\n#[cfg(test)]\nmod tests;\n\nuse b;\n";
    assert_eq!(without_inline_tests(declared), declared);
    assert_eq!(without_inline_tests("use a;\n\n#[cfg(test)]\nmod tests {\n    use b;\n}\n"), "use a;\n");
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Lines of code, with their numbers; comments are words, not imports.
fn code(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    source.text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//")
    })
}

fn complain(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn imports_go_down_only() {
    let mut complaints = Vec::new();
    for source in sources() {
        let Some(from) = source.row() else { continue };
        for (number, line) in code(&source) {
            for named in line.split("crate::").skip(1) {
                let module: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(to) = row(&module) else { continue };
                let own = module == source.module();
                let neighbour = NEIGHBOURS.contains(&(source.module(), module.as_str()));
                let same_row_is_free = from == 0 || from == 2;
                if to > from || (to == from && !own && !neighbour && !same_row_is_free) {
                    complaints.push(format!(
                        "src/{}:{number}: must not know {module}: {}",
                        source.path,
                        line.trim()
                    ));
                }
            }
        }
    }
    complain(&complaints);
}

#[test]
fn each_crate_is_named_only_where_it_belongs() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line) in code(&source) {
            for (name, homes) in CRATES {
                let named = line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *name)
                    && line.contains(&format!("{name}::"));
                let at_home = homes.iter().any(|home| source.path.starts_with(home));
                if named && !at_home {
                    complaints.push(format!("src/{}:{number}: must not name {name}", source.path));
                }
            }
        }
    }
    complain(&complaints);
}

#[test]
fn thought_and_words_are_pure() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.row().is_none_or(|row| row >= 2) {
            continue;
        }
        for (number, line) in code(&source) {
            for impure in IMPURE.iter().filter(|impure| line.contains(**impure)) {
                complaints.push(format!("src/{}:{number}: `{impure}` is not pure", source.path));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn unsafe_stands_behind_the_fence() {
    let mut complaints = Vec::new();
    for source in sources() {
        let fenced = source.path.starts_with("sandbox/sys/");
        for (number, line) in code(&source) {
            if line.contains("unsafe ") && !fenced {
                complaints.push(format!("src/{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn no_file_is_longer_than_the_wall() {
    let long = sources().into_iter().filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("src/{}: {lines} lines", source.path))
    });
    complain(&long.collect::<Vec<_>>());
}

#[test]
fn no_words_that_belong_elsewhere() {
    let words = ["TODO", "FIXME", "XXX", "unimplemented!", "todo!", "dbg!", "#[allow(", ".unwrap()"];
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("src/{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    complain(&complaints);
}
