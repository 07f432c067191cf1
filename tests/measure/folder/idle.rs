//! What pods that only sleep write to a disc of their own, which notes accesses as discs do if nobody says otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::bench::{Bench, let_pass, say};
use super::{Verdict, argument, sleeper};

const PODS: usize = 20;
const SECONDS: usize = 600;
/// After which what the start has left to be written is written.
const REST: Duration = Duration::from_secs(15);
const SECTOR: u64 = 512;

/// A file system in a file, mounted.
struct Disc {
    place: PathBuf,
}

impl Disc {
    fn new() -> Disc {
        let place = std::env::temp_dir().join(format!("dpi{}", std::process::id()));
        fs::create_dir(&place).unwrap();
        let image = place.with_extension("ext4");
        fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(&image)]);
        run("mount", &["-o", "loop,relatime", text(&image), text(&place)]);
        fs::remove_file(image).unwrap();
        Disc { place }
    }

    /// Sectors that have been written, once all that is to be written is.
    fn written(&self) -> u64 {
        run("sync", &["-f", text(&self.place)]);
        let source = Command::new("findmnt").args(["-no", "SOURCE", "-M"]).arg(&self.place).output().unwrap();
        let device = String::from_utf8(source.stdout).unwrap();
        let name = Path::new(device.trim()).file_name().unwrap().to_str().unwrap().to_owned();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        stat.split_whitespace().nth(6).unwrap().parse().unwrap()
    }
}

impl Drop for Disc {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.place).status());
        drop(fs::remove_dir(&self.place));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
}

pub(super) fn measure() -> Option<Verdict> {
    if !rustix::process::geteuid().is_root() {
        say("skipped: containers need root");
        return None;
    }
    let disc = Disc::new();
    let bench = Bench::at(disc.place.join("b"));
    for number in 0..PODS {
        bench.manifest(&format!("p{number}.yaml"), &sleeper(&format!("p{number}")));
    }
    let watch = bench.watch();
    let runs =
        |number: usize| bench.read(&format!("p{number}.status.yaml")).contains("summary: 1 pod running");
    bench.until("all run", || (0..PODS).all(runs));
    let_pass(REST);
    let before = disc.written();
    let seconds = argument("--seconds").unwrap_or(SECONDS);
    let mut last = before;
    for minute in 0..seconds.div_ceil(60) {
        let_pass(Duration::from_secs(60.min(seconds - minute * 60) as u64));
        let written = disc.written();
        if written != last {
            say(&format!("idle: {} sectors in minute {}", written - last, minute + 1));
        }
        last = written;
    }
    say(&format!(
        "idle: {PODS} pods wrote {} bytes to their disc in {seconds} s (at most 0)",
        (last - before) * SECTOR
    ));
    fs::write(bench.path("seen"), "x").unwrap();
    assert!(disc.written() > last, "the disc does not tell what is written to it");
    for number in 0..PODS {
        bench.remove(&format!("p{number}.yaml"));
    }
    bench.until_clean();
    watch.stop();
    Some(Verdict::of(last == before))
}
