//! Objects from YAML files in a folder instead of the Kubernetes API: the same kinds, read with the same strictness.
//!
//! What is wrong with one document never stops the others: each problem is kept with its file and line, and so is where
//! every object came from, for what only shows when the object is used.

mod document;
mod files;
mod held;
mod node;
mod object;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use self::document::documents;
use self::files::Files;
use self::held::Held;
use self::node::{Node, Origin};
use self::object::{Holder, Misfit, Object, Type};
use crate::api::{ClusterImageRegistry, GROUP, ImagePolicy, InfraRepository, ObjectKey};
use crate::engine::{ConfigMapError, Kind, SecretData, SecretError, SecretSource};

pub use self::node::Spot;

/// The namespace of an object whose file names none, as `kubectl` has it.
pub const DEFAULT_NAMESPACE: &str = "default";

/// The namespace in which the Secrets and ConfigMaps of ClusterImageRegistries are looked for, as the chart's operator has it.
pub const OPERATOR_NAMESPACE: &str = "tagtide";

/// The objects of a folder. It has no `Debug`: there are Secrets in it.
#[derive(Default)]
pub struct Folder {
    /// The ImagePolicies.
    pub policies: BTreeMap<ObjectKey, Arc<ImagePolicy>>,
    /// The InfraRepositories.
    pub repositories: BTreeMap<ObjectKey, Arc<InfraRepository>>,
    /// The ClusterImageRegistries; their keys have no namespace.
    pub registries: BTreeMap<ObjectKey, Arc<ClusterImageRegistry>>,
    /// What is wrong, in the order of the files.
    pub problems: Vec<FolderProblem>,
    /// How many files were looked at.
    pub files: usize,
    secrets: Held,
    config_maps: Held,
    sources: BTreeMap<(Kind, ObjectKey), Source>,
}

/// Something in a file that can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderProblem {
    /// The file, beginning with the path of the folder as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// Which part of the line, as in [`Spot`].
    pub columns: Range<u64>,
    /// What kind of thing is wrong.
    pub fault: Fault,
    /// The object, where that much could be read.
    pub object: Option<ObjectName>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What kind of thing is wrong in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file can not be read.
    File,
    /// A document of it is no YAML.
    Yaml,
    /// An object breaks a rule.
    Object,
    /// An object is there already.
    Duplicate,
}

/// Kind and key of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// The kind as the file writes it.
    pub kind: String,
    /// Namespace and name.
    pub key: ObjectKey,
}

/// The folder can not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("{} can not be read: {source}", .path.display())]
pub struct FolderError {
    /// The folder, or the file or folder in it.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// Where an object is written down.
struct Source {
    file: Arc<str>,
    node: Node,
}

#[derive(Clone)]
struct Place {
    file: Arc<str>,
    line: u64,
}

/// The files below a path that [`Folder::read`] would read, each with its size and the time of its last change: equal as
/// long as nobody wrote to them. Empty where the path can not be listed.
#[must_use]
pub fn stamps(path: &Path) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let files = Files::below(path).map(|files| files.paths).unwrap_or_default();
    let stamp = |file: PathBuf| {
        let metadata = std::fs::metadata(&file).ok()?;
        Some((file, (metadata.len(), metadata.modified().ok())))
    };
    files.into_iter().filter_map(stamp).collect()
}

impl Folder {
    /// Reads the `*.yaml` and `*.yml` files below a folder, or one file. Blocks.
    ///
    /// The caps: 10,000 files of 1 MiB each. What lies beyond them is told in `problems`.
    ///
    /// # Errors
    /// Where `path`, or a folder below it, is not there or can not be listed. What is wrong with a file is a problem, not
    /// an error.
    pub fn read(path: &Path) -> Result<Self, FolderError> {
        let files = Files::below(path).map_err(|(path, source)| FolderError { path, source })?;
        let mut folder = Self { files: files.paths.len(), ..Self::default() };
        for path in &files.paths {
            let file: Arc<str> = path.to_string_lossy().into();
            match files::read(path) {
                Ok(Ok(content)) => folder.add(&file, &content),
                Ok(Err(large)) if is_likely_ours(&large.beginning) => {
                    folder.whole_file(&file, large.message())
                }
                Ok(Err(_)) => {}
                Err(error) => folder.whole_file(&file, format!("the file can not be read: {error}")),
            }
        }
        for (path, why) in files.passed_over {
            folder.whole_file(&path.to_string_lossy(), why);
        }
        Ok(folder)
    }

    /// The data of a Secret.
    ///
    /// # Errors
    /// `SecretError` where there is none of that name, or what is in the file is none.
    pub fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        let data = self.secrets.get(key).ok_or_else(|| SecretError::Missing(key.clone()))?;
        data.map_err(|problem| SecretError::Unreadable { key: key.clone(), problem })
    }

    /// The data of a ConfigMap.
    ///
    /// # Errors
    /// `ConfigMapError` where there is none of that name, or what is in the file is none.
    pub fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        let data = self.config_maps.get(key).ok_or_else(|| ConfigMapError::Missing(key.clone()))?;
        data.map_err(|problem| ConfigMapError::Unreadable { key: key.clone(), problem })
    }

    /// A problem with an object that showed when it was used, at the line of `field`, such as `spec.avoid[2]`.
    #[must_use]
    pub fn problem_with(&self, kind: Kind, key: &ObjectKey, field: &str, message: String) -> FolderProblem {
        let source = self.sources.get(&(kind, key.clone()));
        let spot =
            source.map_or(Spot { line: 1, columns: 0..0 }, |source| source.node.spot_of(field).clone());
        FolderProblem {
            file: source.map_or_else(String::new, |source| source.file.to_string()),
            line: spot.line,
            columns: spot.columns,
            fault: Fault::Object,
            object: Some(ObjectName { kind: kind.as_str().to_owned(), key: key.clone() }),
            message,
        }
    }

    /// Takes in a file that was read elsewhere, by the name that problems give it.
    pub fn take_file(&mut self, file: &str, content: &[u8]) {
        self.add(&file.into(), content);
    }

    /// Takes in one file.
    fn add(&mut self, file: &Arc<str>, content: &[u8]) {
        if !may_be_ours(content) {
            return;
        }
        let Ok(text) = std::str::from_utf8(content) else {
            return self.whole_file(file, "the file is not UTF-8; save it as UTF-8".to_owned());
        };
        for document in documents(text).into_iter().filter(|document| may_be_ours(document.text.as_bytes())) {
            let origin = Origin { line: document.line, indent: document.indent };
            match Node::read(document.text, origin) {
                Ok(Some(node)) => self.add_node(file, node),
                Ok(None) => {}
                // A template that is no YAML before it is rendered, for example.
                Err(_) if !document.text.contains(GROUP) => {}
                Err(error) => {
                    let message = format!("the document is no YAML: {error}");
                    self.problems.push(FolderProblem {
                        file: file.to_string(),
                        line: error.spot.line,
                        columns: error.spot.columns,
                        fault: Fault::Yaml,
                        object: None,
                        message,
                    });
                }
            }
        }
    }

    fn add_node(&mut self, file: &Arc<str>, node: Node) {
        let object = match object::type_of(&node) {
            Type::Foreign => return,
            Type::List => {
                return node.into_items("items").into_iter().for_each(|item| self.add_node(file, item));
            }
            Type::Holder(holder) => {
                if let Some((key, data)) = object::read_data(holder, &node) {
                    let place = Place { file: file.clone(), line: node.line() };
                    match holder {
                        Holder::Secret => self.secrets.add(key, place, data),
                        Holder::ConfigMap => self.config_maps.add(key, place, data),
                    }
                }
                return;
            }
            Type::Unknown(misfit) => Err(vec![misfit]),
            Type::Ours(kind) => object::read(kind, &node),
        };
        match object {
            Ok(Object::Policy(policy)) => {
                if let Some(key) = self.claim(Kind::Policy, ObjectKey::of(&policy), file, node) {
                    self.policies.insert(key, Arc::new(policy));
                }
            }
            Ok(Object::Repository(repository)) => {
                if let Some(key) = self.claim(Kind::Repository, ObjectKey::of(&repository), file, node) {
                    self.repositories.insert(key, Arc::new(repository));
                }
            }
            Ok(Object::Registry(registry)) => {
                if let Some(key) = self.claim(Kind::Registry, ObjectKey::of(&registry), file, node) {
                    self.registries.insert(key, Arc::new(registry));
                }
            }
            Err(misfits) => {
                let problem = |Misfit { spot: Spot { line, columns }, object, message }| FolderProblem {
                    file: file.to_string(),
                    line,
                    columns,
                    fault: Fault::Object,
                    object,
                    message,
                };
                self.problems.extend(misfits.into_iter().map(problem));
            }
        }
    }

    /// Notes where an object is written down; `None` where another file has it already.
    fn claim(&mut self, kind: Kind, key: ObjectKey, file: &Arc<str>, node: Node) -> Option<ObjectKey> {
        match self.sources.entry((kind, key.clone())) {
            Entry::Vacant(vacant) => {
                vacant.insert(Source { file: file.clone(), node });
                Some(key)
            }
            Entry::Occupied(first) => {
                let first = Place { file: first.get().file.clone(), line: first.get().node.line() };
                self.problems.push(FolderProblem {
                    file: file.to_string(),
                    line: node.line(),
                    columns: 0..0,
                    fault: Fault::Duplicate,
                    object: Some(ObjectName { kind: kind.as_str().to_owned(), key }),
                    message: first.defines_it_too(),
                });
                None
            }
        }
    }

    fn whole_file(&mut self, file: &str, message: String) {
        self.problems.push(FolderProblem {
            file: file.to_owned(),
            line: 1,
            columns: 0..0,
            fault: Fault::File,
            object: None,
            message,
        });
    }
}

impl Place {
    fn defines_it_too(&self) -> String {
        format!("{}:{} defines it too; keep one of them", self.file, self.line)
    }
}

/// What is at hand is given at once.
impl SecretSource for Folder {
    async fn secret(&self, key: &ObjectKey) -> Result<SecretData, SecretError> {
        self.secret(key)
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<SecretData, ConfigMapError> {
        self.config_map(key)
    }

    fn operator_namespace(&self) -> &str {
        OPERATOR_NAMESPACE
    }
}

/// Whether a text can hold an object that is of use here. Most files of an infra repo can not, and need not be parsed.
fn may_be_ours(text: &[u8]) -> bool {
    is_likely_ours(text) || contains(text, b"ConfigMap")
}

/// Whether a text that is too large to be read is worth a word. The ConfigMaps among them are dashboards and the like.
fn is_likely_ours(text: &[u8]) -> bool {
    contains(text, GROUP.as_bytes()) || contains(text, b"Secret")
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(text, word).is_some()
}

impl fmt::Display for FolderProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)
    }
}
