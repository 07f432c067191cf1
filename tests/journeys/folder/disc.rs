//! A disc of its own for a folder, that can be harmed below the file system.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, say};

/// Bytes.
const BLOCK: u64 = 1024;

pub(crate) struct Disc {
    folder: PathBuf,
    image: PathBuf,
    device: String,
}

/// What stood where a directory was made unreadable.
pub(super) struct Harm(Vec<(u64, Vec<u8>)>);

impl Disc {
    /// `None`, and a line that says why, where no file can be mounted.
    pub(crate) fn mounted_on(folder: &Path, bench: &Bench) -> Option<Disc> {
        let image = bench.path("disc");
        File::create(&image).unwrap().set_len(4 << 20).unwrap();
        // Without a journal nothing is written but what somebody writes.
        let options = ["-q", "-b", "1024", "-O", "^has_journal", "-E", "root_owner=0:0"];
        assert!(Command::new("mkfs.ext4").args(options).arg(&image).status().unwrap().success());
        let options = ["-o", "loop,noatime,errors=continue"];
        let mount = Command::new("mount").args(options).arg(&image).arg(folder).output().unwrap();
        if !mount.status.success() {
            say(&format!("skipped: no file can be mounted: {}", String::from_utf8_lossy(&mount.stderr)));
            return None;
        }
        let source = Command::new("findmnt").args(["-no", "SOURCE"]).arg(folder).output().unwrap();
        let device = String::from_utf8(source.stdout).unwrap().trim().to_owned();
        Some(Disc { folder: folder.to_owned(), image, device })
    }

    /// Has the kernel forget what it has read, so that what is on the disc counts.
    fn forget(&self) {
        assert!(Command::new("blockdev").arg("--flushbufs").arg(&self.device).status().unwrap().success());
    }

    fn sync(&self) {
        assert!(Command::new("sync").arg("-f").arg(&self.folder).status().unwrap().success());
    }

    /// Makes a directory of the disc, such as `/team`, one that cannot be listed.
    pub(super) fn harm(&self, directory: &str) -> Harm {
        self.sync();
        let mut debugfs = Command::new("debugfs");
        let blocks = debugfs.args(["-R", &format!("blocks {directory}")]).arg(&self.image).output().unwrap();
        let blocks = String::from_utf8(blocks.stdout).unwrap();
        let image = OpenOptions::new().read(true).write(true).open(&self.image).unwrap();
        let harm = blocks.split_whitespace().map(|block| {
            let at = block.parse::<u64>().unwrap() * BLOCK;
            let mut content = vec![0; BLOCK as usize];
            image.read_exact_at(&mut content, at).unwrap();
            image.write_all_at(&vec![0xff; content.len()], at).unwrap();
            (at, content)
        });
        let harm = Harm(harm.collect());
        assert!(!harm.0.is_empty(), "{directory} is not on the disc");
        self.forget();
        harm
    }

    pub(super) fn mend(&self, harm: Harm) {
        let image = OpenOptions::new().write(true).open(&self.image).unwrap();
        for (at, content) in harm.0 {
            image.write_all_at(&content, at).unwrap();
        }
        self.forget();
    }

    /// Gives a file of the folder another content of the same length, of which neither events nor times tell: as another
    /// machine does that has the same disc.
    pub(crate) fn replace_behind(&self, file: &str, before: &str, after: &str) {
        assert_eq!(before.len(), after.len());
        self.sync();
        let content = fs::read(&self.image).unwrap();
        let image = OpenOptions::new().write(true).open(&self.image).unwrap();
        let found = content.windows(before.len()).enumerate().filter(|(_, part)| *part == before.as_bytes());
        for (at, _) in found {
            image.write_all_at(after.as_bytes(), at as u64).unwrap();
        }
        self.forget();
        let file = File::open(self.folder.join(file)).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

impl Drop for Disc {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.folder).status());
    }
}
