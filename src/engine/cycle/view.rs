//! What a commit holds, set against what the policies want.

use jiff::Timestamp;

use crate::api::Grouping;
use crate::edit::Targets;
use crate::engine::ground::Sight;
use crate::engine::index::{MAX_FILE, SiteIndex};
use crate::engine::plan::{Plan, Wishes, plan};
use crate::engine::split::split;
use crate::git::{self, CommitId, Loan, Snapshot};

/// How many problems are kept of each policy, and how many that concern no policy of the repository; a status shows fewer.
const MOST_PROBLEMS: usize = 100;

/// The files to change may have so many bytes in all.
const MAX_CHANGED: usize = if cfg!(test) { 100 << 10 } else { 16 << 20 };

/// So many copies of a file are held on the way to a pack: what it was, what it becomes, the edit, and the pack.
const COPIES: usize = 4;

const TOO_MUCH_TO_CHANGE: git::Error =
    git::Error::TooMuch { most: MAX_CHANGED, what: "bytes in files that are to be changed" };

/// One commit, set against what the policies want.
pub(super) struct View {
    /// When the commit was made, as it says.
    pub(super) at: Timestamp,
    parents: Vec<CommitId>,
    is_vouched_for: bool,
    pub(super) plan: Plan,
    /// The plan taken apart into commits; none where it is one.
    parts: Vec<Plan>,
    /// The memory for the files that change.
    _loan: Loan,
}

impl View {
    /// What is there once this view's plan was carried out, as far as that is known without a look.
    pub(super) fn after(before: &Self, at: Timestamp) -> Self {
        let plan = before.plan.carried_out();
        Self {
            at,
            parents: Vec::new(),
            is_vouched_for: false,
            plan,
            parts: Vec::new(),
            _loan: Loan::default(),
        }
    }

    pub(super) fn parts(&self) -> &[Plan] {
        if self.parts.is_empty() { std::slice::from_ref(&self.plan) } else { &self.parts }
    }

    /// The parts once they are pushed: the contents are in Git, and no memory is taken for them any more.
    pub(super) fn into_parts(self) -> Vec<Plan> {
        let mut parts = if self.parts.is_empty() { vec![self.plan] } else { self.parts };
        parts.iter_mut().flat_map(|plan| &mut plan.files).for_each(|file| file.content = Vec::new());
        parts
    }

    pub(super) fn sight(&self, commit: CommitId) -> Sight<'_> {
        Sight { commit, parents: &self.parents, is_vouched_for: self.is_vouched_for, plan: &self.plan }
    }
}

/// Plans on a commit, whose files are in the index. Blocks.
pub(super) fn view(
    snapshot: &Snapshot,
    index: &mut SiteIndex,
    wishes: &Wishes,
    grouping: Grouping,
    targets: &Targets,
) -> Result<View, git::Error> {
    let rest = index.rest().cloned();
    let files = index.files();
    let read = |path: &str| {
        let blob = files.get(path).map(|file| file.blob);
        let text = blob.map(|blob| snapshot.read(blob, MAX_FILE)).transpose()?;
        Ok::<_, git::Error>(text.flatten().unwrap_or_default())
    };
    let (mut room, mut loan) = (MAX_CHANGED, Loan::default());
    let read_to_change = |path: &str| {
        let text: Vec<u8> = read(path)?;
        room = room.checked_sub(text.len()).ok_or(TOO_MUCH_TO_CHANGE)?;
        loan.grow(text.len() * COPIES)?;
        Ok::<_, git::Error>(text)
    };
    let known = files.iter().map(|(path, file)| (&**path, file.known()));
    let plan = match rest {
        Some(plan) => plan,
        None => plan(known, read_to_change, wishes, MOST_PROBLEMS)?,
    };
    let parts = split(&plan, wishes, grouping, (targets, index.sources()), read)?;
    let (parents, is_vouched_for) = (snapshot.parents(), snapshot.is_vouched_for());
    index.set_rest(&plan);
    Ok(View { at: snapshot.at(), parents, is_vouched_for, plan, parts, _loan: loan })
}
