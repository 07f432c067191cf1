//! Completion in the shells themselves, and the manual, as they come out of the binary.
#![expect(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn droppod() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_droppod"))
}

/// A program that finds this droppod, and no objects of the machine; nothing where there is no such program, which is
/// said past what the harness keeps to itself.
fn run(program: &str, args: &[&str]) -> Option<Output> {
    let path = format!("{}:/usr/bin:/bin", droppod().parent().unwrap().display());
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", path).env("HOME", "/nonexistent");
    let output = command.env("DROPPOD_STATE_DIR", "/nonexistent/droppod").output().ok();
    if output.is_none() {
        std::io::stderr().write_all(format!("skipped: there is no {program} here\n").as_bytes()).unwrap();
    }
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What bash would do after Tab; it has taken words apart at `=` by then.
const BASH: &str = r#"
source <(droppod completion bash)
compopt() { echo "compopt $*"; }
complete_words() {
    COMP_WORDS=(droppod "$@"); COMP_CWORD=$#; COMPREPLY=()
    _droppod
    echo "$*: ${COMPREPLY[*]}"
}
complete_words get po
complete_words get pods --output = js
complete_words wait pod/web --for = del
complete_words up -f ''
complete_words watch ''
complete_words image p
"#;

#[test]
fn bash_completes_verbs_options_and_values() {
    let Some(output) = run("bash", &["-c", BASH]) else { return };
    let expected = "get po: pods\nget pods --output = js: json jsonpath= jsonpath-file=\n\
                    wait pod/web --for = del: delete\ncompopt -o default\nup -f : \ncompopt -o dirnames\n\
                    watch : \nimage p: pull prune\n";
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), (expected, ""));
}

#[test]
fn fish_completes_with_what_each_word_means() {
    let script = "droppod completion fish | source; complete -C 'droppod get po'; complete -C 'droppod desc'; \
                  complete -C 'droppod validate -f /etc/passw'";
    let Some(output) = run("fish", &["--no-config", "-c", script]) else { return };
    let said = text(&output.stdout);
    assert!(
        said.starts_with("pods\ndescribe\tShow one object in full, with its events\n/etc/passwd"),
        "{said}"
    );
}

#[test]
fn zsh_takes_the_script() {
    let script = "autoload -Uz compinit && compinit -D && source <(droppod completion zsh) && \
                  print $_comps[droppod]";
    let Some(output) = run("zsh", &["-f", "-c", script]) else { return };
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("_droppod\n", ""));
}

#[test]
fn each_verb_has_a_page_that_a_formatter_takes() {
    let folder = std::env::temp_dir().join(format!("droppod-man-{}", std::process::id()));
    let written = Command::new(droppod()).arg("man").arg(&folder).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let mut pages: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    pages.sort();
    for verb in ["", "-watch", "-get", "-image-load", "-create-job", "-man"] {
        assert!(pages.iter().any(|page| page.ends_with(&format!("/droppod{verb}.1"))), "{verb}: {pages:?}");
    }
    for page in &pages {
        let page_text = std::fs::read_to_string(page).unwrap();
        assert!(page_text.contains("\n.SH EXAMPLE"), "{page} has an example");
    }
    let mut args = vec!["-Tlint", "-Werror"];
    args.extend(pages.iter().map(String::as_str));
    if let Some(output) = run("mandoc", &args) {
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
