//! `tagtide crds`: the custom resource definitions, as `kubectl apply` takes them.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use super::output;
use crate::api::{ClusterImageRegistry, ImagePolicy, InfraRepository};

/// Print the custom resource definitions
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes: 0 done, 1 a file could not be written.

Example: tagtide crds | kubectl apply -f -")]
pub struct CrdsArgs {
    /// Write each to a file of its own in this folder instead; may be given more than once
    #[arg(long = "out", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

impl CrdsArgs {
    /// Prints or writes them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let files = files()?;
        for folder in &self.folders {
            for (name, text) in &files {
                output::write_file(&folder.join(name), text.as_bytes())?;
            }
        }
        if self.folders.is_empty() {
            let documents: Vec<_> = files.into_iter().map(|(_, text)| text).collect();
            output::print_raw(documents.join("---\n").as_bytes())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Name and content of each definition's file.
fn files() -> anyhow::Result<Vec<(String, String)>> {
    let definitions = [ImagePolicy::crd(), InfraRepository::crd(), ClusterImageRegistry::crd()];
    definitions.iter().map(|crd| Ok((format!("{}.yaml", crd.spec.names.plural), yaml(crd)?))).collect()
}

fn yaml(crd: &CustomResourceDefinition) -> anyhow::Result<String> {
    let body = serde_saphyr::to_string(crd).context("a definition can not be written as YAML")?;
    Ok(format!("# Generated from src/api by `make crds`; change it there.\n{body}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_definitions_are_those_of_the_code() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (name, text) in files().unwrap() {
            for folder in ["crds", "charts/tagtide/files/crds"] {
                let path = checkout.join(folder).join(&name);
                let committed = std::fs::read_to_string(&path).unwrap_or_default();
                assert!(committed == text, "{} is not what the code says; run `make crds`", path.display());
            }
        }
    }
}
