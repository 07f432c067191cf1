//! Known ways out of a container, each named after its CVE or technique, and each tried from inside.
//!
//! What archives try while they are unpacked (`../`, links, hard links, device nodes, whiteouts, a directory swapped
//! for a link) is in `src/image/unpack/tests.rs`; a root whose `/dev` or `/etc` is no directory, also in
//! `src/image/rootfs/tests.rs`; a `..data` that leads out of its volume in `src/volume/files.rs`; links as subPaths in
//! `host_path.rs`.

mod device;
mod entering;
mod folder;
mod image;
mod kernel;
mod process;
mod terminal;
mod volume;

use std::fs;
use std::path::PathBuf;

use crate::bench::{Bench, Ran};
use crate::image::made::{Made, Planted};

/// How often a race is run: `DROPPOD_RACES=1000` makes all of them longer.
fn races(usual: usize) -> usize {
    std::env::var("DROPPOD_RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(usual)
}

/// Containers of one pod, each of which is a race.
const CROWD: usize = 20;

/// A prison of one container, and something outside of it that must not be reached.
struct Prison {
    bench: Bench,
}

/// What the outside holds.
const SECRET: &str = "outside and untouched";

impl Prison {
    fn new() -> Option<Prison> {
        Prison::with(&[])
    }

    /// Its image has these in it.
    fn with(planted: &[(&str, Planted<'_>)]) -> Option<Prison> {
        let bench = Bench::new()?;
        let prison = Prison { bench };
        fs::create_dir(prison.outside()).unwrap();
        fs::write(prison.outside().join("secret"), SECRET).unwrap();
        prison.image(planted)?;
        Some(prison)
    }

    /// Makes the image anew.
    fn image(&self, planted: &[(&str, Planted<'_>)]) -> Option<()> {
        Made::with("prisoner", planted)?.write_oci_archive(&self.bench.path("app.tar"), "app");
        Some(())
    }

    fn outside(&self) -> PathBuf {
        self.bench.path("outside")
    }

    /// A pod of that image, root in it, that runs a script of busybox's shell.
    fn pod(&self, spec: &str, container: &str, script: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: one}}\nspec:\n  restartPolicy: Never\n  \
             terminationGracePeriodSeconds: 1\n{spec}  containers:\n  - name: main\n    \
             image: oci-archive:{}\n    command: [/bin/busybox, sh, -c, {script:?}]\n    \
             env: [{{name: OUTSIDE, value: {}}}]\n{container}",
            self.bench.path("app.tar").display(),
            self.outside().display()
        )
    }

    /// The same pod with a crowd of containers like the first.
    fn crowd(&self, spec: &str, container: &str, script: &str) -> String {
        let alone = self.pod(spec, container, script);
        let (_, like) = alone.split_once("  - name: main\n").unwrap();
        let others = (1..CROWD).map(|nth| format!("  - name: main{nth}\n{like}"));
        format!("{alone}{}", others.collect::<String>())
    }

    /// Runs a pod to its end, however it ends.
    fn run(&self, manifest: &str) -> Ran {
        self.bench.manifest("one.yaml", manifest);
        self.bench.run(&["up", "--timeout", "60s", "-f", self.bench.folder().to_str().unwrap()])
    }

    /// Runs a script that says ESCAPED where it got out, and OVER at its end.
    #[track_caller]
    fn attempt(&self, spec: &str, container: &str, script: &str) -> String {
        let context =
            if container.contains("securityContext") { "" } else { "    securityContext: {runAsUser: 0}\n" };
        let ran =
            self.run(&self.pod(spec, &format!("{context}{container}"), &format!("{script}; echo OVER")));
        assert!(ran.stdout.contains("OVER"), "{ran:#?}");
        assert!(!ran.stdout.contains("ESCAPED"), "{ran:#?}");
        self.holds();
        ran.stdout
    }

    /// Runs a pod whose container is not started, for this reason.
    #[track_caller]
    fn refused(&self, manifest: &str, why: &str) {
        let ran = self.run(manifest);
        let status = self.bench.read("one.status.yaml");
        assert!(ran.code != 0 && status.contains(why), "no {why:?} in {status}\n{ran:#?}");
        assert!(!ran.stdout.contains(" | "), "it was started: {ran:#?}");
        self.holds();
    }

    /// Runs a script that says ESCAPED where it got out in containers of one pod, a race each, so many times. Each of them
    /// comes to its end, or is refused for a reason that has one of these words. Tells how many came to their end.
    #[track_caller]
    fn race(&self, spec: &str, container: &str, script: &str, times: usize, refusals: &[&str]) -> usize {
        let rounds = (0..races(times).div_ceil(CROWD)).map(|_| {
            let ran = self.run(&self.crowd(spec, container, &format!("{script}; echo OVER")));
            assert!(!ran.stdout.contains("ESCAPED") && !ran.stdout.contains(SECRET), "{ran:#?}");
            let (ended, refused) = (ran.stdout.matches("OVER").count(), self.refusals(refusals));
            assert_eq!(
                ended + refused,
                CROWD,
                "{refused} refused: {}\n{ran:#?}",
                self.bench.read("one.status.yaml")
            );
            self.holds();
            ended
        });
        rounds.sum()
    }

    /// How many containers of the pod were not started, for a reason that has one of these words.
    fn refusals(&self, words: &[&str]) -> usize {
        let is_refusal = |line: &&str| {
            let message = line.trim_start().strip_prefix("message: ").unwrap_or_default();
            // An event says it again.
            !message.contains("Error: ") && words.iter().any(|why| message.contains(why))
        };
        self.bench.read("one.status.yaml").lines().filter(is_refusal).count()
    }

    /// Nothing outside has changed, and nothing is left.
    #[track_caller]
    fn holds(&self) {
        let names: Vec<String> = fs::read_dir(self.outside())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["secret"], "outside has changed");
        assert_eq!(fs::read_to_string(self.outside().join("secret")).unwrap(), SECRET);
        self.bench.until_clean();
    }
}
