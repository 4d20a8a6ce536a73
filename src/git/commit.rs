//! What is read of a commit: where it leads, and its last line. Whatever else it says costs no more than passing over it.

use git2::{Oid, Repository};
use jiff::Timestamp;

use super::{CommitId, Error, lineage};

/// The largest commit, without its tree, that is read, in bytes. A message of a megabyte is odd, and no reason to stop.
pub(super) const MAX_COMMIT: usize = 8 << 20;

/// What is read of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommitHead {
    pub(super) tree: Oid,
    pub(super) parents: Vec<Oid>,
    /// When it was committed, as it says itself.
    pub(super) at: Timestamp,
    /// Whether it says, truly, that its branch holds nothing but Tagtide's commits since it left another one.
    pub(super) is_vouched_for: bool,
}

impl CommitHead {
    /// Reads a commit. Blocks.
    ///
    /// # Errors
    /// `Error::Objects` where it can not be read, and `Error::LongCommit` where it is too long for that.
    pub(super) fn read(repository: &Repository, id: CommitId) -> Result<Self, Error> {
        let unread = |source| Error::objects("read", source);
        let odb = repository.odb().map_err(unread)?;
        let (size, _) = odb.read_header(id.0).map_err(unread)?;
        if size > MAX_COMMIT {
            return Err(Error::LongCommit { most: MAX_COMMIT });
        }
        let object = odb.read(id.0).map_err(unread)?;
        let no_commit = || Error::Objects { step: "read", problem: format!("{id} is no commit") };
        Self::parse(object.data()).ok_or_else(no_commit)
    }

    /// From its bytes: lines with headers, an empty one, and the message (gitformat-signature and git-commit-tree show both).
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        let tree = id(lines.next()?, b"tree ")?;
        let mut parents = Vec::new();
        while let Some(parent) = lines.peek().and_then(|line| id(line, b"parent ")) {
            parents.push(parent);
            lines.next();
        }
        let mut headers = lines.take_while(|line| !line.is_empty());
        let at = headers.find_map(|line| line.strip_prefix(b"committer "));
        let at = at.and_then(time_of).unwrap_or(Timestamp::UNIX_EPOCH);
        let is_vouched_for = lineage::is_vouched_for(parents.first().copied(), tree, bytes);
        Some(Self { tree, parents, at, is_vouched_for })
    }
}

fn id(line: &[u8], name: &[u8]) -> Option<Oid> {
    let text = std::str::from_utf8(line.strip_prefix(name)?).ok()?;
    CommitId::parse(text).map(|id| id.0)
}

/// The seconds between the address and the time zone.
fn time_of(who: &[u8]) -> Option<Timestamp> {
    let after = who.rsplit(|byte| *byte == b'>').next()?;
    let seconds = std::str::from_utf8(after).ok()?.split_whitespace().next()?;
    Timestamp::from_second(seconds.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use git2::{ObjectType, Signature, Time};

    use super::*;

    /// A repository with an empty tree, and a commit of this message on top of another one.
    fn commits(message: &str) -> (tempfile::TempDir, Repository, [CommitId; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let author = Signature::new("a", "a@b", &Time::new(1_000, 60)).unwrap();
        let committer = Signature::new("c 7 d", "c@d", &Time::new(2_000, -90)).unwrap();
        let first = repository.commit(None, &author, &committer, "first", &tree, &[]).unwrap();
        let parent = repository.find_commit(first).unwrap();
        let second = repository.commit(None, &author, &committer, message, &tree, &[&parent]).unwrap();
        drop((parent, tree));
        (dir, repository, [CommitId(first), CommitId(second)])
    }

    #[test]
    fn a_message_or_a_header_of_megabytes_is_passed_over() {
        let long = "x".repeat(3 << 20);
        let (_dir, repository, [first, second]) = commits(&long);
        let head = CommitHead::read(&repository, second).unwrap();
        let tree = repository.find_commit(second.0).unwrap().tree_id();
        let at = Timestamp::from_second(2_000).unwrap();
        let wanted = CommitHead { tree, parents: vec![first.0], at, is_vouched_for: false };
        assert_eq!(head, wanted);
        assert_eq!(
            CommitHead::read(&repository, first).unwrap(),
            CommitHead { parents: Vec::new(), ..wanted.clone() }
        );

        let odb = repository.odb().unwrap();
        let bytes = odb.read(second.0).unwrap().data().to_vec();
        let text = String::from_utf8(bytes).unwrap();
        let signed = text.replacen("\n\n", &format!("\ngpgsig {long}\n committer x <y> 9 +0000\n\n"), 1);
        let signed = CommitId(odb.write(ObjectType::Commit, signed.as_bytes()).unwrap());
        assert_eq!(CommitHead::read(&repository, signed).unwrap(), wanted);
    }

    #[test]
    fn a_commit_that_is_all_message_is_not_read() {
        let (_dir, repository, [_, second]) = commits(&"x".repeat(MAX_COMMIT));
        let error = CommitHead::read(&repository, second).unwrap_err();
        assert_eq!(error.reason(), crate::api::Reason::TooLarge);
        assert!(error.to_string().contains("once another commit stands on top"), "{error}");
    }

    #[test]
    fn what_is_no_commit_is_none() {
        let id = "a".repeat(40);
        for bytes in
            ["", "tree ", &format!("tree {}", "a".repeat(39)), &format!("parent {id}\n"), "\u{0}\u{1}"]
        {
            assert_eq!(CommitHead::parse(bytes.as_bytes()), None, "{bytes}");
        }
        let short = CommitHead::parse(format!("tree {id}").as_bytes()).unwrap();
        assert_eq!((short.at, short.parents.len()), (Timestamp::UNIX_EPOCH, 0));
    }
}
