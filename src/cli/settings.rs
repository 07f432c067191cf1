//! Options that every verb takes: flag over environment over `/etc/droppod/config.yaml` over default.

use std::io;
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use crate::manifest::Policy;
use crate::manifest::podsecurity::Level;
use crate::model::network::PodCidr;
use crate::model::object::Source;
use crate::paths::Places;
use crate::sandbox::instance::id_of;

use super::exit::Exit;
use super::failure::Failure;
use super::terminal::ColorChoice;

const CONFIG: &str = "/etc/droppod/config.yaml";

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Durable state: objects, images, volumes [default: /var/lib/droppod]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Running pods, leases, sockets, on tmpfs [default: /run/droppod]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    /// Container logs [default: /var/log/pods]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// The folder that apply, run and delete write to [default: /etc/droppod/manifests]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) manifests: Option<PathBuf>,
    /// Read these options from FILE [default: /etc/droppod/config.yaml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Namespace of objects that name none, and to look in [default: default]
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,
    /// What pods may ask for, by the Pod Security Standards: privileged, baseline or restricted [default: privileged]
    #[arg(long, global = true, value_name = "LEVEL", hide_possible_values = true)]
    pub(crate) pod_security: Option<LevelArg>,
    /// Where pods get their addresses from: the first free /22 in it, or all of a smaller one [default: 10.77.0.0/16]
    #[arg(long, global = true, value_name = "CIDR")]
    pub(crate) pod_cidr: Option<String>,
    /// When to use colour: auto (on a terminal), always or never [default: auto]
    #[arg(long, global = true, value_name = "WHEN", hide_possible_values = true)]
    pub(crate) color: Option<ColorChoice>,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LevelArg {
    Privileged,
    Baseline,
    Restricted,
}

impl From<LevelArg> for Level {
    fn from(arg: LevelArg) -> Level {
        match arg {
            LevelArg::Privileged => Level::Privileged,
            LevelArg::Baseline => Level::Baseline,
            LevelArg::Restricted => Level::Restricted,
        }
    }
}

/// The same, as the configuration file names them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ConfigFile {
    state_dir: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    log_dir: Option<PathBuf>,
    manifests: Option<PathBuf>,
    namespace: Option<String>,
    pod_security: Option<LevelArg>,
    pod_cidr: Option<String>,
    color: Option<ColorChoice>,
}

/// Which namespaces a verb looks in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespace(String),
    All,
}

impl Scope {
    pub(crate) fn holds(&self, namespace: &str) -> bool {
        match self {
            Scope::Namespace(name) => name == namespace,
            Scope::All => true,
        }
    }

    /// In kubectl's words.
    pub(crate) fn nothing_found(&self) -> String {
        match self {
            Scope::Namespace(namespace) => format!("No resources found in {namespace} namespace."),
            Scope::All => "No resources found".to_owned(),
        }
    }
}

/// What the options come to.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) places: Places,
    pub(crate) manifests: PathBuf,
    /// The same with the links that are in it.
    pub(crate) named_manifests: PathBuf,
    /// For objects that name none.
    pub(crate) namespace: String,
    pub(crate) scope: Scope,
    pub(crate) pod_security: Level,
    /// `None` for the usual.
    pub(crate) pod_cidr: Option<PodCidr>,
    pub(crate) color: ColorChoice,
    pub(crate) verbosity: u8,
}

impl Settings {
    pub(crate) fn resolve(args: &GlobalArgs) -> Result<Settings, Failure> {
        let config = args.config.clone().or_else(|| from_environment("DROPPOD_CONFIG").map(PathBuf::from));
        let file = read_config(config.as_deref())?;
        let named = |flag: &Option<PathBuf>, variable: &str, file: &Option<PathBuf>, default: &str| {
            let chosen = flag.clone().or_else(|| from_environment(variable).map(PathBuf::from));
            chosen.or_else(|| file.clone()).unwrap_or_else(|| PathBuf::from(default))
        };
        let resolved = |chosen: &Path| {
            canonical(chosen).map_err(|error| {
                Failure::new(Exit::Usage, format!("cannot use directory {}", chosen.display())).because(error)
            })
        };
        let choose = |flag: &Option<PathBuf>, variable: &str, file: &Option<PathBuf>, default: &str| {
            resolved(&named(flag, variable, file, default))
        };
        let state = choose(&args.state_dir, "DROPPOD_STATE_DIR", &file.state_dir, "/var/lib/droppod")?;
        let run = choose(&args.run_dir, "DROPPOD_RUN_DIR", &file.run_dir, "/run/droppod")?;
        let log = choose(&args.log_dir, "DROPPOD_LOG_DIR", &file.log_dir, "/var/log/pods")?;
        let named_manifests =
            named(&args.manifests, "DROPPOD_MANIFESTS", &file.manifests, "/etc/droppod/manifests");
        let manifests = resolved(&named_manifests)?;
        let namespace = args
            .namespace
            .clone()
            .or_else(|| from_environment("DROPPOD_NAMESPACE"))
            .or(file.namespace)
            .unwrap_or_else(|| "default".to_owned());
        let color = chosen(args.color, "DROPPOD_COLOR", file.color)?;
        let pod_security = chosen(args.pod_security, "DROPPOD_POD_SECURITY", file.pod_security)?;
        let pod_cidr =
            args.pod_cidr.clone().or_else(|| from_environment("DROPPOD_POD_CIDR")).or(file.pod_cidr);
        let pod_cidr = pod_cidr.map(|text| parse_pod_cidr(&text)).transpose()?;
        let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(namespace.clone()) };
        Ok(Settings {
            places: places(state, run, log),
            manifests,
            named_manifests,
            namespace,
            scope,
            pod_security: pod_security.map_or(Level::Privileged, Level::from),
            pod_cidr,
            color: color.unwrap_or(ColorChoice::Auto),
            verbosity: args.verbose,
        })
    }

    /// What manifests that the user names may ask for.
    pub(crate) fn policy(&self) -> Policy {
        Policy { level: self.pod_security, scope: None }
    }
}

/// Read here and not by clap, whose usage lines would list what the environment sets as if it had been typed.
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Of a few words: flag over environment over file.
fn chosen<T: ValueEnum>(flag: Option<T>, variable: &str, file: Option<T>) -> Result<Option<T>, Failure> {
    let (None, Some(word)) = (&flag, from_environment(variable)) else { return Ok(flag.or(file)) };
    let known = T::from_str(&word, false).map_err(|_| {
        let words: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()))
            .collect();
        Failure::new(Exit::Usage, format!("{variable} is `{word}`"))
            .help(format!("it may be {}", words.join(", ")))
    })?;
    Ok(Some(known))
}

fn parse_pod_cidr(text: &str) -> Result<PodCidr, Failure> {
    PodCidr::parse(text).map_err(|error| {
        let failure =
            Failure::new(Exit::Usage, format!("`{text}` cannot be where pods get their addresses from"));
        failure.because(error).help("name an IPv4 range, such as --pod-cidr 10.88.0.0/16")
    })
}

fn places(state: PathBuf, run: PathBuf, log: PathBuf) -> Places {
    Places { images: state.join("images"), id: id_of(&run), state, run, log }
}

/// Only the default file may be missing.
fn read_config(named: Option<&Path>) -> Result<ConfigFile, Failure> {
    let path = named.unwrap_or(Path::new(CONFIG));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(ConfigFile::default());
        }
        Err(error) => {
            let what = format!("cannot read configuration {}", path.display());
            return Err(Failure::new(Exit::Usage, what).because(error));
        }
    };
    // An empty document is `null` to YAML.
    serde_yaml::from_str::<Option<ConfigFile>>(&text).map(Option::unwrap_or_default).map_err(|error| {
        Failure::new(Exit::Usage, format!("configuration {} is invalid", path.display())).because(error)
    })
}

/// Absolute and free of symlinks as far as it exists, so that two spellings of a directory are one instance.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut present = absolute.as_path();
    loop {
        match present.canonicalize() {
            Ok(found) => {
                let rest = absolute.strip_prefix(present).expect("present is one of absolute's ancestors");
                return Ok(join_plain(found, rest));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => match present.parent() {
                Some(parent) => present = parent,
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
}

/// Where a manifest lies that an object came from, free of symlinks as what a person names is to be.
pub(crate) fn file_of(source: &Source) -> PathBuf {
    canonical(&source.root).map_or_else(|_| source.absolute(), |root| root.join(&source.path))
}

/// Absolute, with the links that are in it: where one is turned, the path follows. Only what a `..` goes back from is resolved.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let parts: Vec<Component<'_>> = absolute.components().collect();
    match parts.iter().rposition(|part| *part == Component::ParentDir) {
        None => Ok(absolute),
        Some(last) => {
            let (before, rest) = parts.split_at(last + 1);
            Ok(join_plain(canonical(&before.iter().collect::<PathBuf>())?, &rest.iter().collect::<PathBuf>()))
        }
    }
}

/// No symlink can lie in a part that does not exist, so `..` means the directory before it.
fn join_plain(mut base: PathBuf, rest: &Path) -> PathBuf {
    for component in rest.components() {
        match component {
            Component::ParentDir => {
                base.pop();
            }
            Component::Normal(name) => base.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_directory_are_one() {
        let base = std::env::temp_dir().canonicalize().unwrap();
        for spelling in ["absent/run", "./absent/run", "absent/../absent/./run"] {
            assert_eq!(canonical(&base.join(spelling)).unwrap(), base.join("absent/run"), "{spelling}");
        }
    }

    #[test]
    fn a_word_the_configuration_does_not_know_is_refused() {
        let wrong = serde_yaml::from_str::<ConfigFile>("state-dri: /x\n").unwrap_err();
        assert!(wrong.to_string().contains("state-dri"), "{wrong}");
        let right = serde_yaml::from_str::<ConfigFile>("state-dir: /x\nnamespace: batch\n").unwrap();
        assert_eq!(right.state_dir.as_deref(), Some(Path::new("/x")));
        assert_eq!(right.namespace.as_deref(), Some("batch"));
    }
}
