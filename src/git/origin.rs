//! Where a repository of this machine was cloned from.

use std::path::Path;

use git2::Repository;
use reqwest::Url;

use super::{BranchName, RepositoryUrl, head_branch};

/// The remote `origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its address as `spec.url` takes it: without password, and without user but that of SSH. `None` where it is of
    /// another kind, such as a folder.
    pub url: Option<String>,
    /// Its main branch, as the clone knew it, or else the branch that is checked out.
    pub branch: Option<BranchName>,
}

/// What the configuration of the repository at `path` says of `origin`. Nothing where there is no repository.
#[must_use]
pub fn origin(path: &Path) -> Origin {
    super::libgit2::set_up();
    let Ok(repository) = Repository::open(path) else { return Origin { url: None, branch: None } };
    let remote = repository.find_remote("origin").ok();
    let url = remote.as_ref().and_then(|remote| remote.url().ok()).and_then(shareable);
    let head = repository.find_reference("refs/remotes/origin/HEAD").ok();
    let main = head.as_ref().and_then(|head| head.symbolic_target().ok().flatten());
    let main = main.and_then(|main| main.strip_prefix("refs/remotes/origin/"));
    let main = main.and_then(|main| BranchName::parse(main).ok());
    Origin { url, branch: main.or_else(|| head_branch(path).ok()) }
}

/// The address without what is secret in it; `None` where it is none that `spec.url` takes.
fn shareable(address: &str) -> Option<String> {
    let address = match (address.contains("://"), address.split_once(':')) {
        // As `scp` has it: git@host:path.
        (false, Some((host, path))) if !host.contains('/') => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => address.to_owned(),
    };
    let mut url = Url::parse(&address).ok()?;
    url.set_password(None).ok()?;
    if url.scheme() != "ssh" {
        url.set_username("").ok()?;
    }
    url.set_query(None);
    url.set_fragment(None);
    let is_remote = |url: &RepositoryUrl| !matches!(url, RepositoryUrl::Local(_));
    RepositoryUrl::parse(url.as_str()).ok().filter(is_remote).map(|_| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_the_address_is_shared() {
        for (address, shared) in [
            ("https://git.example.com/acme/infra.git", Some("https://git.example.com/acme/infra.git")),
            ("https://bot:s3cret@git.example.com/acme/infra", Some("https://git.example.com/acme/infra")),
            ("https://s3cret@git.example.com/acme/infra", Some("https://git.example.com/acme/infra")),
            ("https://git.example.com/infra?token=s3cret#s3cret", Some("https://git.example.com/infra")),
            ("git@git.example.com:acme/infra.git", Some("ssh://git@git.example.com/acme/infra.git")),
            ("git.example.com:/srv/infra.git", Some("ssh://git.example.com/srv/infra.git")),
            ("ssh://git:s3cret@git.example.com:2222/infra", Some("ssh://git@git.example.com:2222/infra")),
            ("/srv/git/infra.git", None),
            ("../infra:x", None),
            ("file:///srv/git/infra.git", None),
            ("git://git.example.com/infra", None),
            ("", None),
        ] {
            assert_eq!(shareable(address).as_deref(), shared, "{address}");
        }
    }

    #[test]
    fn origin_and_its_branch_are_read_from_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(origin(folder.path()), Origin { url: None, branch: None });
        let mut options = git2::RepositoryInitOptions::new();
        let repository = Repository::init_opts(folder.path(), options.initial_head("work")).unwrap();
        assert_eq!(origin(folder.path()).branch.unwrap().as_str(), "work");
        repository.remote("origin", "https://bot:s3cret@git.example.com/infra.git").unwrap();
        let (name, main) = ("refs/remotes/origin/HEAD", "refs/remotes/origin/trunk");
        repository.reference_symbolic(name, main, true, "").unwrap();
        let found = origin(folder.path());
        assert_eq!(found.url.as_deref(), Some("https://git.example.com/infra.git"));
        assert_eq!(found.branch.unwrap().as_str(), "trunk");
    }
}
