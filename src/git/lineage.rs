//! Whether everything on a branch since it left another one is Tagtide's, told from its last commit alone: a mirror has
//! no history.
//!
//! A commit that vouches for the branch names its parent and its tree in a trailer. Tagtide makes one only on top of a
//! commit of the other branch, or of one that vouches itself; so one look at the last tells of all. Who amends, rebases or
//! adds a commit changes an id that a trailer names, and nobody vouches any more.

use git2::Oid;

const TRAILER: &str = "Tagtide-Lineage";

/// The line of a commit that vouches.
pub(super) fn trailer(parent: Oid, tree: Oid) -> String {
    format!("{TRAILER}: {parent} {tree}\n")
}

/// Whether a commit with this first parent and this tree vouches for its branch; `bytes` end as its message does.
pub(super) fn is_vouched_for(parent: Option<Oid>, tree: Oid, bytes: &[u8]) -> bool {
    /// More than the line has.
    const ENOUGH: usize = 256;
    let Some(parent) = parent else { return false };
    let wanted = trailer(parent, tree);
    let end = bytes.last_chunk::<ENOUGH>().map_or(bytes, |end| end.as_slice());
    // The last line of all, which no text from elsewhere can be.
    String::from_utf8_lossy(end).lines().next_back() == Some(wanted.trim_end())
}

#[cfg(test)]
mod tests {
    use git2::{Commit, Repository, Signature, Time};

    use super::*;

    #[test]
    fn a_commit_that_was_changed_in_any_way_vouches_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let author = Signature::new("a", "a@b", &Time::new(0, 0)).unwrap();
        let tree = |name: &str| {
            let mut tree = repository.treebuilder(None).unwrap();
            tree.insert(name, repository.blob(b"x").unwrap(), 0o100_644).unwrap();
            repository.find_tree(tree.write().unwrap()).unwrap()
        };
        let (one, two) = (tree("one"), tree("two"));
        let commit = |message: &str, tree: &git2::Tree<'_>, parents: &[&Commit<'_>]| {
            let id = repository.commit(None, &author, &author, message, tree, parents).unwrap();
            repository.find_commit(id).unwrap()
        };
        let is_vouched_for = |commit: &Commit<'_>| {
            is_vouched_for(commit.parent_id(0).ok(), commit.tree_id(), commit.message_bytes())
        };
        let (root, other) = (commit("root", &one, &[]), commit("other", &one, &[]));
        let message = format!("x\n\nTagtide-Update: a b c\n{}", trailer(root.id(), two.id()));
        assert!(is_vouched_for(&commit(&message, &two, &[&root])));
        assert!(!is_vouched_for(&commit(&message, &one, &[&root])), "amended");
        assert!(!is_vouched_for(&commit(&message, &two, &[&other])), "rebased");
        assert!(!is_vouched_for(&commit(&message, &two, &[])));
        assert!(!is_vouched_for(&commit(&format!("{message}\nmore\n"), &two, &[&root])));
        assert!(!is_vouched_for(&root));
    }
}
