use std::fs;
use std::time::Duration;

use super::*;

/// Log directories of pods, gone at the end of the test.
struct Logs(PathBuf);

impl Logs {
    fn new(name: &str) -> Logs {
        let path = std::env::temp_dir().join(format!("droppod-budget-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Logs(path)
    }

    /// A file of 100 bytes, written so many seconds after the epoch.
    fn file(&self, path: &str, written: u64) -> &Logs {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [b'x'; 100]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(written)).unwrap();
        self
    }

    fn keep(&self, budget: u64) -> u64 {
        let pods = [("living", Life::Living), ("ended", Life::Ended), ("older", Life::Ended)];
        keep(pods.map(|(name, life)| (self.0.join(name), life)), budget).unwrap()
    }

    fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for pod in entries(&self.0).unwrap() {
            for container in entries(&pod).unwrap() {
                for log in entries(&container).unwrap() {
                    left.push(log.strip_prefix(&self.0).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        left.sort();
        left
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn the_oldest_logs_of_ended_pods_go_first_and_the_file_being_written_stays() {
    let logs = Logs::new("order");
    logs.file("living/a/9.log", 1).file("living/a/10.log", 2).file("living/a/10.log.1", 3);
    logs.file("ended/a/0.log", 20).file("older/a/0.log", 10).file("stranger/a/0.log", 0);
    assert_eq!(logs.keep(500), 0);
    assert_eq!(logs.keep(400), 100);
    assert!(!logs.left().contains(&"older/a/0.log".to_owned()));
    assert_eq!(logs.keep(250), 200);
    assert_eq!(logs.left(), ["living/a/10.log", "living/a/10.log.1", "stranger/a/0.log"]);
    assert_eq!(logs.keep(0), 100);
    assert_eq!(logs.left(), ["living/a/10.log", "stranger/a/0.log"]);
}

#[test]
fn the_usual_budget_is_at_most_a_gibibyte_and_a_tenth_of_the_disc() {
    let logs = Logs::new("usual");
    let usual = usual(&logs.0.join("below")).unwrap();
    let disc = rustix::fs::statvfs(&logs.0).unwrap();
    assert!(usual <= MOST && usual <= disc.f_blocks * disc.f_frsize / 10 && usual > 0);
}
