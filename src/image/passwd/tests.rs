use std::os::unix::fs::symlink;

use super::{Account, AccountError, look_up, read};
use crate::image::tests::{Place, open};
use crate::model::pod_plan::UserPlan;

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nbroken line\napp:x:1000:1001::/srv/app:/bin/sh\nbig:x:4294967295:0::/:\n";
const GROUP: &str = "root:x:0:\napp:x:1001:\nwheel:x:10:root,app\naudio:x:63:app\nbad:x:99999999999:app\n";

fn plan(image_user: &str) -> UserPlan {
    UserPlan {
        uid: None,
        gid: None,
        image_user: image_user.to_owned(),
        must_not_be_root: false,
        supplemental_groups: vec![2000, 10],
    }
}

fn is(uid: u32, gid: u32, groups: &[u32], home: &str) -> Account {
    Account { uid, gid, groups: groups.to_vec(), home: home.to_owned() }
}

#[test]
fn users_and_groups_are_looked_up_by_name_and_number() {
    let table = [
        ("", is(0, 0, &[10, 2000], "/root")),
        ("app", is(1000, 1001, &[10, 63, 2000], "/srv/app")),
        ("1000", is(1000, 1001, &[10, 63, 2000], "/srv/app")),
        ("app:wheel", is(1000, 10, &[63, 2000], "/srv/app")),
        ("1000:5", is(1000, 5, &[10, 63, 2000], "/srv/app")),
        ("4242", is(4242, 0, &[10, 2000], "/")),
        ("4242:app", is(4242, 1001, &[10, 2000], "/")),
        ("app:", is(1000, 1001, &[10, 63, 2000], "/srv/app")),
    ];
    for (user, expected) in table {
        assert_eq!(look_up(&plan(user), PASSWD, GROUP).unwrap(), expected, "{user}");
    }
}

#[test]
fn run_as_user_overrides_the_image() {
    let wanted = UserPlan { uid: Some(1000), ..plan("root:wheel") };
    assert_eq!(look_up(&wanted, PASSWD, GROUP).unwrap(), is(1000, 1001, &[10, 63, 2000], "/srv/app"));
    let wanted = UserPlan { uid: Some(7), gid: Some(8), ..plan("app") };
    assert_eq!(look_up(&wanted, PASSWD, GROUP).unwrap(), is(7, 8, &[10, 2000], "/"));
}

#[test]
fn what_is_not_there_or_out_of_range_is_refused() {
    for user in ["nobody", "-1", "4294967295", "2147483648", "big", "+5"] {
        assert!(matches!(look_up(&plan(user), PASSWD, GROUP), Err(AccountError::NoUser(_))), "{user}");
    }
    for user in ["app:none", "app:4294967296"] {
        assert!(matches!(look_up(&plan(user), PASSWD, GROUP), Err(AccountError::NoGroup(_))), "{user}");
    }
    for user in ["", "0", "root"] {
        let wanted = UserPlan { must_not_be_root: true, ..plan(user) };
        assert!(matches!(look_up(&wanted, PASSWD, GROUP), Err(AccountError::IsRoot)), "{user}");
    }
}

#[test]
fn account_files_are_read_inside_the_root_and_never_waited_for() {
    let place = Place::new();
    let root = place.make("root");
    let path = std::path::Path::new("etc/passwd");
    assert_eq!(read(open(&root), path).unwrap(), "");
    place.make("root/etc");
    place.write("outside", b"host:x:1:1::/:");
    symlink(place.0.join("outside"), root.join("etc/passwd")).unwrap();
    assert_eq!(read(open(&root), path).unwrap(), "");
    std::fs::remove_file(root.join("etc/passwd")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("etc/passwd"), 0o600.into()).unwrap();
    assert_eq!(read(open(&root), path).unwrap_err().to_string(), "etc/passwd is not a regular file");
    std::fs::remove_file(root.join("etc/passwd")).unwrap();
    std::fs::write(root.join("etc/passwd"), vec![b'x'; 2 << 20]).unwrap();
    assert_eq!(read(open(&root), path).unwrap_err().to_string(), "etc/passwd is over 1 MiB");
}
