use super::*;
use crate::manifest::revive;

const OBJECTS: &str = include_str!("tests/objects.json");
const EVENTS: &str = include_str!("tests/events.json");
/// What kubectl 1.32 prints of these objects. It tells ages by today's clock: those are written in by hand, and so are
/// selectors that the API server would have written into Jobs, and what it does not tell of CronJobs.
const DESCRIBED: &str = include_str!("tests/described.txt");

#[test]
fn objects_are_described_as_kubectl_describes_them() {
    let now = "2026-01-02T03:10:00Z".parse().unwrap();
    let objects: Vec<Value> = serde_json::from_str(OBJECTS).unwrap();
    let events: Vec<Event> = serde_json::from_str(EVENTS).unwrap();
    let described: Vec<String> =
        ["web", "bare", "settings", "empty", "keys", "batch", "squares", "plain", "nightly", "paused"]
            .into_iter()
            .map(|name| {
                let full = objects.iter().find(|object| object["metadata"]["name"] == name).unwrap();
                let mut authored = full.clone();
                authored.as_object_mut().unwrap().remove("status");
                let about: &[Event] = if name == "web" { &events } else { &[] };
                described(&revive(&authored).unwrap(), full, Some(about), &TimeZone::UTC, now)
            })
            .collect();
    assert_eq!(described.join("\n\n"), DESCRIBED);
}

#[test]
fn a_description_cannot_command_the_terminal() {
    let mut sheet = Sheet::default();
    sheet.field(0, "Message", "\u{1b}[2Jx\ry");
    assert_eq!(sheet.aligned(), "Message:  ^[[2Jx\\ry\n");
}
