use std::path::PathBuf;

use super::*;

struct Ground(PathBuf);

impl Ground {
    fn new(name: &str) -> Ground {
        let path = std::env::temp_dir().join(format!("droppod-publish-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Ground(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn of_many_files_one_that_cannot_be_written_keeps_no_other_from_it() {
    let ground = Ground::new("many");
    let count = AT_ONCE + 3;
    let mut files: Vec<io::Result<(PathBuf, Vec<u8>)>> =
        (0..count).map(|n| Ok((ground.0.join(format!("{n:03}")), n.to_string().into_bytes()))).collect();
    files[1] = Ok((ground.0.join("none/001"), b"1".to_vec()));
    files[2] = Err(io::Error::other("not made"));
    let published = publish_all(files, 0o600, Durability::Durable);
    let failed: Vec<usize> = (0..count).filter(|n| published[*n].is_err()).collect();
    assert_eq!(failed, [1, 2]);
    let expected: Vec<String> =
        (0..count).filter(|n| ![1, 2].contains(n)).map(|n| format!("{n:03}")).collect();
    assert_eq!(ground.names(), expected);
    assert_eq!(std::fs::read_to_string(ground.0.join(&expected[130 - 2])).unwrap(), "130");
}

#[test]
fn a_content_that_is_refused_its_name_leaves_what_was_there() {
    let ground = Ground::new("refused");
    std::fs::create_dir(ground.0.join("name")).unwrap();
    std::fs::write(ground.0.join("name/inside"), "kept").unwrap();
    publish(&ground.0.join("name"), b"content", 0o600, Durability::Whole).unwrap_err();
    assert_eq!(ground.names(), ["name"]);
    assert_eq!(std::fs::read_to_string(ground.0.join("name/inside")).unwrap(), "kept");
}
