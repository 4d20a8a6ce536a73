//! One document as one object, or what is wrong with it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::node::{Node, Spot};
use super::{DEFAULT_NAMESPACE, ObjectName};
use crate::api::{ClusterImageRegistry, GROUP, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::{Kind, SecretData};

const VERSION: &str = "v1alpha1";

/// The keys that an object may have at its top. `status` is no input, but an exported object has it.
const TOP_KEYS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// What a document holds that is ours.
pub(super) enum Object {
    Policy(ImagePolicy),
    Repository(InfraRepository),
    Registry(ClusterImageRegistry),
}

/// What holds data for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Secret,
    ConfigMap,
}

impl Holder {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// The parts of it that hold data, and whether that is base64.
    const fn parts(self) -> [(&'static str, bool); 2] {
        match self {
            Self::Secret => [("data", true), ("stringData", false)],
            Self::ConfigMap => [("data", false), ("binaryData", true)],
        }
    }

    const fn not_base64(self) -> &'static str {
        match self {
            Self::Secret => "it is not base64; plain text goes under stringData",
            Self::ConfigMap => "it is not base64; plain text goes under data",
        }
    }
}

/// Why a document is no object that can be used.
pub(super) struct Misfit {
    pub(super) spot: Spot,
    pub(super) object: Option<ObjectName>,
    pub(super) message: String,
}

/// What a document is by its first two fields.
pub(super) enum Type {
    /// A list of objects.
    List,
    Holder(Holder),
    Ours(Kind),
    /// Of our group, but nothing that is known.
    Unknown(Misfit),
    /// Another's: infra repos hold Deployments and much else.
    Foreign,
}

pub(super) fn type_of(node: &Node) -> Type {
    let text = |key| node.get(key).and_then(Node::text).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    match (api_version, kind) {
        ("v1", "List") => return Type::List,
        ("v1", "Secret") => return Type::Holder(Holder::Secret),
        ("v1", "ConfigMap") => return Type::Holder(Holder::ConfigMap),
        _ => {}
    }
    let Some(version) = api_version.strip_prefix(GROUP).and_then(|rest| rest.strip_prefix('/')) else {
        return Type::Foreign;
    };
    let misfit =
        |field, message| Type::Unknown(Misfit { spot: node.spot_of(field).clone(), object: None, message });
    if version != VERSION {
        return misfit(
            "apiVersion",
            format!("apiVersion: {api_version} is not known; write {GROUP}/{VERSION}"),
        );
    }
    let known = [Kind::Policy, Kind::Repository, Kind::Registry].map(Kind::as_str);
    match Kind::parse(kind) {
        Some(kind) => Type::Ours(kind),
        None => misfit(
            "kind",
            format!("kind: {kind:?} is not known; write {}{}", listed(&known, "or"), nearest(kind, &known)),
        ),
    }
}

/// Reads an object of ours, or tells all that is wrong with it.
pub(super) fn read(kind: Kind, node: &Node) -> Result<Object, Vec<Misfit>> {
    let scope = if kind == Kind::Registry { Scope::Cluster } else { Scope::Namespace };
    let key = key_of(node, kind.as_str(), scope).map_err(|misfit| vec![misfit])?;
    match kind {
        Kind::Policy => typed(node, kind, &key).map(Object::Policy),
        Kind::Repository => typed(node, kind, &key).map(Object::Repository),
        Kind::Registry => typed(node, kind, &key).map(Object::Registry),
    }
}

/// Reads what a Secret or ConfigMap holds; `None` where it has no name by which it could be used. No message shows a value
/// of it.
pub(super) fn read_data(holder: Holder, node: &Node) -> Option<(ObjectKey, Result<SecretData, Misfit>)> {
    let key = key_of(node, holder.as_str(), Scope::Namespace).ok()?;
    let data = data_of(holder, node).map_err(|(field, spot, problem)| Misfit {
        spot,
        object: Some(ObjectName { kind: holder.as_str().to_owned(), key: key.clone() }),
        message: format!("{field}: {problem}"),
    });
    Some((key, data))
}

fn data_of(holder: Holder, node: &Node) -> Result<SecretData, (String, Spot, &'static str)> {
    let mut data = BTreeMap::new();
    for (part, is_encoded) in holder.parts() {
        for (key, value) in node.get(part).into_iter().flat_map(Node::entries) {
            // A key may hold dots, such as ca.crt, so its place is not looked for by its path.
            let fail = |message| Err((format!("{part}.{key}"), value.spot_of("").clone(), message));
            let bytes = match (value.text(), is_encoded) {
                (Some(text), false) => text.as_bytes().to_vec(),
                (Some(text), true) => {
                    match STANDARD.decode(text.split_ascii_whitespace().collect::<String>()) {
                        Ok(bytes) => bytes,
                        Err(_) => return fail(holder.not_base64()),
                    }
                }
                (None, _) if value.is_null() => Vec::new(),
                (None, _) => return fail("it is not a string; put it in quotes"),
            };
            data.insert(key.to_owned(), bytes);
        }
    }
    Ok(data)
}

enum Scope {
    Namespace,
    Cluster,
}

fn key_of(node: &Node, kind: &str, scope: Scope) -> Result<ObjectKey, Misfit> {
    let fail = |field: &str, problem: &str| Misfit {
        spot: node.spot_of(field).clone(),
        object: None,
        message: format!("{kind}: {field}: {problem}"),
    };
    let metadata = node.get("metadata");
    let name = metadata
        .and_then(|metadata| metadata.get("name"))
        .ok_or_else(|| fail("metadata.name", "it is missing; every object needs a name, such as api"))?;
    let name = name.text().filter(|name| is_name(name));
    let name = name.ok_or_else(|| fail("metadata.name", NO_NAME))?;
    let namespace = match (scope, metadata.and_then(|metadata| metadata.get("namespace"))) {
        (Scope::Cluster, _) => "",
        (Scope::Namespace, None) => DEFAULT_NAMESPACE,
        (Scope::Namespace, Some(namespace)) => {
            let namespace = namespace.text().filter(|name| is_name(name));
            namespace.ok_or_else(|| fail("metadata.namespace", NO_NAME))?
        }
    };
    Ok(ObjectKey::new(namespace, name))
}

const NO_NAME: &str = "it may hold only a-z 0-9 - and . and starts and ends with a letter or digit";

/// A DNS subdomain (RFC 1123), which the Kubernetes API asks of names.
fn is_name(text: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (first, last) = (text.bytes().next(), text.bytes().next_back());
    text.len() <= 253
        && first.is_some_and(is_alphanumeric)
        && last.is_some_and(is_alphanumeric)
        && text.bytes().all(|b| is_alphanumeric(b) || matches!(b, b'-' | b'.'))
}

/// The most mistakes of one object that are told.
const MOST_MISFITS: usize = 20;

/// Reads an object. Serde stops at the first mistake, so what is wrong is taken out and the rest is read again.
fn typed<K: Resource + DeserializeOwned>(node: &Node, kind: Kind, key: &ObjectKey) -> Result<K, Vec<Misfit>> {
    let misfit = |spot: &Spot, field: &str, problem: String| Misfit {
        spot: spot.clone(),
        object: Some(ObjectName { kind: kind.as_str().to_owned(), key: key.clone() }),
        message: if field == "." { problem } else { format!("{field}: {problem}") },
    };
    let unknown = node.entries().filter(|(name, _)| !TOP_KEYS.contains(name)).map(|(unknown, _)| {
        let problem = format!(
            "this field is not known; there are {}{}",
            listed(&TOP_KEYS, "and"),
            nearest(unknown, &TOP_KEYS)
        );
        misfit(node.key_spot_of(unknown), unknown, problem)
    });
    let mut misfits: Vec<Misfit> = unknown.take(MOST_MISFITS).collect();
    let mut json = node.to_json();
    if let Value::Object(fields) = &mut json {
        fields.remove("status");
        // What it would be without a misspelled spec is no news.
        if !fields.contains_key("spec") && !misfits.is_empty() {
            return Err(misfits);
        }
    }
    let mut taken_out: Vec<String> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, K>(&json) {
            Ok(mut object) if misfits.is_empty() => {
                object.meta_mut().namespace =
                    Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty());
                return Ok(object);
            }
            Ok(_) => return Err(misfits),
            Err(error) => error,
        };
        let field = error.path().to_string();
        let message = error.into_inner().to_string();
        let is_missing = message.starts_with("missing field");
        // Where something was taken out, it is not missing, or was misspelled.
        let is_told = is_missing && taken_out.iter().any(|told| is_in(told, &field));
        if !is_told {
            let is_unknown = message.starts_with("unknown field");
            let spot = if is_unknown { node.key_spot_of(&field) } else { node.spot_of(&field) };
            misfits.push(misfit(spot, &field, with_remedy(&message)));
        }
        // Without its spec there is nothing left to be read.
        let is_all = is_missing && matches!(field.as_str(), "." | "spec");
        if is_all || !take_out(&mut json, &field) || misfits.len() >= MOST_MISFITS {
            return Err(misfits);
        }
        taken_out.push(field);
    }
}

/// Whether a field is one of those right below another.
fn is_in(field: &str, parent: &str) -> bool {
    field.rsplit_once('.').is_some_and(|(before, _)| before == parent)
}

/// Takes a field out, a list as a whole; `false` where there is none at the path.
fn take_out(json: &mut Value, field: &str) -> bool {
    let field = field.split('[').next().unwrap_or(field);
    let (path, last) = field.rsplit_once('.').unwrap_or(("", field));
    let mut parts = path.split('.').filter(|part| !part.is_empty());
    let holder = parts.try_fold(json, |value, part| value.get_mut(part));
    holder.and_then(Value::as_object_mut).is_some_and(|fields| fields.remove(last).is_some())
}

/// Serde's message, with what would be right where that can be told.
fn with_remedy(message: &str) -> String {
    let takes_string = message.ends_with("expected a string");
    let is_scalar = ["integer", "floating point", "boolean"]
        .iter()
        .any(|kind| message.strip_prefix("invalid type: ").is_some_and(|rest| rest.starts_with(kind)));
    if takes_string && is_scalar {
        return format!("{message}; put it in quotes");
    }
    let mut names = message.split('`').skip(1).step_by(2);
    match names.next() {
        Some(unknown) if message.starts_with("unknown ") => {
            format!("{message}{}", nearest(unknown, &names.collect::<Vec<_>>()))
        }
        Some(_) | None => message.to_owned(),
    }
}

/// `; did you mean …?`, where one of the names is like enough to be meant.
fn nearest(unknown: &str, names: &[&str]) -> String {
    const LIKE_ENOUGH: f64 = 0.6;
    let unknown = unknown.to_lowercase();
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(&unknown, &name.to_lowercase());
    let best = names.iter().map(|name| (likeness(name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, name)) if likeness >= LIKE_ENOUGH => format!("; did you mean {name}?"),
        Some(_) | None => String::new(),
    }
}

fn listed(names: &[&str], conjunction: &str) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] => format!("{} {conjunction} {last}", head.join(", ")),
    }
}
