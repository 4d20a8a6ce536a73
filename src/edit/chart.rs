//! Charts whose address is in another file: a HelmRelease of Flux names a HelmRepository, and that the registry.
//!
//! A file is searched by itself. What it says of charts and of their sources is put together once all files are known.

use std::collections::{BTreeMap, BTreeSet};

use super::{FileSites, Owner};
use crate::image::ImageName;

/// A chart, by its name and the `HelmRepository` that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chart {
    /// The namespace of the HelmRepository, where the file tells it.
    pub(super) namespace: Option<String>,
    pub(super) repository: String,
    pub(super) name: String,
}

/// A `HelmRepository`, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChartSource {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// The host and path of an OCI registry; `None` where it is none.
    pub(super) address: Option<String>,
}

/// The sources of charts in a set of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChartSources(BTreeMap<String, BTreeSet<ChartSource>>);

/// What is known of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is this artifact of an OCI registry.
    Image(ImageName),
    /// It comes from elsewhere.
    Elsewhere,
    /// No file has its source, or several have it and do not agree.
    Unknown,
}

impl ChartSources {
    /// Those of these files.
    pub fn of<'s>(sources: impl IntoIterator<Item = &'s ChartSource>) -> Self {
        let mut all: BTreeMap<String, BTreeSet<ChartSource>> = BTreeMap::new();
        for source in sources {
            all.entry(source.name.clone()).or_default().insert(source.clone());
        }
        Self(all)
    }

    /// The origin of a chart. The namespace of either may be left to a kustomization: then the name alone counts, as long as
    /// all sources of that name have one address.
    pub(super) fn origin(&self, chart: &Chart) -> Origin {
        let named = || self.0.get(&chart.repository).into_iter().flatten();
        let addresses = |is_meant: &dyn Fn(&ChartSource) -> bool| -> BTreeSet<Option<&str>> {
            named().filter(|source| is_meant(source)).map(|source| source.address.as_deref()).collect()
        };
        let mut found =
            addresses(&|source| source.namespace.is_some() && source.namespace == chart.namespace);
        if found.is_empty() {
            found = addresses(&|source| source.namespace.is_none() || chart.namespace.is_none());
        }
        match found.pop_first() {
            Some(Some(address)) if found.is_empty() => ImageName::parse(&format!("{address}/{}", chart.name))
                .map_or(Origin::Elsewhere, Origin::Image),
            Some(None) if found.is_empty() => Origin::Elsewhere,
            Some(_) | None => Origin::Unknown,
        }
    }
}

impl ChartSource {
    /// How many bytes its texts have.
    #[must_use]
    pub fn size(&self) -> usize {
        [&self.namespace, &self.address].into_iter().flatten().map(String::len).sum::<usize>()
            + self.name.len()
    }
}

impl Chart {
    /// What is said of a chart of unknown origin.
    pub(super) fn unknown(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!(
            "the HelmRepository {namespace}{} of the chart {} is in none of the files that are read, or in several with \
             different addresses; put it where spec.paths leads, or write a marker behind the version",
            self.repository, self.name
        )
    }
}

impl FileSites {
    /// The sources of charts that the file holds.
    #[must_use]
    pub fn chart_sources(&self) -> &[ChartSource] {
        &self.sources
    }

    /// Whether what the file holds depends on the sources of charts in other files.
    #[must_use]
    pub fn needs_chart_sources(&self) -> bool {
        self.sites.iter().any(|site| matches!(site.owner, Owner::Chart(_)))
    }

    /// Puts the images in place of the charts whose sources are known. Those that come from elsewhere go.
    pub fn resolve(&mut self, sources: &ChartSources) {
        self.sites.retain_mut(|site| {
            let Owner::Chart(chart) = &site.owner else { return true };
            match sources.origin(chart) {
                Origin::Image(image) => site.owner = Owner::Image(image),
                Origin::Elsewhere => return false,
                Origin::Unknown => {}
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(namespace: &str, address: &str) -> ChartSource {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ChartSource { namespace: some(namespace), name: "acme".to_owned(), address: some(address) }
    }

    #[test]
    fn a_chart_has_the_address_of_the_one_source_that_can_be_meant() {
        let (here, there) = (source("flux", "x.io/charts"), source("shop", "y.io/charts"));
        let (bare, http) = (source("", "z.io/charts"), source("shop", ""));
        for (sources, namespace, origin) in [
            (vec![&here, &there], "flux", "x.io/charts/api"),
            (vec![&here, &there, &bare], "shop", "y.io/charts/api"),
            (vec![&here, &bare], "shop", "z.io/charts/api"),
            (vec![&here], "", "x.io/charts/api"),
            (vec![&here, &here], "", "x.io/charts/api"),
            (vec![&here, &there], "", "unknown"),
            (vec![&there, &http], "shop", "unknown"),
            (vec![&http], "shop", "elsewhere"),
            (vec![&here], "shop", "unknown"),
            (vec![], "shop", "unknown"),
        ] {
            let sources = ChartSources::of(sources);
            let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
            let chart = Chart { namespace, repository: "acme".to_owned(), name: "api".to_owned() };
            let found = match sources.origin(&chart) {
                Origin::Image(image) => image.to_string(),
                Origin::Elsewhere => "elsewhere".to_owned(),
                Origin::Unknown => "unknown".to_owned(),
            };
            assert_eq!(found, origin, "{sources:?} {chart:?}");
            assert_eq!(sources.origin(&Chart { repository: "other".to_owned(), ..chart }), Origin::Unknown);
        }
    }
}
