use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::Mode;

use super::settle::Hint;
use super::*;
use crate::daemon::tests::ground::{Ground, write};
use crate::model::time::Timestamp;

fn at(seconds: u64) -> Now {
    // Far from the files' own times, so that none of them counts as fresh.
    let wall = Timestamp::from_second(4_000_000_000).unwrap();
    Now { wall, boot: Moment(Duration::from_secs(1_000 + seconds)) }
}

fn open(ground: &Ground, trust: Trust) -> Folder {
    let root = Root { path: ground.folder("manifests"), select: Select::All };
    Folder::open(root, trust, Sight::Events, &ground.places()).unwrap()
}

fn seen(look: Look) -> News {
    match look {
        Look::Seen(news) => *news,
        Look::Lost(why) | Look::Refused(why) => panic!("not seen: {why}"),
    }
}

fn names(paths: impl IntoIterator<Item = PathBuf>) -> Vec<String> {
    paths.into_iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn manifests_are_found_in_subdirectories_and_what_is_switched_off_is_not() {
    let ground = Ground::new();
    let folder = ground.folder("manifests");
    for name in ["b.yaml", "a.yml", "sub/c.json", "off.yaml", "off.yaml.skip", "notes.txt", ".git/x.yaml"] {
        write(&folder.join(name), "x");
    }
    write(&folder.join("drafts/.droppodignore"), "*.yaml\n!keep.yaml\nold/\n");
    for name in ["drafts/a.yaml", "drafts/keep.yaml", "drafts/b.yml", "drafts/old/c.json", "a.status.yaml"] {
        write(&folder.join(name), "x");
    }
    let news = seen(open(&ground, Trust::Checked).look(&ground.places(), HasObjects::No, at(0)));
    assert_eq!(names(news.present), ["a.yml", "b.yaml", "drafts/b.yml", "drafts/keep.yaml", "sub/c.json"]);
    assert_eq!(names(news.read.into_keys()).len(), 5);
    let beside = news.beside.unwrap();
    assert_eq!((names(beside.orphans), beside.bare.len()), (vec!["a.status.yaml".to_owned()], 5));
}

#[test]
fn links_are_followed_inside_the_folder_only_and_nothing_but_files_is_read() {
    let ground = Ground::new();
    let folder = ground.folder("manifests");
    write(&folder.join("store/real.txt"), "inside");
    write(&ground.path("secret.txt"), "outside");
    symlink("store/real.txt", folder.join("inside.yaml")).unwrap();
    symlink("../secret.txt", folder.join("outside.yaml")).unwrap();
    symlink(ground.path("secret.txt"), folder.join("absolute.yaml")).unwrap();
    symlink("/proc/self/root/etc/hostname", folder.join("magic.yaml")).unwrap();
    symlink("nowhere", folder.join("dangling.yaml")).unwrap();
    std::fs::create_dir(folder.join("directory.yaml")).unwrap();
    let fifo = folder.join("fifo.yaml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
    write(&folder.join("large.yaml"), &" ".repeat(1024 * 1024 + 1));
    let news = seen(open(&ground, Trust::Checked).look(&ground.places(), HasObjects::No, at(0)));
    assert_eq!(names(news.read.into_keys()), ["inside.yaml"]);
    assert_eq!(
        names(news.odd.into_keys()),
        ["absolute.yaml", "dangling.yaml", "fifo.yaml", "large.yaml", "magic.yaml", "outside.yaml"]
    );
}

#[test]
fn a_file_is_read_again_only_when_it_differs() {
    let ground = Ground::new();
    let web = ground.folder("manifests").join("web.yaml");
    write(&web, "one");
    let mut folder = open(&ground, Trust::Checked);
    let places = ground.places();
    assert_eq!(seen(folder.look(&places, HasObjects::No, at(0))).read.len(), 1);
    assert_eq!(seen(folder.look(&places, HasObjects::No, at(1))).read.len(), 0);
    write(&web, "another");
    let read = seen(folder.look(&places, HasObjects::No, at(2))).read;
    assert_eq!(read.into_values().collect::<Vec<_>>(), [b"another".to_vec()]);
    assert_eq!(seen(folder.look(&places, HasObjects::No, at(3))).read.len(), 0);
    assert_eq!(seen(folder.look(&places, HasObjects::No, at(603))).read.len(), 1, "all, every ten minutes");
}

#[test]
fn a_look_at_everything_tells_of_what_is_not_as_it_was_and_of_nothing_else() {
    let ground = Ground::new();
    let root = ground.folder("manifests");
    for name in ["a.yaml", "b.yaml", "sub/c.yaml", "d.yaml", "e.yaml"] {
        write(&root.join(name), "x");
    }
    let mut folder = open(&ground, Trust::Checked);
    let places = ground.places();
    let mut look = |second: u64| {
        let news = seen(folder.look(&places, HasObjects::No, at(second)));
        (news.part.map(names), names(news.present), names(news.read.into_keys()))
    };
    assert_eq!((look(0).0, look(1)), (None, (Some(vec![]), vec![], vec![])));
    write(&root.join("b.yaml"), "another");
    std::fs::remove_file(root.join("d.yaml")).unwrap();
    std::fs::rename(root.join("sub"), root.join("other")).unwrap();
    symlink("/nowhere", root.join("e.link")).unwrap();
    std::fs::rename(root.join("e.link"), root.join("e.yaml")).unwrap();
    let told = ["b.yaml", "d.yaml", "e.yaml", "other/c.yaml", "sub/c.yaml"].map(str::to_owned).to_vec();
    let (part, present, read) = look(2);
    assert_eq!(part, Some(told));
    assert_eq!(present, ["b.yaml", "e.yaml", "other/c.yaml"]);
    assert_eq!(read, ["b.yaml", "other/c.yaml"]);
    assert_eq!(look(3).0, Some(vec![]));
    assert_eq!(look(603).2.len(), 3, "all are read every ten minutes");
}

#[test]
fn status_files_that_lie_beside_no_manifest_are_told_apart() {
    let ground = Ground::new();
    let root = ground.folder("manifests");
    for name in ["a.yaml", "b.json", "off.yaml", "off.yaml.skip", "a.status.yaml", "b.json.status.yaml"] {
        write(&root.join(name), "x");
    }
    for name in ["off.status.yaml", "gone.status.yaml", "sub/a.status.yaml", ".a.status.yaml.7.tmp"] {
        write(&root.join(name), "x");
    }
    let news = seen(open(&ground, Trust::Checked).look(&ground.places(), HasObjects::No, at(0)));
    let orphans = [".a.status.yaml.7.tmp", "gone.status.yaml", "off.status.yaml", "sub/a.status.yaml"];
    let beside = news.beside.unwrap();
    assert_eq!((names(beside.orphans), names(beside.bare)), (orphans.map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn a_file_that_others_can_write_to_is_refused_unless_the_user_named_it() {
    let ground = Ground::new();
    let web = ground.folder("manifests").join("web.yaml");
    write(&web, "x");
    std::fs::set_permissions(&web, PermissionsExt::from_mode(0o666)).unwrap();
    let mut folder = open(&ground, Trust::Checked);
    let news = seen(folder.look(&ground.places(), HasObjects::No, at(0)));
    assert!(news.read.is_empty() && news.odd.len() == 1, "{news:?}");
    let news = seen(open(&ground, Trust::NamedByUser).look(&ground.places(), HasObjects::No, at(0)));
    assert_eq!(news.read.len(), 1);
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let ground = Ground::new();
    let path = ground.folder("manifests");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
    let root = Root { path, select: Select::All };
    let refused = Folder::open(root, Trust::Checked, Sight::Events, &ground.places());
    assert!(matches!(refused, Err(FolderError::Untrusted { .. })), "{refused:?}");
}

#[test]
fn a_second_watch_of_the_same_folder_is_kept_out() {
    let ground = Ground::new();
    let first = open(&ground, Trust::Checked);
    let root = Root { path: ground.folder("manifests"), select: Select::All };
    let second = Folder::open(root, Trust::Checked, Sight::Events, &ground.places());
    assert!(matches!(second, Err(FolderError::Held { .. })), "{second:?}");
    drop(first);
}

#[test]
fn a_folder_that_vanished_is_lost_until_its_loss_is_accepted() {
    let ground = Ground::new();
    let places = ground.places();
    write(&ground.folder("manifests").join("web.yaml"), "x");
    let mut folder = open(&ground, Trust::Checked);
    seen(folder.look(&places, HasObjects::No, at(0)));
    std::fs::rename(ground.path("manifests"), ground.path("away")).unwrap();
    assert!(matches!(folder.look(&places, HasObjects::Yes, at(1)), Look::Lost(_)));
    std::fs::rename(ground.path("away"), ground.path("manifests")).unwrap();
    assert_eq!(
        seen(folder.look(&places, HasObjects::Yes, at(2))).part,
        Some([].into()),
        "nothing has changed"
    );
    assert_eq!(folder.files.len(), 1);
    std::fs::remove_dir_all(ground.path("manifests")).unwrap();
    assert!(matches!(folder.look(&places, HasObjects::Yes, at(3)), Look::Lost(_)));
    identity::accept(&places, &folder.root.path).unwrap();
    assert_eq!(seen(folder.look(&places, HasObjects::Yes, at(4))).present.len(), 0);
}

#[test]
fn an_empty_folder_on_another_inode_is_lost_also_after_a_restart_and_a_full_one_is_taken() {
    let ground = Ground::new();
    let places = ground.places();
    write(&ground.folder("manifests").join("web.yaml"), "x");
    let mut folder = open(&ground, Trust::Checked);
    seen(folder.look(&places, HasObjects::No, at(0)));
    drop(folder);
    std::fs::rename(ground.path("manifests"), ground.path("away")).unwrap();
    let mut folder = open(&ground, Trust::Checked);
    assert!(matches!(folder.look(&places, HasObjects::Yes, at(1)), Look::Lost(_)));
    write(&ground.path("manifests/other.yaml"), "y");
    assert_eq!(names(seen(folder.look(&places, HasObjects::Yes, at(2))).present), ["other.yaml"]);
    std::fs::remove_file(ground.path("manifests/other.yaml")).unwrap();
    let emptied = seen(folder.look(&places, HasObjects::Yes, at(3)));
    assert!(emptied.present.is_empty(), "the same directory, emptied by hand");
}

#[test]
fn a_change_leaves_the_folder_restless_for_150_ms() {
    let ground = Ground::new();
    let places = ground.places();
    let mut folder = open(&ground, Trust::Checked);
    assert_eq!(seen(folder.look(&places, HasObjects::No, at(0))).restless_until, None);
    write(&ground.path("manifests/web.yaml"), "x");
    let news = seen(folder.look(&places, HasObjects::No, at(1)));
    assert_eq!(news.restless_until, Some(at(1).boot + settle::QUIET));
    assert_eq!(seen(folder.look(&places, HasObjects::No, at(2))).restless_until, None);
}

/// What a look at all that is in the folder finds.
fn all_of(ground: &Ground) -> Vec<String> {
    names(seen(open(ground, Trust::NamedByUser).look(&ground.places(), HasObjects::No, at(0))).present)
}

#[test]
fn a_look_at_what_events_tell_of_finds_what_a_look_at_everything_would() {
    let ground = Ground::new();
    let root = ground.folder("manifests");
    write(&root.join("web.yaml"), "x");
    write(&root.join("sub/one.yaml"), "x");
    write(&root.join("sub/.droppodignore"), "draft-*\n");
    let mut folder = open(&ground, Trust::Checked);
    let places = ground.places();
    folder.rely_on_events();
    let mut now = 0;
    let mut look = |hint: Hint| {
        now += 1;
        folder.settling.hear(hint, at(now).boot);
        let news = seen(folder.look(&places, HasObjects::No, at(now)));
        // An event that leads to a look at everything does so until the folder is at rest.
        now += 1;
        seen(folder.look(&places, HasObjects::No, at(now)));
        let known = names(folder.files.keys().cloned());
        assert_eq!(known, all_of(&ground));
        let is_part = news.beside.is_none();
        (news.part.filter(|_| is_part).map(names), known.len())
    };
    assert_eq!(look(Hint::Other), (None, 2));

    let file = |name: &str| Some(vec![name.to_owned()]);
    write(&root.join("new.yaml"), "x");
    assert_eq!(look(Hint::Closed("new.yaml".into())), (file("new.yaml"), 3));
    write(&root.join("sedAbCd"), "x");
    assert_eq!(look(Hint::Closed("sedAbCd".into())), (Some(vec![]), 3));
    std::fs::rename(root.join("sedAbCd"), root.join("web.yaml")).unwrap();
    assert_eq!(look(Hint::Arrived("web.yaml".into())), (file("web.yaml"), 3));
    write(&root.join("sub/draft-a.yaml"), "x");
    assert_eq!(look(Hint::Closed("sub/draft-a.yaml".into())), (file("sub/draft-a.yaml"), 3));
    write(&root.join("off.yaml.skip"), "");
    assert_eq!(look(Hint::Other), (None, 3));
    write(&root.join("off.yaml"), "x");
    assert_eq!(look(Hint::Closed("off.yaml".into())), (file("off.yaml"), 3));
    write(&root.join(".hidden/a.yaml"), "x");
    assert_eq!(look(Hint::Closed(".hidden/a.yaml".into())), (file(".hidden/a.yaml"), 3));
    std::fs::remove_file(root.join("new.yaml")).unwrap();
    assert_eq!(look(Hint::Went("new.yaml".into())), (file("new.yaml"), 2));

    std::fs::rename(root.join("sub"), root.join("sub.yaml")).unwrap();
    assert_eq!(look(Hint::Arrived("sub.yaml".into())), (None, 2), "a directory has come");
    std::fs::rename(root.join("sub.yaml"), ground.path("elsewhere")).unwrap();
    assert_eq!(look(Hint::Touched("sub.yaml".into())), (None, 1), "a directory has gone");
    symlink("web.yaml", root.join("link.yaml")).unwrap();
    assert_eq!(look(Hint::Touched("link.yaml".into())), (file("link.yaml"), 2));
}
