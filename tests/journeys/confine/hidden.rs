//! What of the machine's root its pods do not see.

use std::fs;

use super::{has, pod, up};
use crate::bench::Bench;

#[test]
fn what_the_root_of_the_host_hides_is_hidden_and_can_be_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let state = bench.path("s");
    let script = format!(
        "cat /etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow- 2>&1 | grep -c :; ls -A /root /home {} 2>&1 | grep -vc ':$'; \
         ls /etc/ssh/*_key 2>/dev/null | wc -l; ls /usr/bin | wc -l",
        state.display()
    );
    let out = up(&bench, &pod("", "", &script));
    let said: Vec<&str> =
        out.lines().filter_map(|line| line.split_once("| ").map(|(_, said)| said)).collect();
    // A message of each missing file has a colon, no line of a password file is among them.
    assert_eq!(said[0], "4", "{out}");
    assert_eq!(said[2], "0", "host keys: {out}");
    assert!(said[3].parse::<u32>().unwrap() > 50, "{out}");
    let names = up(&bench, &pod("", "", "cat /etc/shadow 2>&1; echo over"));
    assert!(names.contains("No such file"), "{names}");
    let full = pod("", "", "grep -c ^root: /etc/shadow")
        .replace("{name: one}", "{name: one, annotations: {droppod.dev/host-root: full}}");
    assert!(up(&bench, &full).contains("| 1"));
}

const HUSH: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: hush}\nstringData: {word: hush}\n";

#[test]
fn manifests_that_are_run_are_not_seen_by_pods_on_the_hosts_root_and_what_lies_beside_them_is() {
    let Some(bench) = Bench::new() else { return };
    bench.manifest("hush.yaml", HUSH);
    let batch = bench.path("batch");
    fs::create_dir(&batch).unwrap();
    fs::write(batch.join("hush.yaml"), HUSH).unwrap();
    fs::write(batch.join("tool"), "a tool\n").unwrap();
    let script = format!(
        "cat {0}/tool; ls {0}; ls -A {1} 2>&1; grep -r 'word: hush' {0} {1} && echo told; true",
        batch.display(),
        bench.folder().display()
    );
    fs::write(batch.join("one.yaml"), pod("", "", &script)).unwrap();
    let named = |path: &std::path::Path| bench.run(&["up", "-f", path.to_str().unwrap()]).exits(0).stdout;
    for out in [named(&batch), named(&batch.join("one.yaml"))] {
        has(&out, &["| a tool", "| tool"]);
        assert!(!out.contains("one.yaml") && !out.contains(bench.folder().to_str().unwrap()), "{out}");
    }
    let out = named(&batch);
    assert!(!out.contains("hush.yaml") && !out.contains("| told"), "{out}");
    bench.until_clean();
}

#[test]
fn a_watched_folder_is_not_seen_by_pods_on_the_hosts_root_nor_what_comes_into_it() {
    let Some(bench) = Bench::new() else { return };
    let (folder, late) = (bench.folder(), bench.path("late"));
    bench.manifest("hush.yaml", HUSH).manifest("one.yaml", &pod("", "", "sleep 1000"));
    let watch = bench.start(&["--manifests", late.to_str().unwrap(), "watch", folder.to_str().unwrap()]);
    bench.until_status("one", "Running");
    fs::create_dir(&late).unwrap();
    fs::write(late.join("hush.yaml"), HUSH).unwrap();
    bench.manifest("more.yaml", &HUSH.replace("name: hush", "name: more"));
    let script = format!(
        "ls -A {} {} 2>&1; grep -rl 'word: hush' {}",
        folder.display(),
        late.display(),
        bench.path("").display()
    );
    let out = bench.run(&["exec", "one", "--", "bash", "-c", &script]).stdout;
    has(&out, &["No such file or directory"]);
    assert!(!out.contains(".yaml"), "{out}");
    bench.remove("one.yaml").remove("hush.yaml").remove("more.yaml");
    bench.until_clean();
    assert_eq!(watch.stop(), 0);
}
