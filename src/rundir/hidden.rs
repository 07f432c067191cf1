//! `hidden.json`: what an instance's manifests are read from, and what else of its caller's holds secrets. The root of
//! the machine that a container is given does not show it.

use std::io;
use std::path::{Path, PathBuf};

use crate::paths::Places;
use crate::publish::{Durability, publish_json, read_json};

/// Absolute paths, of files and directories that need not be there.
pub(crate) fn write(places: &Places, paths: &[PathBuf]) -> io::Result<()> {
    publish_json(&places.hidden(), &paths, Durability::Volatile)?;
    Ok(())
}

/// What is to be hidden from pods of this instance: its own paths, and those of the instances that it shares the machine's
/// run directory with.
pub(crate) fn read(places: &Places) -> io::Result<Vec<PathBuf>> {
    let machine = machine(places);
    let mut paths = Vec::new();
    let ups = match std::fs::read_dir(machine.ups()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?,
    };
    for run in std::iter::once(machine.run).chain(ups) {
        let told: Option<Vec<PathBuf>> = read_json(&Places { run, ..places.clone() }.hidden())?;
        paths.extend(told.into_iter().flatten());
    }
    Ok(paths)
}

/// An `up` lies below the run directory of the machine.
fn machine(places: &Places) -> Places {
    let above = places.run.parent().filter(|above| above.ends_with("up")).and_then(Path::parent);
    Places { run: above.unwrap_or(&places.run).to_owned(), ..places.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::InstanceId;

    #[test]
    fn instances_of_one_machine_hide_what_the_others_read() {
        let place = std::env::temp_dir().join(format!("droppod-hidden-{}", std::process::id()));
        let at = |run: &str| Places {
            state: place.join("s"),
            run: place.join(run),
            log: place.join("l"),
            images: place.join("s/images"),
            id: InstanceId("0".to_owned()),
        };
        let (machine, one, other) = (at("r"), at("r/up/1"), at("r/up/2"));
        std::fs::create_dir_all(&machine.run).unwrap();
        assert_eq!(read(&machine).unwrap(), Vec::<PathBuf>::new());
        for (places, path) in [(&machine, "/pods"), (&one, "/one.yaml"), (&other, "/other.yaml")] {
            std::fs::create_dir_all(&places.run).unwrap();
            write(places, &[path.into()]).unwrap();
        }
        for places in [&machine, &one, &other] {
            let mut hidden = read(places).unwrap();
            hidden.sort();
            assert_eq!(hidden, ["/one.yaml", "/other.yaml", "/pods"].map(PathBuf::from));
        }
        std::fs::remove_dir_all(place).unwrap();
    }
}
