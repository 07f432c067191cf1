//! `watch` as a service: told to a service manager, looked at by Prometheus, sent signals.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, Running, let_pass};
use crate::folder::disc::Disc;

const SLEEPER: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: sleeper}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
                       containers:\n  - {name: main, image: droppod.local/host, command: [sleep, '1000']}\n";

/// A watcher that a service manager has started, with what it has been told.
struct Managed {
    socket: UnixDatagram,
    watch: Running,
}

impl Managed {
    fn start(bench: &Bench, watchdog: &str, more: &[&str]) -> Managed {
        let path = bench.path("notify");
        drop(fs::remove_file(&path));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let folder = bench.folder();
        let mut command = bench.command(&["watch", folder.to_str().unwrap()]);
        command.args(more).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", watchdog);
        let said = fs::OpenOptions::new().create(true).append(true).open(bench.path("err")).unwrap();
        let child = command.stdout(said.try_clone().unwrap()).stderr(said).spawn().unwrap();
        Managed { socket, watch: Running { child } }
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let count = self.socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    /// What is told up to the first message that begins so, which is the last given.
    fn until(&self, begin: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            told.push(self.next());
            if told.last().unwrap().starts_with(begin) {
                return told;
            }
        }
    }
}

fn signal(watch: &Running, name: &str) {
    assert!(Command::new("kill").args([name, &watch.child.id().to_string()]).status().unwrap().success());
}

/// Status line and body of the answer to a GET.
fn get(stream: &mut (impl Read + Write), path: &str) -> (String, String) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn a_service_manager_is_told_of_the_whole_life_of_a_watcher() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("sleeper.yaml", SLEEPER);
    let managed = Managed::start(&bench, "400000", &[]);
    managed.until("READY=1");
    managed.until("STATUS=1 pods run; 1 files");
    bench.manifest("bad.yaml", "kind: Nothing\n");
    assert_eq!(managed.until("STATUS=1 pods run; 2 files, 1 Invalid").last().unwrap().lines().count(), 1);
    // Signs of life come though nothing happens, twice in the time that is allowed.
    managed.until("WATCHDOG=1");
    managed.until("WATCHDOG=1");
    signal(&managed.watch, "-HUP");
    let reload = managed.until("RELOADING=1").pop().unwrap();
    assert!(reload.lines().nth(1).unwrap().starts_with("MONOTONIC_USEC="), "{reload}");
    managed.until("READY=1");
    signal(&managed.watch, "-TERM");
    managed.until("STOPPING=1");
    assert_eq!(managed.watch.stop(), 0);
    bench.until_status("sleeper", "Running");
    bench.run(&["down", "--all"]).exits(0);
    bench.until_clean();
}

#[test]
fn a_hangup_reads_files_whose_times_tell_nothing() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.folder();
    let Some(disc) = Disc::mounted_on(&folder, &bench) else { return };
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {text: before}\n";
    bench.manifest("sleeper.yaml", SLEEPER).manifest("map.yaml", map);
    // One that has just changed is read at each look.
    let modified = fs::metadata(folder.join("map.yaml")).unwrap().modified().unwrap();
    bench.until("its time is past", || modified.elapsed().unwrap() > Duration::from_secs(1));
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--rescan", "1s"]);
    bench.until_status("sleeper", "Running");
    let pids = bench.pids("sleeper", "main");
    let stamp = || {
        let is = fs::metadata(folder.join("map.yaml")).unwrap();
        (is.ino(), is.size(), is.mtime_nsec(), is.ctime_nsec(), is.ctime())
    };
    let before = stamp();
    disc.replace_behind("map.yaml", "text: before", "text: behind");
    assert_eq!(fs::read_to_string(folder.join("map.yaml")).unwrap(), map.replace("before", "behind"));
    assert_eq!(stamp(), before);
    let text = |name: &str| bench.run(&["get", "configmap", name, "-o", "jsonpath={.data.text}"]).stdout;
    // A look at the whole folder does not find it.
    fs::create_dir(folder.join("team")).unwrap();
    fs::write(folder.join("team/later.yaml"), map.replace("{name: map}", "{name: later}")).unwrap();
    bench.until("a later file counts", || text("later") == "before");
    assert_eq!(text("map"), "before");
    signal(&watch, "-HUP");
    bench.until("it says so", || bench.said("all files are read again"));
    bench.until("what was changed counts", || text("map") == "behind");
    assert_eq!(bench.pids("sleeper", "main"), pids, "it was restarted");
    bench.remove("sleeper.yaml");
    bench.until_status("sleeper", "");
    drop(disc);
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

#[test]
fn figures_and_health_are_shown_on_a_socket_of_ones_own() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("sleeper.yaml", SLEEPER);
    let path = bench.path("metrics");
    let address = format!("unix:{}", path.display());
    let folder = bench.folder();
    // What a watcher that was killed has left is in nobody's way.
    bench.start(&["watch", folder.to_str().unwrap(), "--metrics", &address]).kill();
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--metrics", &address]);
    let ask = |what: &str| get(&mut UnixStream::connect(&path).unwrap(), what);
    bench.until("it is ready", || {
        UnixStream::connect(&path).is_ok_and(|mut stream| get(&mut stream, "/readyz").0 == "HTTP/1.1 200 OK")
    });
    assert_eq!(ask("/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    bench.until_status("sleeper", "Running");
    bench.until("the pod is counted", || ask("/metrics").1.contains("droppod_pods{phase=\"Running\"} 1\n"));
    let text = ask("/metrics").1;
    for line in ["droppod_objects{kind=\"Pod\"} 1", "droppod_files{state=\"Applied\"} 1", "droppod_undone 0"]
    {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    let cron = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: often}\nspec:\n  schedule: '@every 2s'\n  \
                jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: \
                droppod.local/host, command: ['true']}]}}}}\n";
    bench.manifest("often.yaml", cron);
    bench.until("a success is told", || {
        let text = ask("/metrics").1;
        let figure = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<i64>().ok())
        };
        let of_cron = "{namespace=\"default\",cronjob=\"often\"}";
        let success = figure(&format!("droppod_cronjob_last_success_timestamp_seconds{of_cron}"));
        let next = figure(&format!("droppod_cronjob_next_schedule_timestamp_seconds{of_cron}"));
        figure("droppod_jobs{status=\"Complete\"}") > Some(0) && success > Some(0) && next.is_some()
    });
    bench.remove("often.yaml");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(watch.stop(), 0);
    assert!(!path.exists());
    for wrong in ["0.0.0.0:9180", "192.0.2.1:9180", "nowhere"] {
        bench.run(&["watch", "--metrics", wrong]).exits(2);
    }
}

#[test]
fn clients_that_say_nothing_delay_no_pod() {
    let Some(bench) = Bench::new() else { return };
    let path = bench.path("metrics");
    let folder = bench.folder();
    let watch =
        bench.start(&["watch", folder.to_str().unwrap(), "--metrics", &format!("unix:{}", path.display())]);
    bench.until("it listens", || UnixStream::connect(&path).is_ok());
    let mut silent: Vec<UnixStream> = Vec::new();
    for number in 0..60 {
        let mut client = UnixStream::connect(&path).unwrap();
        // Some talk without end, and hear nothing.
        if number % 2 == 0 {
            client.write_all(&[b'x'; 2000]).unwrap();
        }
        silent.push(client);
    }
    bench.manifest("sleeper.yaml", SLEEPER);
    bench.until_status("sleeper", "Running");
    // Each has its time and no more, then it is another's turn.
    let_pass(Duration::from_millis(100));
    let (head, _) = get(&mut UnixStream::connect(&path).unwrap(), "/healthz");
    assert_eq!(head, "HTTP/1.1 200 OK");
    drop(silent);
    assert_eq!(watch.stop(), 0);
}

#[test]
fn figures_and_health_are_shown_on_a_port_of_the_machines_own_loopback() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("sleeper.yaml", SLEEPER);
    let folder = bench.folder();
    let watch = bench.start(&["watch", folder.to_str().unwrap(), "--metrics", "127.0.0.1:9180"]);
    let script = "exec 3<>/dev/tcp/127.0.0.1/9180 && printf 'GET %s HTTP/1.1\\r\\n\\r\\n' $0 >&3 && cat <&3";
    let ask = |path: &str| {
        let output = bench.program("bash").args(["-c", script, path]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    bench.until("it is ready", || ask("/readyz").starts_with("HTTP/1.1 200 OK"));
    assert!(ask("/healthz").ends_with("\r\n\r\nok\n"));
    bench.until("the pod is counted", || ask("/metrics").contains("droppod_pods{phase=\"Running\"} 1\n"));
    assert_eq!(watch.stop(), 0);
    bench.run(&["down", "--all"]).exits(0);
    bench.until_clean();
}

#[test]
fn a_watcher_whose_log_takes_nothing_more_watches_on() {
    let Some(bench) = Bench::new() else { return };
    let folder = bench.folder();
    let mut command = bench.command(&["watch", folder.to_str().unwrap()]);
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let watch = Running { child: command.stdout(full()).stderr(full()).spawn().unwrap() };
    bench.manifest("sleeper.yaml", SLEEPER);
    bench.until_status("sleeper", "Running");
    bench.remove("sleeper.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}

/// A place in each hierarchy of control groups, as a service manager gives one to a unit or a session.
struct Unit(Vec<PathBuf>);

impl Unit {
    fn new() -> Unit {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let is_hierarchy = |line: &&str| line.contains(" - cgroup ") || line.contains(" - cgroup2 ");
        let name = format!("unit-{}.service", std::process::id());
        let points = table.lines().filter(is_hierarchy).filter_map(|line| line.split(' ').nth(4));
        let unit = Unit(points.map(|point| Path::new(point).join(&name)).collect());
        for place in &unit.0 {
            fs::create_dir(place).unwrap();
            for file in ["cpuset.cpus", "cpuset.mems"] {
                // Nobody can join one of version 1 that is without.
                if let Ok(all) = fs::read(place.with_file_name(file)) {
                    fs::write(place.join(file), all).unwrap();
                }
            }
        }
        unit
    }

    /// Runs a command of droppod in it.
    fn run(&self, bench: &Bench, args: &[&str]) -> bool {
        let mut command = bench.program("sh");
        let script = "for place in $0; do echo $$ > $place/cgroup.procs || exit; done; exec \"$@\"";
        let places: Vec<&str> = self.0.iter().map(|place| place.to_str().unwrap()).collect();
        command.args(["-c", script, &places.join(" "), env!("CARGO_BIN_EXE_droppod")]).args(args);
        bench.furnish(command).status().unwrap().success()
    }

    /// What its end would kill.
    fn processes(&self) -> String {
        self.0.iter().map(|place| fs::read_to_string(place.join("cgroup.procs")).unwrap()).collect()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        for place in &self.0 {
            drop(fs::remove_dir(place));
        }
    }
}

#[test]
fn a_pod_outlives_the_unit_or_session_that_has_started_it() {
    let Some(bench) = Bench::new() else { return };
    let unit = Unit::new();
    bench.manifest("sleeper.yaml", SLEEPER);
    assert!(unit.run(&bench, &["watch", "--once", bench.folder().to_str().unwrap()]));
    bench.until_status("sleeper", "Running");
    assert_eq!(unit.processes(), "");
    bench.run(&["exec", "sleeper", "--", "true"]).exits(0);
    bench.run(&["down", "--all"]).exits(0);
    bench.until_clean();
}
