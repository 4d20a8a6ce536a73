//! What all kinds share: how an object is named, how a Secret is referred to, how "now" is asked for.

use std::fmt;

use kube::ResourceExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::REQUESTED_AT;

/// Namespace and name of an object; the namespace is empty for cluster-scoped kinds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of a namespace and a name.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of an object as the API holds it.
    #[must_use]
    pub fn of<K: kube::Resource>(object: &K) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name_any())
    }

    /// Reads `NAMESPACE/NAME`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let is_valid = |part: &str| !part.is_empty() && !part.contains('/');
        (is_valid(namespace) && is_valid(name)).then(|| Self::new(namespace, name))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// A Secret by name. There is no namespace: a Secret is read from the object's own namespace only, or from the
/// operator's for cluster-scoped objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A ConfigMap by name, of the operator's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigMapRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Whether an object asks for work by [`REQUESTED_AT`] as its version before did not, and as was not handled yet.
#[must_use]
pub fn asks_anew<K: kube::Resource>(before: &K, object: &K, handled: Option<&str>) -> bool {
    let asks = requested_at(object);
    asks.is_some() && asks != requested_at(before) && asks.as_deref() != handled
}

/// The value of the annotation [`REQUESTED_AT`], where the object has it.
#[must_use]
pub fn requested_at<K: kube::Resource>(object: &K) -> Option<String> {
    object.annotations().get(REQUESTED_AT).cloned()
}
