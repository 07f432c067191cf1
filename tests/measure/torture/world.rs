//! The world that is tortured: a watcher with a folder that is edited at random, an `up` in a folder of its own, a
//! registry to pull from.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::batch::Batch;
use crate::bench::census::list;
use crate::bench::{Bench, Running, let_pass};
use crate::dice::Dice;
use crate::kernel::{Held, Instance};
use crate::made::{Made, Planted};
use crate::manifest::{self, Declared, Kind, put};
use crate::registry::Registry;
use crate::rest;
use crate::truth::Truth;

/// Manifests in the watched folder.
const SLOTS: usize = 9;

pub(crate) struct World {
    pub(crate) watcher: Running,
    pub(crate) batch: Option<Batch>,
    pub(crate) dice: Dice,
    pub(crate) truth: Truth,
    slots: Vec<Slot>,
    /// Counts editions of manifests and runs of `up`.
    pub(crate) count: usize,
    /// Instances of `up` that were ever seen, and the commands' own pods among them.
    pub(crate) ups: BTreeMap<PathBuf, String>,
    pub(crate) registry: Option<Registry>,
    /// By a watcher that has no pods.
    fresh: Held,
    pub(crate) bench: Bench,
}

struct Slot {
    name: String,
    file: String,
    declared: Option<Declared>,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Remove,
    /// Another pod takes its place.
    Replace,
    Label,
    Image,
    /// The file alone.
    Rename,
    Rewrite,
}

impl World {
    /// `None`, and a line that says why, where there cannot be one.
    pub(crate) fn new(seed: u64) -> Option<World> {
        let bench = Bench::new()?;
        manifest::furnish(&bench)?;
        fs::create_dir(bench.path("u")).unwrap();
        let registry = Registry::start(&bench);
        if let Some(registry) = &registry {
            for number in 0..3 {
                // Layers of their own, or nothing would be left to pull.
                let text = format!("edition {number}");
                let image = Made::with(&text, &[("srv/edition", Planted::File(text.as_bytes()))])?;
                registry.push(&image, "team/app", &number.to_string());
            }
        }
        let slots = (0..SLOTS).map(|number| Slot {
            name: format!("p{number}"),
            file: format!("p{number}.yaml"),
            declared: None,
        });
        let watcher = bench.watch();
        Some(World {
            fresh: Held::by(watcher.child.id()),
            watcher,
            batch: None,
            dice: Dice::new(seed),
            truth: Truth::new(bench.path("t/log")),
            slots: slots.collect(),
            count: 0,
            ups: BTreeMap::new(),
            registry,
            bench,
        })
    }

    /// Files of the watched folder, and what they declare.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, &Declared)> {
        self.slots.iter().filter_map(|slot| Some((slot.file.as_str(), slot.declared.as_ref()?)))
    }

    /// Puts a watcher in the place of one that is gone.
    pub(crate) fn watch(&mut self) {
        self.watcher = self.bench.start(&["watch", self.bench.folder().to_str().unwrap()]);
    }

    /// Changes some of what is declared; what has come to rest first.
    pub(crate) fn stir(&mut self) {
        let records = Instance::of_bench(&self.bench).records();
        for _ in 0..=self.dice.below(3) {
            let is_weary = |slot: &Slot| rest::is_weary(&slot.name, &records);
            let weary: Vec<usize> = (0..SLOTS).filter(|at| is_weary(&self.slots[*at])).collect();
            match self.dice.pick(&weary).copied() {
                Some(at) if self.dice.percent(70) => self.change(at, Change::Replace),
                Some(_) | None => {
                    let at = self.dice.below(SLOTS);
                    let change = self.dice.weighed(&[
                        (12, Change::Remove),
                        (36, Change::Replace),
                        (15, Change::Label),
                        (15, Change::Image),
                        (12, Change::Rename),
                        (10, Change::Rewrite),
                    ]);
                    self.change(at, change);
                }
            }
        }
        self.age_batch();
    }

    /// Drops a pod with an image of the registry, in the place of any other.
    pub(crate) fn drop_pulled(&mut self, image: usize) {
        let at = self.dice.below(SLOTS);
        let mut declared = self.make(&self.slots[at].name.clone());
        declared.kind = Kind::Pulled;
        declared.image = image;
        self.declare(at, declared);
    }

    pub(crate) fn make(&mut self, name: &str) -> Declared {
        self.count += 1;
        let pulled = if self.registry.is_some() { 8 } else { 0 };
        Declared {
            name: name.to_owned(),
            kind: self.dice.weighed(&[
                (20, Kind::Endless),
                (16, Kind::Staged),
                (12, Kind::Ending),
                (12, Kind::Trying),
                (12, Kind::Once),
                (14, Kind::Job),
                (pulled, Kind::Pulled),
                (8, Kind::Shared),
            ]),
            salt: self.count,
            label: 0,
            image: self.dice.below(2),
            delay: self.dice.weighed(&[(4, 0), (4, 30), (2, 300)]),
        }
    }

    fn change(&mut self, at: usize, change: Change) {
        let slot = &self.slots[at];
        let Some(mut declared) = slot.declared.clone() else {
            let declared = self.make(&slot.name.clone());
            return self.declare(at, declared);
        };
        match change {
            Change::Remove => {
                self.stop(at);
                fs::remove_file(self.bench.folder().join(&self.slots[at].file)).unwrap();
                self.slots[at].declared = None;
                return;
            }
            Change::Replace => declared = self.make(&declared.name),
            Change::Label => declared.label += 1,
            Change::Image => declared.image = 1 - declared.image.min(1),
            Change::Rename => {
                let slot = &mut self.slots[at];
                let file = if slot.file.contains("moved") {
                    format!("{}.yaml", slot.name)
                } else {
                    format!("{}-moved.yaml", slot.name)
                };
                fs::rename(self.bench.folder().join(&slot.file), self.bench.folder().join(&file)).unwrap();
                slot.file = file;
                return;
            }
            Change::Rewrite => {}
        }
        self.declare(at, declared);
    }

    fn declare(&mut self, at: usize, declared: Declared) {
        match &self.slots[at].declared {
            Some(before) if (before.kind, before.salt) != (declared.kind, declared.salt) => self.stop(at),
            Some(before) if before.image != declared.image => match declared.kind {
                // What has ended runs again as another pod, as all that a Job's template makes.
                Kind::Job | Kind::Once | Kind::Trying => self.stop(at),
                _ => self.truth.changes_image_of(&declared.name),
            },
            Some(_) | None => {}
        }
        put(&self.bench.folder(), &self.slots[at].file, &declared.text(&self.bench));
        self.slots[at].declared = Some(declared);
    }

    /// Pods of this name are told to stop from here on.
    fn stop(&mut self, at: usize) {
        let records = Instance::of_bench(&self.bench).records();
        for uid in records.named(&self.slots[at].name) {
            self.truth.stops(uid);
        }
    }

    /// What only droppod can list: interfaces that are pinned, host ports.
    pub(crate) fn listed_by_droppod(&self) -> Option<String> {
        let ran = self.bench.run(&["doctor", "--census"]);
        (ran.code != 0).then(|| format!("doctor --census: {}{}", ran.stdout, ran.stderr))
    }

    /// What is slow to go wrong, in a world at rest: images, what the watcher holds, and what anybody said in dying.
    pub(crate) fn weariness(&self) -> Result<(), String> {
        let ran = self.bench.run(&["image", "verify"]);
        if ran.code != 0 {
            return Err(format!("image verify: {}{}", ran.stdout, ran.stderr));
        }
        for name in ["err", "up.err"] {
            let said = fs::read_to_string(self.bench.path(name)).unwrap_or_default();
            if let Some(line) = said.lines().find(|line| line.contains("panicked")) {
                return Err(format!("{name}: {line}"));
            }
        }
        let held = Held::by(self.watcher.child.id());
        let bound = self.fresh.with(list(&self.bench.path("r/pods")).len());
        if held.descriptors > bound.descriptors || held.kibibytes > bound.kibibytes {
            return Err(format!("the watcher holds {held:?}, and should at most {bound:?}"));
        }
        Ok(())
    }

    /// Declares nothing any more; then nothing may be left.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        for at in 0..SLOTS {
            if self.slots[at].declared.is_some() {
                self.change(at, Change::Remove);
            }
        }
        self.stop_batch();
        while self.batch.is_some() {
            self.tend_batch()?;
            let_pass(Duration::from_millis(10));
        }
        self.settle()?;
        self.weariness()?;
        let left = self.bench.census();
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    }
}
