//! Object ids by what they name, so that a commit is never taken for a blob.

use std::fmt;

use git2::Oid;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(in crate::git) Oid);

        impl $name {
            /// Reads 40 hexadecimal digits; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let is_whole = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
                is_whole.then(|| Oid::from_str(text).ok().map(Self)).flatten()
            }

            /// The first ten digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                self.0.to_string().chars().take(10).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

object_id!(
    /// The id of a commit.
    CommitId
);
object_id!(
    /// The id of a tree.
    TreeId
);
object_id!(
    /// The id of a blob.
    BlobId
);
