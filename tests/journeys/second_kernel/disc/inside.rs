//! What pods, their watcher and those who ask notice of it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::bench::census::list;
use crate::bench::{Bench, Running, let_pass, now};
use crate::second_kernel::guest::VOICE;
use crate::second_kernel::inside::{pod, put, root, tell};

/// How long a disc is not to be written to.
const BAD: Duration = Duration::from_secs(5);
/// Within which all is as it should be, once it can be written to: what failed is tried again after two seconds at most.
const MENDED: Duration = Duration::from_secs(5);
const ENDLESS: [&str; 3] = ["one", "two", "three"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disc {
    State,
    Logs,
    Folder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Full,
    /// There is room, and no file can be made.
    Inodes,
    ReadOnly,
}

impl Harm {
    const ALL: [Harm; 3] = [Harm::Full, Harm::Inodes, Harm::ReadOnly];
}

impl Disc {
    const ALL: [Disc; 3] = [Disc::State, Disc::Logs, Disc::Folder];

    /// Its device, and its place in the bench.
    fn at(self) -> (&'static str, &'static str) {
        match self {
            Disc::State => ("/dev/ubdb", "s"),
            Disc::Logs => ("/dev/ubdc", "l"),
            Disc::Folder => ("/dev/ubdd", "m"),
        }
    }

    fn place(self, bench: &Bench) -> PathBuf {
        bench.path(self.at().1)
    }

    fn harm(self, bench: &Bench, harm: Harm) {
        match harm {
            Harm::Full => {
                let mut file = fs::File::create(self.place(bench).join(".fill")).unwrap();
                for size in [1 << 16, 1 << 10, 1] {
                    while file.write_all(&vec![0; size]).is_ok() {}
                }
                drop(file.sync_all());
            }
            Harm::Inodes => {
                let fill = self.place(bench).join(".fill");
                fs::create_dir(&fill).unwrap();
                let mut names = 0_u32..;
                while names.next().is_some_and(|name| fs::File::create(fill.join(name.to_string())).is_ok()) {
                }
            }
            Harm::ReadOnly => {
                // Others than this have files open that they write to: the kernel's own emergency is the only way.
                fs::write("/proc/sysrq-trigger", "u").unwrap();
                bench.until("it is read-only", || fs::write(self.place(bench).join(".try"), "").is_err());
                for other in Disc::ALL.into_iter().filter(|other| *other != self) {
                    other.remount(bench);
                }
            }
        }
    }

    fn mend(self, bench: &Bench, harm: Harm) {
        match harm {
            Harm::Full => fs::remove_file(self.place(bench).join(".fill")).unwrap(),
            Harm::Inodes => fs::remove_dir_all(self.place(bench).join(".fill")).unwrap(),
            Harm::ReadOnly => self.remount(bench),
        }
    }

    fn remount(self, bench: &Bench) {
        let place = self.place(bench);
        let done = Command::new("mount").args(["-o", "remount,rw"]).arg(place).status();
        assert!(done.unwrap().success(), "{self:?}");
    }
}

pub(in crate::second_kernel) fn bear() {
    let bench = Bench::at(root());
    for disc in Disc::ALL {
        let (device, place) = (disc.at().0, disc.place(&bench));
        fs::create_dir_all(&place).unwrap();
        assert!(Command::new("mount").args(["-t", "ext4", device]).arg(&place).status().unwrap().success());
        // A state directory that others can read is refused.
        Command::new("chmod").arg("0700").arg(&place).status().unwrap();
    }
    for name in ENDLESS {
        put(&bench, name, &pod(name, "", "while true; do echo beat; sleep 1; done"));
    }
    let mut watch = bench.watch();
    for name in ENDLESS {
        bench.until_status(name, "Running");
    }
    for disc in Disc::ALL {
        for harm in Harm::ALL {
            bear_one(&bench, &mut watch, disc, harm);
        }
    }
    assert_eq!(watch.stop(), 0);
    tell("peace");
    // Its discs are not for it to remove.
    std::mem::forget(bench);
}

fn bear_one(bench: &Bench, watch: &mut Running, disc: Disc, harm: Harm) {
    let word = format!("{disc:?}-{harm:?}").to_lowercase();
    let (ends, comes) = (format!("ends-{word}"), format!("comes-{word}"));
    let end = format!("until test -e /voice/{ends}; do sleep 0.5; done; exit 7");
    put(bench, &ends, &pod(&ends, "restartPolicy: Never,", &end));
    bench.until_status(&ends, "Running");
    let before = ENDLESS.map(|name| bench.pids(name, "main")[0]);

    disc.harm(bench, harm);
    fs::write(format!("{VOICE}/{ends}"), "").unwrap();
    if disc != Disc::Folder {
        put(bench, &comes, &pod(&comes, "", "exec sleep 1000"));
    }
    let_pass(BAD);
    assert!(watch.is_running(), "{word}");
    assert_eq!(ENDLESS.map(|name| bench.pids(name, "main")[0]), before, "{word}: restarted");
    bench.run(&["exec", "one", "--", "true"]).exits(0);
    match disc {
        // Neither run nor forgotten.
        Disc::State => assert_eq!(bench.status(&comes), "", "{word}"),
        Disc::Logs => bench.until_status(&comes, "Running"),
        Disc::Folder => {}
    }

    let logged = logged(bench, "one");
    disc.mend(bench, harm);
    let mended = now();
    // Files tell it, because a command takes a second here.
    let tells = |name: &str, what: &str| bench.read(&format!("{name}.status.yaml")).contains(what);
    bench.until("the end of what ended while it was bad is told", || tells(&ends, "exitCode: 7"));
    if disc != Disc::Folder {
        bench.until("what came runs, and that is told", || tells(&comes, "phase: Running"));
    }
    bench.until("logs go on", || self::logged(bench, "one") > logged);
    let took = mended.elapsed();
    assert_eq!(ENDLESS.map(|name| bench.pids(name, "main")[0]), before, "{word}: restarted");
    assert_eq!(bench.status(&ends), "Error", "{word}");
    assert!(disc == Disc::Folder || bench.status(&comes) == "Running", "{word}");
    tell(&format!("mended {word}: no pod was restarted, all was right again after {took:.1?}"));
    assert!(took < MENDED, "{word}: {took:?}\n{}", bench.log());
    bench.remove(&format!("{ends}.yaml"));
    if disc != Disc::Folder {
        bench.remove(&format!("{comes}.yaml"));
    }
    bench.until("they are gone", || bench.status(&ends).is_empty() && bench.status(&comes).is_empty());
}

/// Bytes in the log of a pod's container.
fn logged(bench: &Bench, pod: &str) -> u64 {
    let pods = list(&bench.path("l")).into_iter().filter(|name| name.starts_with(&format!("default_{pod}_")));
    pods.map(|name| fs::metadata(bench.path("l").join(name).join("main/0.log")).map_or(0, |log| log.len()))
        .sum()
}
