//! What the verbs of `image` do to the store.

use std::io::{self, Write};
use std::path::Path;

use crate::image::access::Access;
use crate::image::archive;
use crate::image::pull::{self, PullFailure};
use crate::image::store::{Collected, Store};
use crate::model::image::{BadImageRef, ImageRef};
use crate::model::time::Timestamp;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error(transparent)]
    Reference(#[from] BadImageRef),
    #[error("cannot pull {image}: {failure}")]
    Pull { image: ImageRef, failure: PullFailure },
    #[error("cannot load an image: {0}")]
    Load(PullFailure),
    #[error("cannot {operation} {what}")]
    Full { operation: &'static str, what: String },
    #[error("there is no image {0} in the store")]
    Unknown(ImageRef),
    #[error("images of the store that are broken: {0}")]
    Broken(usize),
    #[error("images are being pulled; what no reference names is kept until later")]
    Busy,
    #[error("cannot {operation}")]
    Store { operation: &'static str, source: io::Error },
    #[error("cannot write output")]
    Output(#[from] io::Error),
}

/// Prints the images of the store, one reference a line.
pub(crate) fn list(store: &Store, out: &mut dyn Write) -> Result<(), ImageError> {
    let stored = store.all().map_err(failed("read the image store"))?;
    let mut rows = vec![["REPOSITORY", "TAG", "IMAGE ID", "SIZE"].map(str::to_owned)];
    for stored in stored {
        let (repository, tag) = stored.reference.repository_and_tag();
        let id = stored.image.digest.trim_start_matches("sha256:").chars().take(12).collect();
        let size = store.size(&stored.image).map_or("<unknown>".to_owned(), readable);
        rows.push([repository, tag, id, size]);
    }
    let widths: [usize; 3] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    for [repository, tag, id, size] in rows {
        let [first, second, third] = widths;
        writeln!(out, "{repository:first$}   {tag:second$}   {id:third$}   {size}")?;
    }
    Ok(())
}

/// Loads the named images of an archive.
pub(crate) fn load(
    store: &Store,
    file: &Path,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let loaded = archive::load(store, file, now).map_err(|error| {
        if error.lacks_room() {
            ImageError::Full { operation: "load", what: file.display().to_string() }
        } else {
            ImageError::Load(error.into())
        }
    })?;
    for reference in loaded {
        writeln!(out, "image/{reference} loaded")?;
    }
    Ok(())
}

pub(crate) fn pull(
    store: &Store,
    image: &str,
    base: &Path,
    access: &Access,
    now: Timestamp,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let image = ImageRef::parse(image, base)?;
    match pull::pull(store, &image, access, now) {
        Ok(stored) => Ok(writeln!(out, "image/{image} pulled, {}", stored.digest)?),
        Err(failure) => Err(ImageError::Pull { image, failure }),
    }
}

/// Forgets references, then removes layers that nothing uses.
pub(crate) fn remove(
    store: &Store,
    images: &[String],
    base: &Path,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    for image in images {
        let image = ImageRef::parse(image, base)?;
        let remove = |image: &ImageRef| store.remove(image).map_err(failed("remove an image reference"));
        let of_guests = remove(&image.clone().for_guest())?;
        if !remove(&image)? && !of_guests {
            return Err(ImageError::Unknown(image));
        }
        writeln!(out, "image/{image} removed")?;
    }
    store.collect().map(|_| ()).map_err(failed("remove layers"))
}

/// Tells of each image whether it is whole.
pub(crate) fn verify(store: &Store, out: &mut dyn Write) -> Result<(), ImageError> {
    let mut broken = 0;
    for stored in store.all().map_err(failed("read the image store"))? {
        let flaws = store.flaws(&stored.image).map_err(failed("look at an image"))?;
        let told: Vec<String> = flaws.iter().map(ToString::to_string).collect();
        if told.is_empty() {
            writeln!(out, "image/{} whole", stored.reference)?;
        } else {
            broken += 1;
            writeln!(out, "image/{} broken: {}", stored.reference, told.join(", "))?;
        }
    }
    if broken == 0 { Ok(()) } else { Err(ImageError::Broken(broken)) }
}

/// Removes layers that nothing uses.
pub(crate) fn prune(store: &Store, out: &mut dyn Write) -> Result<(), ImageError> {
    match store.collect().map_err(failed("remove layers"))? {
        Collected::Layers(count) => Ok(writeln!(out, "{count} layers removed")?),
        Collected::Busy => Err(ImageError::Busy),
    }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> ImageError {
    move |source| ImageError::Store { operation, source }
}

/// As crictl prints sizes: decimal units, three figures.
fn readable(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            let decimals = if unit == "B" || size >= 100.0 {
                0
            } else if size >= 10.0 {
                1
            } else {
                2
            };
            return format!("{size:.decimals$}{unit}");
        }
        size /= 1000.0;
    }
    format!("{size:.2}TB")
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn sizes_are_printed_with_three_figures() {
        for (bytes, shown) in
            [(0, "0B"), (999, "999B"), (1_000, "1.00kB"), (4_261_550, "4.26MB"), (187_000_000, "187MB")]
        {
            assert_eq!(readable(bytes), shown);
        }
    }
}
