//! An instance of an `up`: below the machine's own, gone at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::input::Input;
use crate::cli::settings::{Settings, canonical};
use crate::cli::{departure, tell};
use crate::daemon::{BatchReport, PodReport, Root, Select};
use crate::model::object::ObjectRecord;
use crate::model::observed::Finished;
use crate::model::record::PodRecord;
use crate::paths::Places;
use crate::publish::{Durability, publish, remove_tree};
use crate::rundir::{lock, objects, pods};
use crate::sandbox::instance::RunDirectory;
use crate::sandbox::instance::up::{self, Up};

/// An instance below the machine's own, sharing only its images.
pub(super) struct Session(Up);

/// What commands that were killed have left. It is in nobody's way, so what cannot be removed is only told.
pub(in crate::cli) fn sweep_dead(machine: &Places) {
    if let Err(error) = up::sweep_dead(machine) {
        tell(&format!("warning: cannot remove what an `up` that was killed has left: {error}"));
    }
}

impl Session {
    pub(super) fn open(settings: &Settings) -> Result<Session, Failure> {
        let failed =
            |error| Failure::new(Exit::Failed, "cannot make an instance for this run").because(error);
        sweep_dead(&settings.places);
        let up = up::make(&settings.places).map_err(failed)?;
        Ok(Session(up))
    }

    /// Directories and files where they lie, so that relative paths in them mean what they say.
    pub(super) fn roots_of(&self, named: &[PathBuf], inputs: &[Input]) -> Result<Vec<Root>, Failure> {
        let mut directories = BTreeSet::new();
        for directory in named.iter().filter(|path| path.is_dir()) {
            let path = canonical(directory).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot read {}", directory.display())).because(error)
            })?;
            directories.insert(path);
        }
        let mut files: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut copies = Vec::new();
        for input in inputs {
            match input.path.as_deref().map(|path| (path, path.file_name())) {
                Some((path, _)) if directories.iter().any(|directory| path.starts_with(directory)) => {}
                Some((_, Some(name))) => {
                    files.entry(&input.base).or_default().insert(name.into());
                }
                Some((_, None)) | None => copies.push(input),
            }
        }
        let within_another =
            |path: &PathBuf| path.ancestors().skip(1).any(|above| directories.contains(above));
        let whole = directories.iter().filter(|path| !within_another(path));
        let mut roots: Vec<Root> =
            whole.map(|path| Root { path: path.clone(), select: Select::All }).collect();
        let picked = files.into_iter();
        roots
            .extend(picked.map(|(base, files)| Root { path: base.to_owned(), select: Select::Files(files) }));
        if !copies.is_empty() {
            roots.push(self.root_of_copies(&copies)?);
        }
        Ok(roots)
    }

    /// A folder with what is not in a file.
    pub(super) fn root_of_copies(&self, inputs: &[&Input]) -> Result<Root, Failure> {
        let path = self.0.places.state.join("input");
        for (number, input) in inputs.iter().enumerate() {
            let file = path.join(format!("{number}.yaml"));
            let written = std::fs::create_dir_all(&path)
                .and_then(|()| publish(&file, &input.text, 0o600, Durability::Volatile));
            written.map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot keep {}", input.name)).because(error)
            })?;
        }
        Ok(Root { path, select: Select::All })
    }

    pub(super) fn places(&self) -> &Places {
        &self.0.places
    }

    /// Pods that were told to stop left nothing but their logs: what is known of them is put down again.
    pub(super) fn keep(self, report: Option<&BatchReport>) -> Result<(), Failure> {
        for one in report.iter().flat_map(|report| &report.pods) {
            self.keep_pod(one).map_err(|error| {
                Failure::new(Exit::Failed, format!("cannot keep the record of pod {}", one.pod))
                    .because(error)
            })?;
        }
        publish(&self.0.places.kept(), b"", 0o600, Durability::Volatile)
            .map_err(|error| Failure::new(Exit::Failed, "cannot mark the records as kept").because(error))?;
        tell(&self.where_to_look());
        Ok(())
    }

    fn keep_pod(&self, one: &PodReport) -> std::io::Result<()> {
        let (places, course) = (&self.0.places, &one.course);
        let Some(object) = &one.object else { return Ok(()) };
        objects::save(places, &ObjectRecord { deletion: None, ..(**object).clone() })?;
        match (course.record(), &course.waiting) {
            (Some(record), _) => {
                let outcome =
                    course.finished.as_ref().map_or_else(|| record.by_exits(), |end| end.outcome.clone());
                let record = PodRecord { outcome: Some(outcome.clone()), ..record.clone() };
                objects::finish(places, &one.pod.uid, &Finished { outcome, record })
            }
            (None, Some(waiting)) => pods::write_waiting(&places.pod(&one.pod.uid), waiting).map(drop),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn remove(self) -> Result<(), Failure> {
        let retired =
            self.remove_pods().and_then(|()| departure::retire(&self.0.places, RunDirectory::Remove));
        retired.map_err(|error| {
            let what = format!("cannot remove what is left in {}", self.0.places.run.display());
            Failure::new(Exit::Failed, what).because(error)
        })
    }

    /// Directories of pods that have ended or never started.
    fn remove_pods(&self) -> std::io::Result<()> {
        for uid in pods::list(&self.0.places)? {
            let pod = self.0.places.pod(&uid);
            if !lock::is_held(&pod.lock())? {
                remove_tree(&pod.0)?;
            }
        }
        Ok(())
    }

    fn where_to_look(&self) -> String {
        let Places { state, run, log, .. } = &self.0.places;
        let (state, run, log) = (state.display(), run.display(), log.display());
        let options = format!("--state-dir {state} --run-dir {run} --log-dir {log}");
        format!("kept; look with: droppod {options} get pods\nremove with:     droppod {options} down")
    }
}
