//! Discs without room: what cannot be written down is not in force, and its file says so once it can; what is to go goes.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, Running};
use crate::image::made::Made;

fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: value}}\n")
}

/// On the machine's own root, with this as its program and its volumes.
fn pod(name: &str, script: &str, volumes: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         volumes: [{volumes}]\n  containers:\n  - name: main\n    image: droppod.local/host\n    \
         command: [bash, -c, '{script}']\n    {}\n",
        if volumes.is_empty() { "" } else { "volumeMounts: [{name: data, mountPath: /data}]" }
    )
}

/// Says something, for who waits for it, and runs on.
const IDLE: &str = "trap exit TERM; echo here; while true; do sleep 0.1; done";

/// A place of the bench that has little room, gone with the bench's other mounts.
pub(crate) struct Small<'a>(&'a Bench, &'static str);

impl<'a> Small<'a> {
    pub(crate) fn mounted(bench: &'a Bench, place: &'static str, size: &str) -> Small<'a> {
        let path = bench.path(place);
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={size},mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).status();
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

    fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(self.0.path(self.1));
        assert!(mount.status().unwrap().success());
    }

    pub(crate) fn is_full(&self) -> bool {
        rustix::fs::statvfs(self.0.path(self.1)).unwrap().f_bavail == 0
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
    let small = Small::mounted(&bench, "s", "1m");
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
    let small = Small::mounted(&bench, "m", "1m");
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

#[test]
fn what_a_pod_writes_in_memory_takes_no_room_from_others() {
    let Some(bench) = Bench::new() else { return };
    let _small = Small::mounted(&bench, "r", "16m");
    let all = "/dev/termination-log /etc/hosts /etc/hostname /etc/resolv.conf /full";
    let fill = format!("for file in {all}; do head -c 24M /dev/zero > $file; done; {IDLE}");
    bench.manifest("heart.yaml", &pod("heart", IDLE, ""));
    let watch = bench.watch();
    bench.until_status("heart", "Running");
    bench.manifest("filler.yaml", &pod("filler", &fill, ""));
    bench.until("it has filled all", || bench.run(&["logs", "filler"]).stdout.contains("here"));

    bench.manifest("late.yaml", &pod("late", IDLE, ""));
    bench.until_status("late", "Running");
    bench.run(&["exec", "heart", "--", "true"]).exits(0);
    // Blocks and their size: of the container's root, and of the files below /etc.
    let rooms = bench.run(&["exec", "heart", "--", "stat", "-f", "-c", "%b %S", "/", "/etc/hosts"]).exits(0);
    let bytes = |line: &str| line.split(' ').map(|number| number.parse::<u64>().unwrap()).product::<u64>();
    let rooms: Vec<u64> = rooms.stdout.lines().map(bytes).collect();
    let machine = rustix::system::sysinfo();
    let memory = u64::from(machine.mem_unit) * machine.totalram;
    assert!((memory / 5..=memory / 4 + 4096).contains(&rooms[0]), "{rooms:?} of {memory}");
    assert_eq!(rooms[1], 64 * 1024 * 1024);
    bench.remove("filler.yaml");
    bench.until("it is gone", || bench.status("filler").is_empty());
    assert_eq!(watch.stop(), 0);
    bench.run(&["down", "--all"]).exits(0).says("2 pods stopped");
    bench.until_clean();
}

#[test]
fn a_run_directory_that_another_program_has_filled_keeps_nothing_from_being_stopped() {
    let Some(bench) = Bench::new() else { return };
    let small = Small::mounted(&bench, "r", "8m");
    for name in ["a", "b", "c", "d"] {
        bench.manifest(&format!("{name}.yaml"), &pod(name, IDLE, ""));
    }
    let watch = bench.watch();
    for name in ["a", "b", "c", "d"] {
        bench.until_status(name, "Running");
    }
    let delete = |name: &str, hurry: &str| {
        let file = bench.folder().join(format!("{name}.yaml"));
        bench.run(&["delete", hurry, "-f", file.to_str().unwrap()]).exits(0);
        assert_eq!(bench.status(name), "");
    };
    small.fill();
    bench.run(&["exec", "a", "--", "true"]).exits(0);
    assert!(bench.run_on_terminal(&["exec", "-t", "a", "--", "tty"], "").contains("/dev/pts/"));
    bench.remove("a.yaml");
    bench.until("it is gone", || bench.status("a").is_empty());
    delete("b", "--now");
    assert_eq!(watch.stop(), 0);
    delete("c", "--grace-period=-1");
    // A watcher that finds it so looks after what runs.
    let watch = bench.watch();
    bench.run(&["exec", "d", "--", "true"]).exits(0);
    assert_eq!(bench.column("d", 3), "0", "it was restarted");
    assert_eq!(watch.stop(), 0);
    bench.run(&["down", "--all"]).exits(0).says("1 pod stopped");
    bench.until_clean();
}

#[test]
fn a_pod_tells_what_has_become_of_it_once_its_run_directory_has_room() {
    let Some(bench) = Bench::new() else { return };
    let small = Small::mounted(&bench, "r", "8m");
    let data = bench.path("data");
    fs::create_dir(&data).unwrap();
    let volume = format!("{{name: data, hostPath: {{path: {}}}}}", data.display());
    let probe = "    readinessProbe: {periodSeconds: 1, exec: {command: [bash, -c, 'test -e /data/is && echo seen >>/data/seen']}}\n";
    bench.manifest("web.yaml", &(pod("web", IDLE, &volume) + probe));
    let watch = bench.watch();
    bench.until_status("web", "Running");
    small.fill();
    fs::write(data.join("is"), "").unwrap();
    // With the second time, what the first had to tell has found no room.
    let seen = || fs::read_to_string(data.join("seen")).is_ok_and(|seen| seen.lines().count() >= 2);
    bench.until("it is ready", seen);
    assert_eq!(bench.column("web", 1), "0/1", "there was room");
    small.make_room();
    bench.until("it says so", || bench.column("web", 1) == "1/1");
    bench.remove("web.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_batch_ends_though_its_run_directory_is_full() {
    let Some(bench) = Bench::new() else { return };
    let small = Small::mounted(&bench, "r", "8m");
    bench.manifest("a.yaml", &pod("a", IDLE, ""));
    let up = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
    let said = || fs::read_to_string(bench.path("out")).unwrap_or_default();
    bench.until("it runs", || said().contains("here"));
    small.fill();
    assert_eq!(up.stop(), 130);
    bench.until_clean();
}

#[test]
fn a_log_that_takes_nothing_more_ends_no_watcher() {
    let Some(bench) = Bench::new() else { return };
    let mut command = bench.command(&["watch", bench.folder().to_str().unwrap()]);
    command.stderr(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let watch = Running { child: command.spawn().unwrap() };
    bench.manifest("heart.yaml", &pod("heart", IDLE, ""));
    bench.until_status("heart", "Running");
    bench.remove("heart.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn a_full_disc_keeps_nothing_from_being_removed() {
    let Some(bench) = Bench::new() else { return };
    let small = Small::mounted(&bench, "s", "32m");
    // What others free it takes at once.
    let fill = "while true; do cat /dev/zero >> /data/full; sleep 0.02; done";
    let filler = pod("filler", fill, "{name: data, emptyDir: {}}");
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: filler}}\nspec:\n  template:\n    spec:\n      \
         restartPolicy: Never\n      volumes: [{{name: data, emptyDir: {{}}}}]\n      \
         terminationGracePeriodSeconds: 1\n      containers: [{{name: main, image: droppod.local/host, \
         command: [bash, -c, '{fill}'], volumeMounts: [{{name: data, mountPath: /data}}]}}]\n"
    );
    bench.manifest("heart.yaml", &pod("heart", IDLE, ""));
    let watch = bench.watch();
    bench.until_status("heart", "Running");
    let gone = || !bench.run(&["get", "pods,jobs", "-o", "name"]).stdout.contains("filler");
    for text in [&filler, &job] {
        bench.manifest("filler.yaml", text);
        bench.until("the disc is full", || small.is_full());
        bench.manifest("late.yaml", &map("late"));
        bench.until("there is no room", || bench.read("late.status.yaml").contains("not in force"));
        bench.remove("filler.yaml");
        bench.until("what filled it is gone", gone);
        bench.until("there is room", || bench.read("late.status.yaml").contains("state: Applied"));
        bench.remove("late.yaml");
        bench.until("it can be written down", || bench.run(&["get", "cm", "-o", "name"]).stdout.is_empty());
    }
    bench.manifest("filler.yaml", &filler);
    bench.until("the disc is full again", || small.is_full());
    assert_eq!(watch.stop(), 0);
    let file = bench.folder().join("filler.yaml");
    bench.run(&["delete", "-f", file.to_str().unwrap()]).exits(0);
    assert!(gone() && !small.is_full(), "what filled it is left");
    assert_eq!(bench.column("heart", 3), "0", "it was restarted");
    bench.run(&["down", "--all"]).exits(0).says("1 pod stopped");
    bench.until_clean();
}

#[test]
fn an_image_that_there_was_no_room_for_is_had_once_there_is() {
    let Some(bench) = Bench::new() else { return };
    let Some(made) = Made::new("at last") else { return };
    let small = Small::mounted(&bench, "s", "2m");
    made.write_oci_archive(&bench.folder().join("app.tar"), "app");
    bench.manifest(
        "app.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec:\n  restartPolicy: Never\n  containers:\n  \
         - {name: main, image: 'oci-archive:app.tar'}\n",
    );
    let mut up = bench.start(&["up", "-f", bench.folder().to_str().unwrap()]);
    bench.until("it is told", || bench.said("needs more room than the image store has: "));
    small.resize("64m");
    bench.until("it has ended", || !up.is_running());
    let said = fs::read_to_string(bench.path("out")).unwrap();
    assert!(said.contains("says at last by default"), "{said}\n{}", bench.log());
    bench.until_clean();
}

/// `observedHash` of a status file.
fn hash(status: &str) -> &str {
    let line = status.lines().find_map(|line| line.trim().strip_prefix("observedHash: "));
    line.unwrap()
}
