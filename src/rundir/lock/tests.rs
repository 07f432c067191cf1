use super::*;

#[test]
fn a_lock_held_for_a_moment_is_taken_after_it() {
    let path = std::env::temp_dir().join(format!("droppod-lock-{}", std::process::id()));
    let mut looks = Lock::try_take(&path).unwrap();
    assert!(looks.is_some());
    let mut attempts = 0;
    let taken = patiently(|| {
        attempts += 1;
        if attempts == 3 {
            looks = None;
        }
        Lock::try_take(&path)
    });
    assert!(taken.unwrap().is_some());
    assert_eq!(attempts, 3);
    std::fs::remove_file(path).unwrap();
}
