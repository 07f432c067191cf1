#![expect(clippy::needless_pass_by_value, reason = "objects are written in place, as `json!` gives them")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::desired::{Blocked, Waiting};
use crate::model::image::{ImageConfig, StoredImage};
use crate::model::object::{Deletion, ObjectKey, ObjectRecord, Source};
use crate::model::observed::{
    Finished, ImageObservation, PodObservation, ProcessObservation, PullError, Told,
};
use crate::model::pod_plan::{
    ContainerPlan, HostPathType, Medium, NetworkPlan, PodPlan, Privilege, ProjectedFile, QosClass, Resources,
    VolumePlan,
};
use crate::model::record::{FORMAT, Outcome, PodRecord, SandboxState};
use crate::model::time::{Moment, Timestamp};

mod handlers;
mod images;
mod pods;
mod ports;
mod pull_secrets;
mod references;
mod revisions;

fn at(seconds: u64) -> Now {
    let wall = Timestamp::from_second(1_700_000_000).unwrap() + Duration::from_secs(seconds);
    Now { wall, boot: Moment(Duration::from_secs(seconds)) }
}

/// Objects, images and a machine; the n-th object has a UID of n and is n seconds old at second 100.
struct Scene {
    objects: Objects,
    observed: Observed,
    machine: Machine,
}

impl Scene {
    fn new() -> Scene {
        let machine = Machine {
            node_name: "box".to_owned(),
            host_ip: Ipv4Addr::new(192, 0, 2, 1),
            resolv_conf: "search lan\nnameserver 192.0.2.53\noptions ndots:1 rotate\n".to_owned(),
            cpu_milli: 4000,
            memory: 8 << 30,
            network: Some(InstanceNetwork {
                bridge: "dp-test".to_owned(),
                network: Ipv4Addr::new(10, 77, 0, 0),
                prefix: 29,
                gateway: Ipv4Addr::new(10, 77, 0, 1),
            }),
            boot_id: "boot".to_owned(),
        };
        let mut scene = Scene { objects: Objects::default(), observed: Observed::default(), machine };
        let config = ImageConfig {
            env: vec!["PATH=/image/bin".to_owned(), "LANG=C".to_owned()],
            entrypoint: vec!["/entry".to_owned()],
            cmd: vec!["serve".to_owned(), "$(LANG)".to_owned()],
            user: "www".to_owned(),
            working_dir: "/srv".to_owned(),
            stop_signal: Some("SIGQUIT".to_owned()),
        };
        scene.image("web:1", config);
        scene
    }

    fn image(&mut self, name: &str, config: ImageConfig) {
        let image = StoredImage { digest: format!("sha256:{name}"), layers: Vec::new(), config };
        let present = ImageObservation::Present { image, resolved_at: at(50).wall };
        self.observed.images.insert(ImageRef::parse(name, std::path::Path::new("/")).unwrap(), present);
    }

    fn object(mut self, kind: &str, name: &str, authored: Value) -> Scene {
        let number = u8::try_from(self.objects.len() + 1).unwrap();
        let uid = Uid::from_random([number; 16]);
        let object = match kind {
            "Pod" => Object::Pod(serde_json::from_value(authored.clone()).unwrap()),
            "ConfigMap" => Object::ConfigMap(serde_json::from_value(authored.clone()).unwrap()),
            _ => Object::Secret(serde_json::from_value(authored.clone()).unwrap()),
        };
        let key = ObjectKey {
            group: String::new(),
            kind: kind.to_owned(),
            namespace: "default".to_owned(),
            name: name.to_owned(),
        };
        let record = ObjectRecord {
            format: FORMAT,
            uid,
            key,
            source: Source { root: PathBuf::from("/pods"), path: PathBuf::from("team/web.yaml") },
            authored: authored.into(),
            generation: 1,
            created_at: at(number.into()).wall,
            deletion: None,
            owner: None,
        };
        self.objects.put(Known { record, object: object.into() });
        self
    }

    fn config_map(self, name: &str, data: Value) -> Scene {
        self.object("ConfigMap", name, json!({"metadata": {"name": name}, "data": data}))
    }

    fn secret(self, name: &str, data: Value) -> Scene {
        self.object("Secret", name, json!({"metadata": {"name": name}, "stringData": data}))
    }

    fn pod(self, name: &str, spec: Value) -> Scene {
        let metadata = json!({"name": name, "labels": {"app": "web"}, "annotations": {"note": "a \"b\""}});
        self.object("Pod", name, json!({"metadata": metadata, "spec": spec}))
    }

    /// A pod `web` with one container `c`; `container` says more of it.
    fn web(self, container: Value) -> Scene {
        let container = merged(json!({"name": "c", "image": "web:1"}), container);
        self.pod("web", json!({"containers": [container]}))
    }

    fn desired(&self) -> Desired {
        expand(&self.objects, &self.observed, &self.machine, at(100))
    }

    fn want(&self, name: &str) -> Want {
        let desired = self.desired();
        desired.pods.into_values().find(|pod| pod.id.name == name).map(|pod| pod.want).unwrap()
    }

    fn plan(&self, name: &str) -> PodPlan {
        match self.want(name) {
            Want::Run(plan) => *plan,
            other => panic!("{name} cannot run: {other:?}"),
        }
    }

    fn container(&self) -> ContainerPlan {
        self.plan("web").containers.remove(0)
    }

    fn blocked(&self, name: &str) -> Blocked {
        match self.want(name) {
            Want::Wait { why, .. } => why,
            other => panic!("{name} does not wait: {other:?}"),
        }
    }

    /// Reason and message of the one container `c` of the pod `web`.
    fn waits(&self) -> (String, String) {
        let Waiting { reason, message, .. } = self.blocked("web").containers.remove("c").unwrap();
        (reason, message)
    }

    fn uid(&self, name: &str) -> Uid {
        let found = self.objects.values().find(|known| known.record.key.name == name);
        found.unwrap().record.uid.clone()
    }
}

fn merged(mut base: Value, over: Value) -> Value {
    let (Value::Object(fields), Value::Object(over)) = (&mut base, over) else { panic!("two objects") };
    fields.extend(over);
    base
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn address_of(plan: &PodPlan) -> Ipv4Addr {
    match plan.network {
        NetworkPlan::Bridge { address, .. } => address,
        NetworkPlan::Host | NetworkPlan::Loopback => panic!("{:?}", plan.network),
    }
}
