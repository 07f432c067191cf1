//! By the terminal of whoever runs something in a container.

use crate::bench::Bench;

/// Pushes six keys into its terminal, as if somebody had typed them (TIOCSTI), and pastes what is selected on it, if it is a
/// console (TIOCLINUX).
const PUSH: &str = "perl -e '$| = 1; my $n; $n += !!ioctl(STDIN, 0x5412, $_) for split //, qq(typed\\n); \
                    print qq(pushed $n, ), ioctl(STDIN, 0x541c, my $paste = qq(\\3)) ? qq(pasted) : $!, qq(\\n)'";

/// What lies in the terminal for whoever reads next, as the shell does that somebody has started this from.
const LEFT: &str = "stty -icanon min 0 time 0; echo \"left <$(head -c 99)>\"";

#[test]
fn keys_are_pushed_into_no_terminal_but_the_containers_own() {
    let Some(bench) = Bench::new() else { return };
    let shown = bench.at_terminal(&format!("{PUSH}; {LEFT}"), "");
    assert!(
        shown.contains("pushed 6,") && shown.contains("left <typed>"),
        "on the machine itself: {shown:?}"
    );

    let watch = bench.watch();
    bench.manifest(
        "one.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  \
         - {name: main, image: droppod.local/host, command: [sleep, '1000'], \
         securityContext: {capabilities: {add: [SYS_ADMIN]}}}\n",
    );
    bench.until_status("one", "Running");
    let shown = bench.run_on_terminal(&["exec -it one --", PUSH, ";", LEFT], "");
    let own = "pushed 6, Inappropriate ioctl for device";
    assert!(shown.contains(own) && shown.contains("left <>"), "by exec: {shown:?}");
    let run = "run -it --rm two --image=droppod.local/host --command --";
    let shown = bench.run_on_terminal(&[run, PUSH, ";", LEFT], "");
    assert!(shown.contains("Inappropriate ioctl") && shown.contains("left <>"), "by run: {shown:?}");
    bench.remove("one.yaml").until_clean();
    assert_eq!(watch.stop(), 0);
}
