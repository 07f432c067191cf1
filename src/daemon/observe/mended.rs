//! Archives of images that could not be loaded and have been replaced since.

use crate::image::store;
use crate::model::image::ImageRef;
use crate::rundir::pulls::FailedPull;
use crate::sandbox::sys::clock;

/// How long an archive has to lie there unchanged to be taken for whole, in nanoseconds.
const SETTLED: i128 = 1_000_000_000;

/// Whether another archive lies there than the one that could not be loaded. One that is still being written to waits
/// for its next try like any other.
pub(super) fn is_mended(image: &ImageRef, failed: &FailedPull) -> bool {
    let version = store::version(image).filter(|version| failed.version != Some(*version));
    version.is_some_and(|(_, modified)| clock::wall().as_nanosecond() - modified >= SETTLED)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::model::image::LocalKind;
    use crate::model::observed::{Outlook, PullError};
    use crate::model::time::Moment;

    #[test]
    fn an_archive_is_tried_again_once_another_lies_there_whole() {
        let path = std::env::temp_dir().join(format!("droppod-mended-{}.tar", std::process::id()));
        let image = ImageRef::Local { kind: LocalKind::OciArchive, path: path.clone(), tag: None };
        let lay = |text: &str, age: Duration| {
            std::fs::write(&path, text).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let now = SystemTime::from(clock::wall());
            file.set_modified(now - age).unwrap();
        };
        let failed = || FailedPull {
            image: image.clone(),
            error: PullError { message: String::new(), tries: 1, outlook: Outlook::Final },
            retry_at: Moment(Duration::ZERO),
            version: store::version(&image),
        };
        let absent = failed();
        assert!(!is_mended(&image, &absent), "it is still not there");
        lay("broken", Duration::from_secs(60));
        let broken = failed();
        assert!(is_mended(&image, &absent) && !is_mended(&image, &broken));
        lay("whole again", Duration::from_secs(30));
        assert!(is_mended(&image, &broken));
        lay("half writ", Duration::ZERO);
        assert!(!is_mended(&image, &broken), "somebody is at it");
        std::fs::remove_file(&path).unwrap();
    }
}
