//! Following the logs of many containers at once, also of pods that are still to come.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::arrivals::{Arrivals, Arrived};
use super::bell::{Bell, Watch};
use super::read::{Cursor, Left, Line};
use super::reader::{Marks, Place};
use crate::model::id::{PodId, Uid};

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) pod: PodId,
    pub(crate) container: String,
}

/// What takes the lines.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(&Origin, Line) -> io::Result<()>;

/// Every container below a log directory, as its directory appears.
#[derive(Debug)]
pub(crate) struct Tails {
    log: PathBuf,
    arrivals: Arrivals,
    pods: BTreeMap<PathBuf, Followed>,
    /// Directories of pods that write no more, read to their end: of thousands, no file is kept open.
    closed: BTreeSet<PathBuf>,
    marks: Option<Marks>,
}

#[derive(Debug)]
struct Followed {
    pod: PodId,
    watch: Option<Watch>,
    tails: BTreeMap<String, Tail>,
}

#[derive(Debug)]
struct Tail {
    origin: Origin,
    cursor: Cursor,
    left: Left,
    watch: Option<Watch>,
    /// After the last turn.
    place: Option<Place>,
}

impl Tails {
    /// What is read is marked, so that what is not is kept.
    pub(crate) fn of(log: PathBuf, marks: Marks) -> Tails {
        let (pods, closed, marks) = (BTreeMap::new(), BTreeSet::new(), Some(marks));
        Tails { log, arrivals: Arrivals::new(), pods, closed, marks }
    }

    /// Takes what has been handed on of a pod for all there is; to be called after its end, when nothing is left.
    pub(crate) fn close(&mut self, pod: PathBuf, bell: &Bell, sink: Sink<'_>) -> io::Result<()> {
        let followed = self.pods.remove(&pod);
        self.closed.insert(pod);
        let Some(Followed { pod, watch, tails }) = followed else { return Ok(()) };
        watch.into_iter().for_each(|watch| bell.forget(watch));
        for (container, mut tail) in tails {
            tail.watch.into_iter().for_each(|watch| bell.forget(watch));
            if let Some(marks) = &self.marks {
                marks.remove(&pod.uid, &container)?;
            }
            tail.cursor.give_pieces(&mut |line| sink(&tail.origin, line))?;
        }
        Ok(())
    }

    /// Hands on lines of each container, of a flood no more than the others can wait for. Says whether there are more.
    pub(crate) fn turn(&mut self, bell: &Bell, sink: Sink<'_>) -> io::Result<Left> {
        self.discover(bell)?;
        let mut left = Left::Nothing;
        for tail in self.pods.values_mut().flat_map(|followed| followed.tails.values_mut()) {
            tail.left = tail.cursor.turn(&mut |line| sink(&tail.origin, line))?;
            if tail.left == Left::More {
                left = Left::More;
            }
            tail.mark(self.marks.as_ref())?;
        }
        Ok(left)
    }

    /// Whether all has been handed on that was there of a run at the last turn.
    pub(crate) fn is_read(&self, pod: &Path, container: &str, run: u32) -> bool {
        let tail = self.pods.get(pod).and_then(|followed| followed.tails.get(container));
        tail.is_none_or(|tail| tail.left == Left::Nothing || tail.cursor.run() > run)
    }

    /// Nobody reads any more: what is not read is told, with its bytes, and keeps no container from writing.
    pub(crate) fn give_up(&mut self) -> io::Result<Vec<(Origin, u64)>> {
        let mut unread = Vec::new();
        for tail in self.pods.values().flat_map(|followed| followed.tails.values()) {
            let bytes = tail.cursor.unread()?;
            unread.extend((bytes > 0).then(|| (tail.origin.clone(), bytes)));
        }
        self.marks.take().map_or(Ok(()), Marks::end)?;
        Ok(unread)
    }

    fn discover(&mut self, bell: &Bell) -> io::Result<()> {
        bell.watch(&self.log);
        let names = match self.arrivals.take(&self.log) {
            Arrived::Names(names) => names,
            Arrived::Anything => directories(&self.log)?.into_iter().map(|(name, _)| name).collect(),
        };
        for name in names {
            let directory = self.log.join(&name);
            if self.closed.contains(&directory) || self.pods.contains_key(&directory) {
                continue;
            }
            if let Some(pod) = pod_of(&name) {
                let watch = bell.watch(&directory);
                self.pods.insert(directory, Followed { pod, watch, tails: BTreeMap::new() });
            }
        }
        for (directory, followed) in &mut self.pods {
            for (container, directory) in directories(directory)? {
                followed.tails.entry(container).or_insert_with_key(|container| Tail {
                    origin: Origin { pod: followed.pod.clone(), container: container.clone() },
                    watch: bell.watch(&directory),
                    cursor: Cursor::at_run(directory, 0),
                    left: Left::More,
                    place: None,
                });
            }
        }
        Ok(())
    }
}

impl Tail {
    /// Writers wait for nothing before it has left its first file, so that one needs no mark.
    fn mark(&mut self, marks: Option<&Marks>) -> io::Result<()> {
        let place = self.cursor.place()?;
        if let (Some(marks), Some(now), Some(before)) = (marks, place, self.place)
            && now != before
        {
            marks.put(&self.origin.pod.uid, &self.origin.container, now)?;
        }
        self.place = place;
        Ok(())
    }
}

/// `<namespace>_<pod>_<uid>`
fn pod_of(directory: &str) -> Option<PodId> {
    let mut parts = directory.splitn(3, '_');
    let (namespace, name) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let uid = Uid::try_from(parts.next()?.to_owned()).ok()?;
    Some(PodId { namespace, name, uid })
}

/// Names and paths of the directories in a directory, in order. None if it is not there.
fn directories(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::write::{LogWriter, Stream};
    use super::*;
    use crate::model::time::Timestamp;

    struct Bench {
        root: PathBuf,
        bell: Bell,
        tails: Tails,
        seen: Vec<String>,
    }

    impl Bench {
        fn new(name: &str) -> Bench {
            let root = std::env::temp_dir().join(format!("droppod-{name}-{}", std::process::id()));
            std::fs::remove_dir_all(&root).ok();
            let marks = Marks::begin(root.join("reading")).unwrap();
            let tails = Tails::of(root.join("log"), marks);
            Bench { root, bell: Bell::hang(), tails, seen: Vec::new() }
        }

        fn pod(number: u8) -> PodId {
            let uid = Uid::from_random([number; 16]);
            PodId { namespace: "default".into(), name: format!("pod-{number}"), uid }
        }

        fn logs(&self, pod: &PodId) -> PathBuf {
            self.root.join("log").join(format!("default_{}_{}", pod.name, pod.uid))
        }

        fn writer(&self, pod: &PodId) -> LogWriter {
            LogWriter::open(&self.logs(pod).join("main").join("0.log"), None)
        }

        fn turn(&mut self) -> Left {
            let seen = &mut self.seen;
            let mut sink = |origin: &Origin, line: Line| {
                let text = String::from_utf8(line.text).unwrap();
                seen.push(format!("{}/{} {text}", origin.pod, origin.container));
                Ok(())
            };
            self.tails.turn(&self.bell, &mut sink).unwrap()
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.root));
        }
    }

    #[test]
    fn containers_that_come_later_are_followed_from_their_first_line() {
        let mut bench = Bench::new("follow");
        bench.turn();
        let pods = [1, 2].map(Bench::pod);
        for pod in &pods {
            bench.writer(pod).take(Stream::Stdout, b"hello\n", Timestamp::UNIX_EPOCH);
            bench.turn();
        }
        assert_eq!(bench.seen, ["default/pod-1/main hello", "default/pod-2/main hello"]);
        let logs = bench.logs(&pods[0]);
        assert!(bench.tails.is_read(&logs, "main", 0));
        bench.tails.close(logs, &bench.bell, &mut |_, _| panic!("nothing is read twice")).unwrap();
        assert_eq!(bench.tails.pods.len(), 1);
        bench.turn();
        assert_eq!((bench.tails.pods.len(), bench.seen.len()), (1, 2));
    }

    #[test]
    fn a_flood_keeps_nobody_waiting_and_is_read_to_its_end() {
        let mut bench = Bench::new("flood");
        let pods = [1, 2].map(Bench::pod);
        bench.writer(&pods[0]).take(Stream::Stdout, &b"flood\n".repeat(100_000), Timestamp::UNIX_EPOCH);
        bench.writer(&pods[1]).take(Stream::Stdout, b"drop\n", Timestamp::UNIX_EPOCH);
        assert_eq!(bench.turn(), Left::More);
        assert_eq!(bench.seen.last().unwrap(), "default/pod-2/main drop");
        assert!(!bench.tails.is_read(&bench.logs(&pods[0]), "main", 0));
        assert!(bench.tails.is_read(&bench.logs(&pods[1]), "main", 0));
        while bench.turn() == Left::More {}
        assert_eq!(bench.seen.len(), 100_001);
    }

    #[test]
    fn who_gives_up_says_what_is_not_read() {
        let mut bench = Bench::new("give-up");
        let pod = Bench::pod(1);
        bench.turn();
        let mut log = bench.writer(&pod);
        log.take(Stream::Stdout, b"one\n", Timestamp::UNIX_EPOCH);
        bench.turn();
        assert_eq!(bench.tails.give_up().unwrap(), []);
        log.take(Stream::Stdout, b"two\n", Timestamp::UNIX_EPOCH);
        let unread = bench.tails.give_up().unwrap();
        let line = "1970-01-01T00:00:00.000000000Z stdout F two\n".len() as u64;
        assert_eq!(unread, [(Origin { pod, container: "main".into() }, line)]);
        assert!(!bench.root.join("reading").exists());
    }
}
