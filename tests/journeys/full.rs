//! A disc without room: what cannot be written down is not in force, and its file says so once it can.

use std::fs;
use std::process::Command;

use crate::bench::Bench;

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: value}}\n")
}

/// A place of the bench that has a megabyte, gone with the bench's other mounts.
struct Small<'a>(&'a Bench, &'static str);

impl<'a> Small<'a> {
    fn mounted(bench: &'a Bench, place: &'static str) -> Small<'a> {
        let path = bench.path(place);
        fs::create_dir_all(&path).unwrap();
        let options = "size=1m,mode=0700";
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).status();
        assert!(mount.unwrap().success());
        Small(bench, place)
    }

    fn fill(&self) {
        let page = [0; 4096];
        let mut file = fs::File::create(self.0.path(self.1).join(".fill")).unwrap();
        while std::io::Write::write_all(&mut file, &page).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path(self.1).join(".fill")).unwrap();
    }

    fn objects(&self) -> usize {
        fs::read_dir(self.0.path("s/objects")).map_or(0, Iterator::count)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path(self.1)).status());
    }
}

#[test]
fn what_a_full_disc_keeps_out_of_force_is_told_and_heals() {
    let Some(bench) = Bench::new() else { return };
    let small = Small::mounted(&bench, "s");
    bench.manifest("first.yaml", &map("first"));
    let watch = bench.watch();
    bench.until("it is applied", || bench.read("first.status.yaml").contains("state: Applied"));
    small.fill();
    let both = format!("{}---\n{}", map("second"), map("third"));
    bench.manifest("second.yaml", &both);
    bench.until("it is told", || bench.read("second.status.yaml").contains("not in force"));
    let status = bench.read("second.status.yaml");
    for part in [
        "state: Settling",
        "cannot add object configmap/second: No space left on device",
        "cannot add object configmap/third: No space left on device",
        "items: []",
    ] {
        assert!(status.contains(part), "no {part:?} in {status}");
    }
    assert!(!status.contains(&format!("appliedHash: {}", hash(&status))), "{status}");
    assert_eq!(small.objects(), 1, "half-made objects stay");
    assert_eq!(watch.stop(), 0);

    // A watcher that starts on a full disc does what it can.
    let watch = bench.watch();
    bench.until("it is told again", || bench.read("second.status.yaml").contains("not in force"));
    assert!(bench.read("first.status.yaml").contains("state: Applied"));
    small.make_room();
    bench.until("it heals", || bench.read("second.status.yaml").contains("state: Applied"));
    assert_eq!(small.objects(), 3);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_status_file_that_a_full_folder_did_not_take_is_written_once_there_is_room() {
    let Some(bench) = Bench::new() else { return };
    let small = Small::mounted(&bench, "m");
    fs::create_dir(bench.path("here")).unwrap();
    bench.manifest(
        "job.yaml",
        &format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: job}}\nspec:\n  restartPolicy: Never\n  \
             volumes: [{{name: here, hostPath: {{path: {}}}}}]\n  containers:\n  \
             - name: main\n    image: droppod.local/host\n    command: [bash, -c, 'until test -e /here/end; do sleep 0.05; done']\n    \
             volumeMounts: [{{name: here, mountPath: /here}}]\n",
            bench.path("here").display()
        ),
    );
    let watch = bench.watch();
    bench.until("it is told to run", || bench.read("job.status.yaml").contains("phase: Running"));
    small.fill();
    fs::write(bench.path("here/end"), "").unwrap();
    bench.until_status("job", "Completed");
    bench.until("it could not be told", || bench.said("no status file written"));
    assert!(bench.read("job.status.yaml").contains("phase: Running"));
    small.make_room();
    bench.until("it is told", || bench.read("job.status.yaml").contains("phase: Succeeded"));
    assert_eq!(watch.stop(), 0);
}

/// `observedHash` of a status file.
fn hash(status: &str) -> &str {
    let line = status.lines().find_map(|line| line.trim().strip_prefix("observedHash: "));
    line.unwrap()
}
