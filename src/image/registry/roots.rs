//! Certificates that the user names in place of the machine's own.

use std::io;
use std::path::{Path, PathBuf};

use oci_client::client::{Certificate, CertificateEncoding};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::RegistryError;
use crate::model::pull_environment::PullEnvironment;

/// Those of `SSL_CERT_FILE` and of the files in `SSL_CERT_DIR`; none if neither is set.
///
/// # Errors
/// If the user names some, and there are none: the machine's own would be trusted in their place.
pub(super) fn named(environment: &PullEnvironment) -> Result<Vec<Certificate>, RegistryError> {
    let PullEnvironment { certificates: file, certificate_directories: directories, .. } = environment;
    let mut found = Vec::new();
    if let Some(file) = file {
        found.extend(in_file(file).map_err(|error| unread("SSL_CERT_FILE", file, &error))?);
    }
    for directory in directories {
        let listed = files(directory).map_err(|error| unread("SSL_CERT_DIR", directory, &error))?;
        // Other files lie among them.
        found.extend(listed.iter().filter_map(|file| in_file(file).ok()).flatten());
    }
    if found.is_empty() && (file.is_some() || !directories.is_empty()) {
        return Err(RegistryError::SetUp(
            "there is no certificate in SSL_CERT_FILE and SSL_CERT_DIR".to_owned(),
        ));
    }
    Ok(found)
}

fn in_file(path: &Path) -> io::Result<Vec<Certificate>> {
    let text = std::fs::read(path)?;
    let read = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
    Ok(read.map(|one| Certificate { encoding: CertificateEncoding::Der, data: one.to_vec() }).collect())
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn unread(variable: &str, path: &Path, error: &io::Error) -> RegistryError {
    RegistryError::SetUp(format!("cannot read {} of {variable}: {error}", path.display()))
}
