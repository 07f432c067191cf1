//! Volumes: one source each, and only sources that this version serves.

use std::collections::HashMap;
use std::ops::Range;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection};

use crate::api::PodSpec;
use crate::manifest::fault::Fault;
use crate::manifest::node::At;

use super::Rules;
use super::container::inner_path;
use super::names::{CONFIG_KEY, LABEL, SUBDOMAIN};
use super::{environment, resources};

/// Names of the volumes of a pod, and where each is written.
pub(super) type Declared<'a> = HashMap<&'a str, Range<usize>>;

const SERVED: &[&str] = &["configMap", "downwardAPI", "emptyDir", "hostPath", "projected", "secret"];

/// What else Kubernetes makes volumes of; any other field is a slip of the pen, told of as such.
const UNSERVED: &[&str] = &[
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

const UNSERVED_PROJECTIONS: &[&str] = &["clusterTrustBundle", "podCertificate", "serviceAccountToken"];

const HOST_PATH_TYPES: &[&str] =
    &["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"];

const USE_INSTEAD: &str = "use emptyDir, hostPath, configMap, secret, downwardAPI or projected";

pub(super) fn declared<'a>(volumes: &At<'a>) -> Declared<'a> {
    let items = volumes.node.map_or(&[][..], |node| node.items());
    let name = |volume: &'a crate::manifest::node::Node| {
        let name = volume.get("name")?;
        Some((name.text()?, name.span.clone()))
    };
    items.iter().filter_map(name).collect()
}

pub(super) fn check_all(spec: &PodSpec, at: &At<'_>, rules: &mut Rules) {
    let mut names: HashMap<&str, Range<usize>> = HashMap::new();
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        let at = at.index(index);
        let name_at = at.key("name");
        rules.required(&name_at);
        if !volume.name.is_empty() {
            rules.name(&name_at, &volume.name, &LABEL);
            if let Some(first) = names.insert(&volume.name, name_at.span()) {
                let fault = Fault::at(&name_at, "two volumes' names are the same", "the same again")
                    .label(first, "first used here")
                    .help("rename one of the two");
                rules.push(fault);
            }
        }
        one_source(&at, rules);
        source(volume, &at, rules);
    }
}

fn one_source(at: &At<'_>, rules: &mut Rules) {
    let mut first: Option<At<'_>> = None;
    for source in at.each_entry().filter(At::is_set) {
        let is_unserved = UNSERVED.contains(&source.last_key());
        if !is_unserved && !SERVED.contains(&source.last_key()) {
            continue;
        }
        if is_unserved {
            let message = "volumes of this sort are not served by this version";
            rules.push(Fault::at_key(&source, message, "not served").help(USE_INSTEAD));
        }
        match &first {
            None => first = Some(source),
            Some(first) => {
                let fault = Fault::at_key(&source, "a volume has one source", "a second one")
                    .label(first.key_span(), "the first")
                    .help("remove one of them, or make two volumes");
                rules.push(fault);
            }
        }
    }
}

fn source(volume: &Volume, at: &At<'_>, rules: &mut Rules) {
    if let Some(empty) = &volume.empty_dir {
        let at = at.key("emptyDir");
        let medium = at.key("medium");
        if medium.text().is_some_and(|medium| medium.starts_with("HugePages")) {
            let message = "a file system of huge pages is not mounted by this version";
            rules.wrong(
                &medium,
                message,
                "let the program map huge pages itself, within `limits.hugepages-2Mi`",
            );
        } else {
            rules.one_of(&medium, &["", "Memory"]);
        }
        if let Some(limit) = &empty.size_limit {
            let limit_at = at.key("sizeLimit");
            if let Some(amount) = resources::quantity_at(&limit.0, &limit_at, rules) {
                resources::whole_bytes(amount, &limit_at, rules);
            }
        }
    }
    if let Some(host) = &volume.host_path {
        let at = at.key("hostPath");
        host_path(&host.path, &at, rules);
    }
    if let Some(map) = &volume.config_map {
        let at = at.key("configMap");
        reference(&map.name, &at.key("name"), rules);
        mode(map.default_mode, &at.key("defaultMode"), rules);
        items(map.items.as_deref(), &at.key("items"), &mut Paths::new(), rules);
    }
    if let Some(secret) = &volume.secret {
        let at = at.key("secret");
        reference(secret.secret_name.as_deref().unwrap_or_default(), &at.key("secretName"), rules);
        mode(secret.default_mode, &at.key("defaultMode"), rules);
        items(secret.items.as_deref(), &at.key("items"), &mut Paths::new(), rules);
    }
    if let Some(downward) = &volume.downward_api {
        let at = at.key("downwardAPI");
        mode(downward.default_mode, &at.key("defaultMode"), rules);
        fields(downward.items.as_deref(), &at.key("items"), &mut Paths::new(), rules);
    }
    if let Some(projected) = &volume.projected {
        let at = at.key("projected");
        mode(projected.default_mode, &at.key("defaultMode"), rules);
        let sources_at = at.key("sources");
        let mut paths = Paths::new();
        for (index, source) in projected.sources.iter().flatten().enumerate() {
            projection(source, &sources_at.index(index), &mut paths, rules);
        }
    }
}

fn host_path(path: &str, at: &At<'_>, rules: &mut Rules) {
    let path_at = at.key("path");
    rules.required(&path_at);
    if !path.is_empty() && !path.starts_with('/') {
        rules.wrong(&path_at, "the path is not absolute", "begin it with `/`");
    } else if path.split('/').any(|part| part == "..") {
        rules.wrong(&path_at, "the path goes upwards", "write it without `..`");
    }
    rules.one_of(&at.key("type"), HOST_PATH_TYPES);
}

/// Files of one volume, and where each was asked for.
type Paths = HashMap<String, Range<usize>>;

/// Where a file goes to: inside of the volume, and no two to one place.
fn file_path(path: &str, at: &At<'_>, paths: &mut Paths, rules: &mut Rules) {
    rules.required(at);
    if path.is_empty() {
        return;
    }
    inner_path(path, at, "the volume", rules);
    if path.starts_with("..") && !path.starts_with("../") && path != ".." {
        rules.wrong(at, "the path begins with `..`", "names that begin so are kept for droppod's own use");
    }
    if let Some(first) = paths.insert(path.to_owned(), at.span()) {
        let fault =
            Fault::at(at, "two files go to the same place", "the same again").label(first, "first used here");
        rules.push(fault);
    }
}

fn projection(source: &VolumeProjection, at: &At<'_>, paths: &mut Paths, rules: &mut Rules) {
    let given: Vec<At<'_>> = at.each_entry().filter(At::is_set).collect();
    if given.len() != 1 && !rules.doubts(at) {
        rules.push(Fault::at(at, "exactly one source is needed", "not exactly one"));
    }
    for other in given.iter().filter(|given| UNSERVED_PROJECTIONS.contains(&given.last_key())) {
        let message = "sources of this sort are not served by this version";
        rules.push(Fault::at_key(other, message, "not served").help("use configMap, secret or downwardAPI"));
    }
    if let Some(map) = &source.config_map {
        let at = at.key("configMap");
        reference(&map.name, &at.key("name"), rules);
        items(map.items.as_deref(), &at.key("items"), paths, rules);
    }
    if let Some(secret) = &source.secret {
        let at = at.key("secret");
        reference(&secret.name, &at.key("name"), rules);
        items(secret.items.as_deref(), &at.key("items"), paths, rules);
    }
    if let Some(downward) = &source.downward_api {
        let at = at.key("downwardAPI");
        fields(downward.items.as_deref(), &at.key("items"), paths, rules);
    }
}

/// The name of a ConfigMap or Secret.
pub(super) fn reference(name: &str, at: &At<'_>, rules: &mut Rules) {
    rules.required(at);
    if !name.is_empty() {
        rules.name(at, name, &SUBDOMAIN);
    }
}

fn mode(mode: Option<i32>, at: &At<'_>, rules: &mut Rules) {
    if mode.is_some_and(|mode| !(0..=0o777).contains(&mode)) {
        let fault = Fault::at(at, "the value is no permission of a file", "out of range");
        rules.push(fault.help("write it in octal with a leading zero, from 0000 to 0777, such as 0644"));
    }
}

/// Keys of a ConfigMap or Secret, and the files they go to.
fn items(given: Option<&[KeyToPath]>, at: &At<'_>, paths: &mut Paths, rules: &mut Rules) {
    for (index, item) in given.into_iter().flatten().enumerate() {
        let at = at.index(index);
        let (key_at, path_at) = (at.key("key"), at.key("path"));
        rules.required(&key_at);
        if !item.key.is_empty() {
            rules.name(&key_at, &item.key, &CONFIG_KEY);
        }
        file_path(&item.path, &path_at, paths, rules);
        mode(item.mode, &at.key("mode"), rules);
    }
}

fn fields(given: Option<&[DownwardAPIVolumeFile]>, at: &At<'_>, paths: &mut Paths, rules: &mut Rules) {
    for (index, item) in given.into_iter().flatten().enumerate() {
        let at = at.index(index);
        let path_at = at.key("path");
        file_path(&item.path, &path_at, paths, rules);
        mode(item.mode, &at.key("mode"), rules);
        let (field_at, resource_at) = (at.key("fieldRef"), at.key("resourceFieldRef"));
        match (&item.field_ref, &item.resource_field_ref) {
            (Some(field), None) => {
                environment::field_path(
                    &field.field_path,
                    environment::Offer::File,
                    &field_at.key("fieldPath"),
                    rules,
                );
            }
            (None, Some(resource)) => {
                rules.required(&resource_at.key("containerName"));
                environment::resource_field(resource, &resource_at, rules);
            }
            (Some(_), Some(_)) | (None, None) => {
                let help = "write `fieldRef` or `resourceFieldRef`";
                rules.push(Fault::at(&at, "exactly one source is needed", "not exactly one").help(help));
            }
        }
    }
}
