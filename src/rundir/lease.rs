//! Address leases: a file named by the address, made exclusively, holding the pod's UID. On tmpfs, so they go
//! with the boot as the addresses do.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

use crate::model::id::Uid;
use crate::paths::Places;
use crate::publish::{publish_new, remove};

/// Takes an address for a pod. Taking one's own again is fine; another's is `AlreadyExists`.
pub(crate) fn take(places: &Places, address: Ipv4Addr, pod: &Uid) -> io::Result<()> {
    let path = places.leases().join(address.to_string());
    match publish_new(&path, pod.as_str().as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if std::fs::read_to_string(&path)? == pod.as_str() { Ok(()) } else { Err(error) }
        }
        Err(error) => Err(error),
    }
}

/// Gives back every address that a pod holds.
pub(crate) fn release(places: &Places, pod: &Uid) -> io::Result<()> {
    for (address, holder) in all(places)? {
        if holder == *pod {
            remove(&places.leases().join(address.to_string()))?;
        }
    }
    Ok(())
}

/// Whether a pod holds an address.
pub(crate) fn is_held(places: &Places, pod: &Uid) -> io::Result<bool> {
    Ok(all(places)?.values().any(|holder| holder == pod))
}

/// A file that is no lease of ours is passed over.
pub(crate) fn all(places: &Places) -> io::Result<BTreeMap<Ipv4Addr, Uid>> {
    let mut leases = BTreeMap::new();
    let entries = match std::fs::read_dir(places.leases()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(leases),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let address = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let holder = std::fs::read_to_string(entry.path()).ok().and_then(|text| Uid::try_from(text).ok());
        if let (Some(address), Some(holder)) = (address, holder) {
            leases.insert(address, holder);
        }
    }
    Ok(leases)
}
