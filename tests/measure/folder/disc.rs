//! A disc for a measure alone: a file system in a file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECTOR: u64 = 512;

/// Mounted, and gone with its place.
pub(super) struct Disc {
    place: PathBuf,
}

impl Disc {
    /// At a place that is made if it is not there; it notes accesses as discs do if nobody says otherwise.
    pub(super) fn mounted(place: PathBuf, mebibytes: u64) -> Disc {
        fs::create_dir_all(&place).unwrap();
        let image = place.with_extension("ext4");
        fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(&image)]);
        run("mount", &["-o", "loop,relatime", text(&image), text(&place)]);
        // A state directory that others can read is refused.
        run("chmod", &["0700", text(&place)]);
        fs::remove_file(image).unwrap();
        Disc { place }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Bytes that have been written, once all that is to be written is.
    pub(super) fn written(&self) -> u64 {
        run("sync", &["-f", text(&self.place)]);
        let source = Command::new("findmnt").args(["-no", "SOURCE", "-M"]).arg(&self.place).output().unwrap();
        let device = String::from_utf8(source.stdout).unwrap();
        let name = Path::new(device.trim()).file_name().unwrap().to_str().unwrap().to_owned();
        let stat = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        stat.split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * SECTOR
    }

    /// Takes what room there is, also what others have freed since.
    pub(super) fn fill(&self) {
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(self.place.join(".fill")).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub(super) fn make_room(&self) {
        fs::remove_file(self.place.join(".fill")).unwrap();
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
