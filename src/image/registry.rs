//! The registry client: manifests and blobs by HTTP. The one place that names `oci-client` and an async runtime;
//! everything else asks it and waits.
//!
//! Longer than other files: all that a registry may answer is explained in one place, in the words for its reader.

mod roots;
mod token;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use tokio::io::AsyncWrite;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::access::Access;
use super::document::{DOCUMENT_BYTES, Descriptor};
use super::import::{Blobs, ImportError, failed, free_space, is_for_room};
use super::keyring::{Credential, Holder};
use super::store::{Rights, Session};
use crate::failpoint;
use crate::model::observed::Outlook;
use token::Refusal;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pieces of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// For a manifest, with what is asked before it.
const MANIFEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Who sends a blob in drops keeps others from being pulled: less than so many bytes in this time are too few.
const SLOWEST: u64 = 64 * 1024;
const SLOWEST_IN: Duration = Duration::from_secs(60);

const LATE: &str = "it does not answer in time";

const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// In words for the author of a manifest; never with a credential, nor with an address's query.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("cannot set up a client for registries: {0}")]
    SetUp(String),
    #[error("`{0}` is not what a registry can be asked for")]
    Reference(String),
    #[error("cannot reach registry {registry}: {why}")]
    Unreachable { registry: String, why: String },
    #[error("registry {registry} does not let {who} pull {image}, if that exists")]
    Denied { registry: String, who: String, image: String },
    #[error("registry {registry} gives {who} no token to pull {image}: its token service is in trouble")]
    NoToken { registry: String, who: String, image: String },
    #[error("registry {registry} has no {image}")]
    NotFound { registry: String, image: String },
    #[error("registry {registry} limits how much is pulled from it; it will be tried again")]
    Limited { registry: String },
    #[error("registry {registry} is in trouble: it answers {code}")]
    Server { registry: String, code: u16 },
    #[error("registry {registry} sent something wrong for {image}: {why}")]
    Answer { registry: String, image: String, why: String },
}

impl RegistryError {
    pub(crate) fn outlook(&self) -> Outlook {
        match self {
            RegistryError::Unreachable { .. }
            | RegistryError::Limited { .. }
            | RegistryError::NoToken { .. }
            // What stands between may have answered in the registry's place.
            | RegistryError::Answer { .. }
            | RegistryError::Server { code: 500.., .. } => Outlook::MayPass,
            RegistryError::SetUp(_)
            | RegistryError::Reference(_)
            | RegistryError::Denied { .. }
            | RegistryError::NotFound { .. }
            | RegistryError::Server { .. } => Outlook::Final,
        }
    }
}

/// One image of one registry.
pub(crate) struct Repository<'a> {
    runtime: Runtime,
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
    /// Whom the registry takes the caller for, in words.
    who: String,
    session: &'a Session,
}

impl<'a> Repository<'a> {
    /// One for each credential to be tried, or one without any.
    pub(crate) fn all(
        reference: &str,
        access: &Access,
        session: &'a Session,
    ) -> Result<Vec<Repository<'a>>, RegistryError> {
        let reference =
            Reference::try_from(reference).map_err(|_| RegistryError::Reference(reference.to_owned()))?;
        let found = access.credentials(reference.registry(), reference.repository());
        let mut credentials: Vec<Option<Credential>> = found.into_iter().map(Some).collect();
        if credentials.is_empty() {
            credentials.push(None);
        }
        let all = credentials.into_iter();
        all.map(|credential| Repository::open(reference.clone(), credential, access, session)).collect()
    }

    fn open(
        reference: Reference,
        credential: Option<Credential>,
        access: &Access,
        session: &'a Session,
    ) -> Result<Repository<'a>, RegistryError> {
        // Without a provider the first TLS connection panics. That another one is installed already is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
        let registry = reference.resolve_registry().to_owned();
        let protocol = match access.is_plain_http(&registry) {
            true => ClientProtocol::HttpsExcept(vec![registry]),
            false => ClientProtocol::Https,
        };
        let config = ClientConfig {
            protocol,
            // Indexes are resolved by `import::resolve`, for archives and registries alike.
            platform_resolver: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("droppod/", env!("CARGO_PKG_VERSION")),
            tls_certs_only: roots::named(&access.environment)?,
            https_proxy: access.environment.https_proxy.clone(),
            http_proxy: access.environment.http_proxy.clone(),
            no_proxy: Some(access.no_proxy()),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| RegistryError::SetUp(innermost(&error)))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| RegistryError::SetUp(error.to_string()))?;
        let who = match &credential {
            None => "anonymous users".to_owned(),
            Some(Credential { user, holder: Holder::Machine, .. }) => format!("user {user}"),
            Some(Credential { holder: Holder::Secret, .. }) => "the user of its imagePullSecrets".to_owned(),
        };
        let basic = |known: Credential| RegistryAuth::Basic(known.user, known.password);
        let auth = credential.map_or(RegistryAuth::Anonymous, basic);
        Ok(Repository { runtime, client, reference, auth, who, session })
    }

    /// Who else may have what it gives.
    pub(crate) fn rights(&self) -> Rights {
        if matches!(self.auth, RegistryAuth::Anonymous) { Rights::Anybody } else { Rights::Credentials }
    }

    /// The manifest or index that the reference stands for at this moment.
    pub(crate) fn manifest(&self) -> Result<Vec<u8>, RegistryError> {
        self.manifest_of(&self.reference)
    }

    fn manifest_of(&self, reference: &Reference) -> Result<Vec<u8>, RegistryError> {
        let asked = async {
            // Asked for by itself, so that a refusal is told as one; later requests use the token it leaves.
            self.client.auth(reference, &self.auth, RegistryOperation::Pull).await?;
            self.client.pull_manifest_raw(reference, &self.auth, MANIFESTS).await
        };
        let asked = async { tokio::time::timeout(MANIFEST_TIMEOUT, asked).await };
        let late = |_| RegistryError::Unreachable { registry: self.registry(), why: LATE.to_owned() };
        let (text, _) = self.runtime.block_on(asked).map_err(late)?.map_err(|error| self.explain(error))?;
        if text.len() as u64 > DOCUMENT_BYTES {
            return Err(self.wrong("a manifest over 4 MiB".to_owned()));
        }
        Ok(text.to_vec())
    }

    /// Fetches a blob whole and verified, or not at all.
    fn blob(&self, blob: &Descriptor) -> Result<File, ImportError> {
        let path = self.session.path().join("blob");
        let make = || {
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            failpoint::reach("blob made")?;
            // Without a name it is gone whenever this process is.
            std::fs::remove_file(&path)?;
            Ok(file)
        };
        let mut file = make().map_err(failed("make a file for a download"))?;
        let free = free_space(&file)?;
        let bounded = Bounded { out: &file, left: blob.size, since: Instant::now(), taken: 0 };
        // By digest alone: addresses that a manifest adds for a layer would lead this machine anywhere.
        let pulled = self.client.pull_blob(&self.reference, blob.digest.as_str(), bounded);
        self.runtime.block_on(pulled).map_err(|error| match error {
            OciDistributionError::IoError(error) if is_for_room(&error) => {
                ImportError::Room { digest: blob.digest.clone(), free }
            }
            error => self.explain(error).into(),
        })?;
        failpoint::reach("blob verified").map_err(failed("keep a download"))?;
        io::Seek::rewind(&mut file).map_err(failed("read a download"))?;
        Ok(file)
    }

    fn wrong(&self, why: String) -> RegistryError {
        RegistryError::Answer { registry: self.registry(), image: self.reference.whole(), why }
    }

    fn registry(&self) -> String {
        self.reference.registry().to_owned()
    }

    fn explain(&self, error: OciDistributionError) -> RegistryError {
        let (registry, image) = (self.registry(), self.reference.whole());
        let denied = || RegistryError::Denied {
            registry: self.registry(),
            who: self.who.clone(),
            image: self.reference.whole(),
        };
        match error {
            OciDistributionError::ImageManifestNotFoundError(_) => {
                RegistryError::NotFound { registry, image }
            }
            OciDistributionError::UnauthorizedError { .. } => denied(),
            OciDistributionError::AuthenticationFailure(said) => match token::refusal(&said) {
                Refusal::Denied => denied(),
                Refusal::Limited => RegistryError::Limited { registry },
                Refusal::Trouble => RegistryError::NoToken { registry, who: self.who.clone(), image },
            },
            OciDistributionError::RegistryError { envelope, .. } => {
                let is =
                    |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
                if is(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                    denied()
                } else if is(&[OciErrorCode::Toomanyrequests]) {
                    RegistryError::Limited { registry }
                } else if is(&[
                    OciErrorCode::ManifestUnknown,
                    OciErrorCode::NameUnknown,
                    OciErrorCode::NotFound,
                    OciErrorCode::BlobUnknown,
                    OciErrorCode::ManifestBlobUnknown,
                ]) {
                    RegistryError::NotFound { registry, image }
                } else {
                    let said =
                        envelope.errors.iter().map(|error| format!("{:?}", error.code)).collect::<Vec<_>>();
                    self.wrong(format!("the error {}", said.join(", ")))
                }
            }
            OciDistributionError::ServerError { code: 404, .. } => {
                RegistryError::NotFound { registry, image }
            }
            OciDistributionError::ServerError { code: 401 | 403, .. } => denied(),
            OciDistributionError::ServerError { code: 429, .. } => RegistryError::Limited { registry },
            OciDistributionError::ServerError { code, .. } => RegistryError::Server { registry, code },
            OciDistributionError::RequestError(error) => {
                let why = match error.is_timeout() {
                    true => LATE.to_owned(),
                    false => reason(&innermost(&error.without_url())),
                };
                RegistryError::Unreachable { registry, why }
            }
            OciDistributionError::DigestError(error) => self.wrong(error.to_string()),
            // Everything else has neither address nor credential in its text.
            other => self.wrong(innermost(&other)),
        }
    }
}

impl Blobs for Repository<'_> {
    fn open<'a>(&'a mut self, blob: &Descriptor) -> Result<Box<dyn Read + 'a>, ImportError> {
        // Manifests below an index live at another address than blobs do.
        if blob.media_type.contains("manifest") || blob.media_type.contains("index") {
            let text = self.manifest_of(&self.reference.clone_with_digest(blob.digest.clone()))?;
            return Ok(Box::new(io::Cursor::new(text)));
        }
        Ok(Box::new(self.blob(blob)?))
    }
}

/// The first cause: what reqwest and hyper put around it says only which of them failed.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn reason(cause: &str) -> String {
    if cause.contains("UnknownIssuer")
        || cause.contains("CA certificates")
        || cause.contains("root certificates")
    {
        return format!("{cause}; SSL_CERT_FILE can name a file with the certificates to trust");
    }
    cause.to_owned()
}

/// Takes at most what was announced, so that an endless answer fills no disc, and not for ever.
struct Bounded<'a> {
    out: &'a File,
    left: u64,
    /// When `taken` was begun to be counted.
    since: Instant,
    taken: u64,
}

impl AsyncWrite for Bounded<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a blob is longer than announced",
            )));
        };
        self.left = left;
        self.taken += bytes.len() as u64;
        if self.since.elapsed() >= SLOWEST_IN {
            if self.taken < SLOWEST {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "a blob comes in drops")));
            }
            (self.since, self.taken) = (Instant::now(), 0);
        }
        Poll::Ready(self.out.write_all(bytes).map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_has_not_or_does_not_give_is_final_and_trouble_passes() {
        let registry = || "r.example".to_owned();
        let image = || "r.example/a:1".to_owned();
        let who = || "anonymous users".to_owned();
        for (error, outlook) in [
            (RegistryError::NotFound { registry: registry(), image: image() }, Outlook::Final),
            (RegistryError::Denied { registry: registry(), who: who(), image: image() }, Outlook::Final),
            (RegistryError::Server { registry: registry(), code: 400 }, Outlook::Final),
            (RegistryError::Server { registry: registry(), code: 503 }, Outlook::MayPass),
            (RegistryError::Limited { registry: registry() }, Outlook::MayPass),
            (RegistryError::NoToken { registry: registry(), who: who(), image: image() }, Outlook::MayPass),
            (RegistryError::Unreachable { registry: registry(), why: "no route".into() }, Outlook::MayPass),
        ] {
            assert_eq!(error.outlook(), outlook, "{error}");
        }
    }
}
