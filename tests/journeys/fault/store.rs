//! Something fails while the image store is collected.

use std::fs;

use super::boundaries;
use super::{OF_STORE, say};
use crate::bench::Bench;
use crate::bench::census::list;
use crate::image::made::Made;

#[test]
fn a_store_that_is_cut_off_while_it_is_collected_is_whole_and_the_next_time_is_clean() {
    let (Some(bench), Some(image)) = (Bench::new(), Made::new("hello")) else { return };
    if !cfg!(debug_assertions) {
        return say("skipped: without debug assertions nothing fails on purpose");
    }
    let (archive, order) = (bench.path("image.tar"), bench.path("s/failpoint"));
    image.write_docker_archive(&archive, "image:1");
    let load = || {
        bench.run(&["image", "load", archive.to_str().unwrap()]).exits(0);
        bench.run(&["image", "verify"]).exits(0);
    };
    assert!(OF_STORE.iter().all(|name| boundaries::all().contains_key(*name)));
    for boundary in OF_STORE {
        for (fault, code) in [("kill", -1), ("EIO", 1), ("ENOSPC", 1), ("delay", 0)] {
            load();
            fs::write(&order, format!("{fault} 1 {boundary}")).unwrap();
            let collecting = bench.start(&["image", "rm", "image:1"]);
            bench.until("it comes there", || !order.exists());
            if fault == "delay" {
                // What is brought in meanwhile is there afterwards.
                load();
            }
            let mut collecting = collecting;
            assert_eq!(collecting.child.wait().unwrap().code().unwrap_or(-1), code, "{fault} at {boundary}");
            if fault == "delay" {
                bench.run(&["image", "verify"]).exits(0).says("image:1 whole");
                bench.run(&["image", "rm", "image:1"]).exits(0);
            }
            bench.run(&["image", "prune"]).exits(0);
            for place in ["refs", "layers", "manifests", "tmp"] {
                let left = list(&bench.path("s/images").join(place));
                assert!(left.is_empty(), "{fault} at {boundary}: {place} has {left:?}");
            }
        }
    }
}
