//! What is dropped. Each run of a container tells a file that droppod knows nothing of when it starts, and with which
//! code it is about to end, which is made from the number of the run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::bench::Bench;
use crate::made::Made;
use crate::registry::HOST;

/// Where containers find the file, and what they run.
const TRUTH: &str = "/truth";

/// The number of a run is told by where its termination message lies. A line is one write, so lines never mix.
const SCRIPT: &str = r#"name=$1 course=$2 delay=$3
while read -r _ _ _ root point _; do
  case $point in /dev/termination-log) run=${root##*.} ;; esac
done </proc/self/mountinfo
say() { echo "$1 $POD_UID $POD_NAME $name $run ${JOB:--} ${JOB_COMPLETION_INDEX:--} $2" >>/truth/log; }
trap 'say end $?' EXIT
exec 2>>/truth/errors
say start "$course"
own=$(( (SALT * 31 + run * 17) % 90 + 2 ))
case $course in
  lasts) trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done ;;
  ends) sleep "$delay"; exit $own ;;
  works) sleep "$delay"; exit 0 ;;
  tries) sleep "$delay"; [ "$run" -gt 0 ] && exit 0; exit $own ;;
esac
"#;

/// What a manifest declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Two containers without an end, with probes by exec and a host port.
    Endless,
    /// An init container, a native sidecar, and a container without an end.
    Staged,
    /// `Always`, and it ends by itself.
    Ending,
    /// `OnFailure`, and its second run succeeds.
    Trying,
    /// `Never`: one run, one code.
    Once,
    /// An Indexed Job.
    Job,
    /// An image of the registry.
    Pulled,
    /// The machine's own root, one process namespace for two containers.
    Shared,
}

/// A manifest as it stands in the folder.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Part of what the containers are given: another one makes another pod.
    pub(crate) salt: usize,
    /// A change in place.
    pub(crate) label: usize,
    /// Which of two images: a change restarts the containers.
    pub(crate) image: usize,
    /// Milliseconds until a container ends that does so by itself.
    pub(crate) delay: usize,
}

/// The script, its file, and the two images that need no registry.
pub(crate) fn furnish(bench: &Bench) -> Option<()> {
    let place = bench.path("t");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("run"), SCRIPT).unwrap();
    fs::write(place.join("log"), "").unwrap();
    fs::set_permissions(place.join("log"), fs::Permissions::from_mode(0o666)).unwrap();
    for number in 0..2 {
        Made::new(&format!("image {number}"))?.write_docker_archive(&archive(bench, number), "torture");
    }
    Some(())
}

fn archive(bench: &Bench, number: usize) -> std::path::PathBuf {
    bench.path(&format!("image{number}.tar"))
}

/// A tag of the registry; there are three.
pub(crate) fn tag(number: usize) -> String {
    format!("{HOST}/team/app:{}", number % 3)
}

impl Declared {
    /// The whole manifest.
    pub(crate) fn text(&self, bench: &Bench) -> String {
        let Declared { name, label, .. } = self;
        let pod = self.pod(bench);
        match self.kind {
            Kind::Job => format!(
                "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, labels: {{edition: e{label}}}}}\nspec:\n  \
                 completions: 3\n  parallelism: 2\n  completionMode: Indexed\n  backoffLimit: 1000\n{}  template:\n    \
                 spec:\n{}",
                if self.salt.is_multiple_of(2) { "  backoffLimitPerIndex: 5\n" } else { "" },
                indented(&pod),
            ),
            Kind::Endless
            | Kind::Staged
            | Kind::Ending
            | Kind::Trying
            | Kind::Once
            | Kind::Pulled
            | Kind::Shared => {
                format!(
                    "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{edition: e{label}}}}}\nspec:\n{pod}"
                )
            }
        }
    }

    /// The pod's specification, two blanks in.
    fn pod(&self, bench: &Bench) -> String {
        let image = match self.kind {
            Kind::Pulled => tag(self.image),
            Kind::Shared => "droppod.local/host".to_owned(),
            Kind::Endless | Kind::Staged | Kind::Ending | Kind::Trying | Kind::Once | Kind::Job => {
                format!("docker-archive:{}", archive(bench, self.image).display())
            }
        };
        let container = |name: &str, course: &str, more: &str| {
            let delay = self.delay as f64 / 1e3;
            format!(
                "  - {{name: {name}, image: {image:?}, command: [sh, {TRUTH}/run, {name}, {course}, \"{delay}\"],\n     {}{more}}}\n",
                self.given()
            )
        };
        let probe =
            "exec: {command: [cat, /truth/run]}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 30";
        let probes = format!(",\n     readinessProbe: {{{probe}}}, livenessProbe: {{{probe}}}");
        let port = format!(",\n     ports: [{{containerPort: 80, hostPort: {}}}]", 20_000 + self.port());
        let (policy, init, containers) = match self.kind {
            Kind::Endless => (
                "Always",
                String::new(),
                container("main", "lasts", &(probes + &port)) + &container("beside", "lasts", ""),
            ),
            Kind::Staged => {
                let side = container("side", "lasts", ", restartPolicy: Always");
                ("Always", container("init", "works", "") + &side, container("main", "lasts", ""))
            }
            Kind::Ending => ("Always", String::new(), container("main", "ends", "")),
            Kind::Trying => ("OnFailure", String::new(), container("main", "tries", "")),
            Kind::Once => ("Never", String::new(), container("main", "ends", "")),
            Kind::Job => ("Never", String::new(), container("main", "works", "")),
            Kind::Pulled => {
                ("Always", String::new(), container("main", "lasts", ", imagePullPolicy: Always"))
            }
            Kind::Shared => {
                ("Always", String::new(), container("main", "lasts", "") + &container("beside", "lasts", ""))
            }
        };
        let shared = if self.kind == Kind::Shared { "  shareProcessNamespace: true\n" } else { "" };
        let init = if init.is_empty() { init } else { format!("  initContainers:\n{init}") };
        format!(
            "  restartPolicy: {policy}\n  terminationGracePeriodSeconds: 1\n{shared}  securityContext: {{runAsUser: 0, runAsGroup: 0}}\n  \
             volumes: [{{name: truth, hostPath: {{path: {}}}}}, {{name: own, emptyDir: {{}}}}]\n{init}  containers:\n{containers}",
            bench.path("t").display()
        )
    }

    /// What every container of it has.
    fn given(&self) -> String {
        let field = |name: &str, path: &str| {
            format!("{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: {path}}}}}}}")
        };
        let mut env = vec![
            field("POD_UID", "metadata.uid"),
            field("POD_NAME", "metadata.name"),
            format!("{{name: SALT, value: \"{}\"}}", self.salt),
        ];
        if self.kind == Kind::Job {
            env.push(field("JOB", "\"metadata.labels['batch.kubernetes.io/controller-uid']\""));
        }
        format!(
            "env: [{}],\n     volumeMounts: [{{name: truth, mountPath: {TRUTH}}}, {{name: own, mountPath: /own}}]",
            env.join(", ")
        )
    }

    /// One for each name.
    fn port(&self) -> usize {
        self.name.bytes().map(usize::from).sum::<usize>() % 1_000
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// Puts a file where it is read, whole.
pub(crate) fn put(folder: &Path, name: &str, text: &str) {
    let part = folder.join(format!(".{name}.part"));
    fs::write(&part, text).unwrap();
    fs::rename(part, folder.join(name)).unwrap();
}
