//! The example that a demo plays: `examples/quick-start`, within the program, so that the program alone is enough.

use crate::api::ObjectKey;

/// The namespace of its objects.
pub(super) const NAMESPACE: &str = "shop";

/// The repository of its image, without the registry's host.
pub(super) const IMAGE: &str = "acme/api";

/// The last part of its infra repo's address.
pub(super) const REPOSITORY: &str = "infra.git";

/// Its branch.
pub(super) const BRANCH: &str = "main";

const POLICIES: &str = include_str!("../../examples/quick-start/policies.yaml");

/// The files of the infra repo, each with its path.
const FILES: [(&str, &str); 1] =
    [("apps/api/deployment.yaml", include_str!("../../examples/quick-start/repo/apps/api/deployment.yaml"))];

/// Its ImagePolicy.
pub(super) fn policy() -> ObjectKey {
    ObjectKey::new(NAMESPACE, "api")
}

/// Its InfraRepository.
pub(super) fn repository() -> ObjectKey {
    ObjectKey::new(NAMESPACE, "infra")
}

/// Its objects, with the addresses of this demo. The registry is asked every second, so that no webhook is needed.
pub(super) fn policies(registry_host: &str, git_url: &str) -> String {
    POLICIES
        .replace("http://localhost:8080", git_url)
        .replace("localhost:5000", registry_host)
        .replace("interval: 10s", "interval: 1s")
}

/// The files of its infra repo, with the address of this demo's registry.
pub(super) fn files(registry_host: &str) -> Vec<(&'static str, String)> {
    FILES.iter().map(|(path, text)| (*path, text.replace("localhost:5000", registry_host))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn every_address_of_the_example_is_replaced() {
        let text = policies("127.0.0.1:4001", "http://127.0.0.1:4002");
        assert!(!text.contains("localhost"), "{text}");
        for wanted in [
            "image: 127.0.0.1:4001/acme/api\n",
            "host: 127.0.0.1:4001\n",
            "url: http://127.0.0.1:4002/infra.git\n",
            "branch: main\n",
            "interval: 1s\n",
            "name: api\n  namespace: shop\n",
            "name: infra\n  namespace: shop\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
        }
        for (path, text) in files("127.0.0.1:4001") {
            assert!(!text.contains("localhost"), "{path}: {text}");
        }
    }

    #[test]
    fn no_file_of_the_examples_repo_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quick-start/repo");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        let known: Vec<PathBuf> = FILES.iter().map(|(path, _)| root.join(path)).collect();
        assert_eq!(found, known);
    }
}
