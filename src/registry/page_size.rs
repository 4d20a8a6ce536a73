//! How many tags are asked for at a time.

use reqwest::Url;

/// The page size that is asked for. Big pages are kind to registries that read all tags for every page (Harbor); some
/// refuse them (ECR above 1000, Quay above 100), and some refuse to be told at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PageSize {
    #[default]
    Thousand,
    Hundred,
    /// The registry chooses.
    Unsaid,
}

impl PageSize {
    /// What to try after this one was refused.
    pub(super) fn next_to_try(self) -> Option<Self> {
        match self {
            Self::Thousand => Some(Self::Hundred),
            Self::Hundred => Some(Self::Unsaid),
            Self::Unsaid => None,
        }
    }

    /// The first page of the list at `url`.
    pub(super) fn first_page(self, mut url: Url) -> Url {
        url.set_query(match self {
            Self::Thousand => Some("n=1000"),
            Self::Hundred => Some("n=100"),
            Self::Unsaid => None,
        });
        url
    }
}
